package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

var readingStatuses = []experiment.ReadingStatus{experiment.Unread, experiment.Reading, experiment.Read, experiment.Tested}

func (p *program) readingsCommand() *cli.Command {
	return &cli.Command{
		Name: "readings", Aliases: []string{"reading"}, Usage: "the reading list, and which experiments test it",
		UsageText: examples("inferbook readings", "inferbook readings show vllm-pagedattention",
			"inferbook readings status vllm-pagedattention read     unread, reading, read or tested",
			"inferbook readings export further-reading/              the list as Markdown with your notes in it"),
		Flags:  []cli.Flag{jsonFlag(), dbFlag()},
		Action: p.readingsList,
		Subcommands: []*cli.Command{
			{Name: "show", Usage: "one reading, its notes and its experiments", UsageText: examples("inferbook readings show vllm-pagedattention"),
				Flags: []cli.Flag{jsonFlag(), dbFlag()}, Action: p.readingsShow},
			{Name: "status", Usage: "say how far you are with a reading", UsageText: examples("inferbook readings status vllm-pagedattention read"),
				Flags: []cli.Flag{dbFlag()}, Action: p.readingsStatus},
			{Name: "export", Usage: "write the reading list as Markdown files with your notes in them", UsageText: examples("inferbook readings export further-reading/"),
				Flags: []cli.Flag{dbFlag()}, Action: p.readingsExport},
		},
	}
}

// readingView is a reading with what the notebook links to it.
type readingView struct {
	experiment.ReadingEntry
	Notes       []experiment.Note `json:"notes"`
	Experiments []string          `json:"experiments"`
}

// linked gathers a reading's notes and the experiments they are about.
func linked(c *cli.Context, nb *store.Notebook, r experiment.ReadingEntry) (readingView, error) {
	v := readingView{ReadingEntry: r}
	var err error
	if v.Notes, err = nb.Notes(c.Context, store.NoteFilter{Reading: r.Slug}); err != nil {
		return v, err
	}
	for _, n := range v.Notes {
		e, err := nb.Experiment(c.Context, n.ExperimentID)
		if err != nil {
			return v, err
		}
		v.Experiments = append(v.Experiments, e.Title())
	}
	v.Experiments = unique(v.Experiments)
	return v, nil
}

func (p *program) readingsList(c *cli.Context) error {
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	list, err := nb.Readings(c.Context)
	if err != nil {
		return err
	}
	var views []readingView
	for _, r := range list {
		v, err := linked(c, nb, r)
		if err != nil {
			return err
		}
		v.Body = ""
		views = append(views, v)
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Readings []readingView `json:"readings"`
		}{document{"inferbook.readings/1"}, views})
	}
	section := ""
	for _, v := range views {
		if v.Section != section {
			if section != "" {
				fmt.Fprintln(p.out)
			}
			section = v.Section
			fmt.Fprintln(p.out, p.bold(section))
		}
		fmt.Fprintf(p.out, "  %-8s %-36s %-8s  %s\n", v.Status, v.Slug, plural(len(v.Notes), "note"), v.Title)
	}
	return nil
}

func (p *program) readingsShow(c *cli.Context) error {
	slug, err := oneRef(c, "a reading")
	if err != nil {
		return err
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	r, err := nb.Reading(c.Context, slug)
	if err != nil {
		return err
	}
	v, err := linked(c, nb, *r)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			readingView
		}{document{"inferbook.reading/1"}, v})
	}
	fmt.Fprintf(p.out, "%s  %s · %s\n%s\n\n%s\n", p.bold(v.Title), v.Kind, v.Status, v.URL, strings.TrimSpace(withNotes(v)))
	if len(v.Experiments) > 0 {
		fmt.Fprintf(p.out, "\nexperiments: %s\n", strings.Join(v.Experiments, ", "))
	}
	return nil
}

const mentalModel = "## What this changed in my mental model"

// withNotes gives the reading's text with the person's notes under its last heading.
func withNotes(v readingView) string {
	body := v.Body
	if !strings.Contains(body, mentalModel) {
		body += "\n\n" + mentalModel + "\n"
	}
	var b strings.Builder
	b.WriteString(strings.TrimRight(body, "\n") + "\n")
	for _, n := range v.Notes {
		fmt.Fprintf(&b, "\n- %s (note-%d, %s)\n", strings.ReplaceAll(n.Text, "\n", "\n  "), n.Number, n.Created.Format("2006-01-02"))
	}
	return b.String()
}

func (p *program) readingsStatus(c *cli.Context) error {
	if c.NArg() != 2 {
		return usage("status needs a reading and a status, such as vllm-pagedattention read")
	}
	slug, status := c.Args().Get(0), experiment.ReadingStatus(c.Args().Get(1))
	if !slices.Contains(readingStatuses, status) {
		return usage("there is no reading status %q; write unread, reading, read or tested", status)
	}
	nb, err := p.open(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	if err := nb.SetReadingStatus(c.Context, slug, status); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is %s\n", slug, status)
	return nil
}

// readingsExport writes the "Further Reading" page and a file a reading, with
// the person's notes in them.
func (p *program) readingsExport(c *cli.Context) error {
	folder, err := oneRef(c, "a folder")
	if err != nil {
		return usage("export needs a folder to write into, such as further-reading/")
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	list, err := nb.Readings(c.Context)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	page := generatedMark + "# Further Reading\n"
	section := ""
	for _, r := range list {
		v, err := linked(c, nb, r)
		if err != nil {
			return err
		}
		if r.Section != section {
			section = r.Section
			page += "\n## " + section + "\n"
		}
		page += fmt.Sprintf("\n**[%s](%s)** ([facts](%s.md), %s)\n", r.Title, r.URL, r.Slug, r.Status)
		for _, n := range v.Notes {
			page += fmt.Sprintf("- What this changed in my mental model: %s (note-%d)\n", strings.Join(strings.Fields(n.Text), " "), n.Number)
		}
		text := fmt.Sprintf("%s# %s\n\n%s\n\n%s", generatedMark, r.Title, r.URL, withNotes(v))
		if err := writeGenerated(filepath.Join(folder, r.Slug+".md"), text); err != nil {
			return err
		}
	}
	readme := filepath.Join(folder, "README.md")
	if err := writeGenerated(readme, page); err != nil {
		return err
	}
	p.hint("wrote %s and %d readings", readme, len(list))
	return nil
}

// generatedMark is the first line of a file that export may write again.
const generatedMark = "<!-- written by `inferbook readings export`; change the notebook, not this file -->\n\n"

// writeGenerated writes a file, and refuses to write over one that a person made.
func writeGenerated(path, text string) error {
	before, err := os.ReadFile(path)
	if err == nil && !strings.HasPrefix(string(before), generatedMark) {
		return fmt.Errorf("%s was not written by this command and is left as it is; export into another folder", path)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing a reading: %w", err)
	}
	return nil
}
