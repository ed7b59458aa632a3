package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/reports"
	"github.com/inferbook/inferbook/reports/figure"
)

func (p *program) reportCommand() *cli.Command {
	return &cli.Command{
		Name: "report", Usage: "a Markdown report with figures, cost and notes; and its HTML",
		UsageText: examples("inferbook report new exp-3", "inferbook report new exp-3 exp-4 -o which-gpu.md --title \"Which GPU?\"",
			"inferbook report update which-gpu.md      fresh figures and tables, your own text untouched", "inferbook report html which-gpu.md"),
		Subcommands: []*cli.Command{
			{Name: "new", Usage: "write a report on experiments", UsageText: examples("inferbook report new exp-3", "inferbook report new exp-3 exp-4 -o which-gpu.md --title \"Which GPU?\""),
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "the `FILE` (default: report-exp-N.md)"},
					&cli.StringFlag{Name: "title", Usage: "the report's `TITLE`"},
					&cli.StringFlag{Name: "author", Usage: "`WHO` wrote it"},
					&cli.Float64Flag{Name: "utilisation", Usage: "`SHARE` of the paid hours spent at load, for the cost", Value: 1},
					&cli.Float64Flag{Name: "price-ratio", Usage: "an output token bears `X` times the price of an input token", Value: defaultPriceRatio},
					dbFlag()},
				Action: p.reportNew},
			{Name: "update", Usage: "generate a report's regions again and keep your text", UsageText: examples("inferbook report update which-gpu.md"),
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "force", Usage: "also where a generated region was changed by hand"},
					&cli.Float64Flag{Name: "utilisation", Usage: "`SHARE` of the paid hours spent at load, for the cost", Value: 1},
					&cli.Float64Flag{Name: "price-ratio", Usage: "an output token bears `X` times the price of an input token", Value: defaultPriceRatio},
					dbFlag()},
				Action: p.reportUpdate},
			{Name: "html", Usage: "turn a report into one self-contained HTML file", UsageText: examples("inferbook report html which-gpu.md", "inferbook report html which-gpu.md -o /tmp/which-gpu.html"),
				Flags:  []cli.Flag{&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "the `FILE` (default: the report's name with .html)"}},
				Action: p.reportHTML},
		},
	}
}

func (p *program) reportNew(c *cli.Context) error {
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	views, err := p.views(c, nb)
	if err != nil {
		return err
	}
	path := c.String("output")
	if path == "" {
		path = "report-" + views[0].Experiment.Alias() + ".md"
	}
	if _, err := os.Stat(path); err == nil {
		return &exitError{exitConflict, fmt.Errorf("%s exists and may hold your own text; use `inferbook report update %[1]s`, or another name with -o", path)}
	}
	m, err := p.material(c, nb, views, path)
	if err != nil {
		return err
	}
	if m.Title = c.String("title"); m.Title == "" {
		m.Title = "Report on " + titles(views)
	}
	m.Author = c.String("author")
	text, err := reports.New(m)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	fmt.Fprintln(p.out, path)
	p.hint("next: write between the generated regions, then `inferbook report html %s`", path)
	return nil
}

func titles(views []*view) string {
	var names []string
	for _, v := range views {
		names = append(names, v.Experiment.Title())
	}
	return strings.Join(names, ", ")
}

// material gathers what a report is made of, and draws its figures into a
// folder beside it.
func (p *program) material(c *cli.Context, nb *store.Notebook, views []*view, path string) (reports.Material, error) {
	m := reports.Material{Created: p.now(), NotebookName: filepath.Base(nb.Path()), Version: version().Version, Readings: map[string]experiment.ReadingEntry{}}
	list, err := nb.Readings(c.Context)
	if err != nil {
		return m, err
	}
	for _, r := range list {
		m.Readings[r.Slug] = r
	}
	for _, v := range views {
		for _, curve := range v.Curves {
			item := reports.Item{Experiment: *v.Experiment, Curve: curve, Points: pointsOf(curve), Notes: v.Notes,
				Findings: instinct.OfVariant(v.Findings, curve.Variant)}
			one := *v
			one.Curve = curve
			item.Costs, err = costsOf(c.Context, nb, &one, 0, c.Float64("utilisation"), c.Float64("price-ratio"))
			if err != nil {
				item.NoCost = err.Error()
			}
			m.Experiments = append(m.Experiments, item)
		}
	}
	folder := strings.TrimSuffix(path, filepath.Ext(path)) + "-figures"
	drawn, err := p.drawAll(c.Context, nb, views, folder, figure.SVG)
	if err != nil {
		return m, err
	}
	for _, f := range drawn {
		rel, err := filepath.Rel(filepath.Dir(path), f.Path)
		if err != nil {
			return m, fmt.Errorf("placing a figure: %w", err)
		}
		m.Figures = append(m.Figures, reports.FigureRef{Path: filepath.ToSlash(rel), Title: f.Title, Alt: f.Alt, Caption: f.Caption})
	}
	return m, nil
}

func (p *program) reportUpdate(c *cli.Context) error {
	path, existing, err := reportFile(c)
	if err != nil {
		return err
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	ids, err := reports.ExperimentIDs(existing)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var views []*view
	for _, id := range ids {
		e, err := nb.Experiment(c.Context, id)
		if err != nil {
			return err
		}
		v, err := loadView(c.Context, nb, e)
		if err != nil {
			return err
		}
		views = append(views, v)
	}
	m, err := p.material(c, nb, views, path)
	if err != nil {
		return err
	}
	text, changed, err := reports.Update(existing, m, reports.UpdateOptions{Force: c.Bool("force")})
	if err != nil {
		if edited := (*reports.EditedError)(nil); errors.As(err, &edited) {
			return &exitError{exitConflict, fmt.Errorf("%s: %w (--force)", path, err)}
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(changed) == 0 {
		fmt.Fprintf(p.out, "%s is up to date\n", path)
		return nil
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	fmt.Fprintf(p.out, "%s: generated again: %s\n", path, strings.Join(changed, ", "))
	return nil
}

// reportFile reads the report that the argument names.
func reportFile(c *cli.Context) (string, []byte, error) {
	if c.NArg() != 1 {
		return "", nil, usage("%s needs one report file, such as report-exp-3.md", c.Command.Name)
	}
	path := c.Args().First()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, usage("there is no report %s; write one with `inferbook report new exp-3`", path)
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading the report: %w", err)
	}
	return path, text, nil
}

func (p *program) reportHTML(c *cli.Context) error {
	path, text, err := reportFile(c)
	if err != nil {
		return err
	}
	out := c.String("output")
	if out == "" {
		out = strings.TrimSuffix(path, filepath.Ext(path)) + ".html"
	}
	page, err := reports.HTML(text, reports.HTMLOptions{Base: os.DirFS(filepath.Dir(path))})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if before, err := os.ReadFile(out); err == nil && bytes.Equal(before, page) {
		fmt.Fprintln(p.out, out)
		return nil
	}
	if err := os.WriteFile(out, page, 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	fmt.Fprintln(p.out, out)
	return nil
}

// pointsOf gives the points of a curve, in the order of its levels.
func pointsOf(c analysis.Curve) []analysis.PointSummary {
	var points []analysis.PointSummary
	for _, l := range c.Levels {
		points = append(points, l.Points...)
	}
	return points
}
