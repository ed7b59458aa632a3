package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) noteCommand() *cli.Command {
	return &cli.Command{
		Name: "note", Usage: "write what an experiment showed, and link it to what you have read",
		UsageText: examples(
			"inferbook note exp-3 --reading vllm-pagedattention -m \"past C=14 the KV cache is full and requests wait\"",
			"inferbook note exp-3 --reading cheng-inference-benchmarking     opens $EDITOR",
			"inferbook note                                                  lists all notes",
			"inferbook note --edit note-4                                    the text before stays in the notebook"),
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "reading", Aliases: []string{"r"}, Usage: "the `SLUG` of a reading that explains it (may be repeated)"},
			&cli.StringFlag{Name: "message", Aliases: []string{"m"}, Usage: "the note's `TEXT`, Markdown (default: ask $EDITOR)"},
			&cli.Float64Flag{Name: "at", Usage: "the load `LEVEL`, a concurrency or a rate, that the note is about", DefaultText: "the whole experiment"},
			&cli.StringFlag{Name: "edit", Usage: "change the text of `NOTE`, such as note-4"},
			jsonFlag(), dbFlag(),
		},
		Action: p.noteAction,
	}
}

func (p *program) noteAction(c *cli.Context) error {
	nb, err := p.open(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	if c.IsSet("edit") {
		return p.editNote(c, nb)
	}
	if c.NArg() == 0 {
		return p.listNotes(c, nb)
	}
	ref, err := oneRef(c, "an experiment")
	if err != nil {
		return err
	}
	e, err := nb.Experiment(c.Context, ref)
	if err != nil {
		return err
	}
	n := experiment.Note{ExperimentID: e.ID, Readings: unique(c.StringSlice("reading"))}
	for _, slug := range n.Readings {
		if _, err := nb.Reading(c.Context, slug); err != nil {
			return err
		}
	}
	if c.IsSet("at") {
		if n.PointID, err = pointAt(c.Context, nb, e, c.Float64("at")); err != nil {
			return err
		}
	}
	if n.Text, err = p.text(c, "", fmt.Sprintf("What did %s show? What did it change in your mental model?", e.Title())); err != nil {
		return err
	}
	if err := nb.AddNote(c.Context, &n); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			experiment.Note
		}{document{"inferbook.note/1"}, n})
	}
	linked := ""
	if len(n.Readings) > 0 {
		linked = " ⇄ " + strings.Join(n.Readings, ", ")
	}
	fmt.Fprintf(p.out, "note-%d  %s%s\n", n.Number, e.Title(), linked)
	return nil
}

// pointAt finds the first point at a level.
func pointAt(ctx context.Context, nb *store.Notebook, e *experiment.Experiment, level float64) (string, error) {
	points, err := nb.Points(ctx, e.ID)
	if err != nil {
		return "", err
	}
	var have []string
	for _, pt := range points {
		if pt.Load.Level() == level {
			return pt.ID, nil
		}
		have = append(have, strconv.FormatFloat(pt.Load.Level(), 'g', -1, 64))
	}
	return "", usage("%s has no level %g; it has %s", e.Alias(), level, strings.Join(unique(have), ", "))
}

func (p *program) editNote(c *cli.Context, nb *store.Notebook) error {
	if c.NArg() > 0 {
		return usage("--edit names the note; it takes no other argument")
	}
	n, err := nb.Note(c.Context, c.String("edit"))
	if err != nil {
		return err
	}
	text, err := p.text(c, n.Text, "")
	if err != nil {
		return err
	}
	if err := nb.EditNote(c.Context, n.ID, text); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "note-%d changed; the text before it is kept\n", n.Number)
	return nil
}

func (p *program) listNotes(c *cli.Context, nb *store.Notebook) error {
	list, err := nb.Notes(c.Context, store.NoteFilter{})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Notes []experiment.Note `json:"notes"`
		}{document{"inferbook.notes/1"}, list})
	}
	if len(list) == 0 {
		p.hint("there is no note yet; `inferbook note exp-3 -m \"…\"` writes one")
		return nil
	}
	t := newTable(p.out, "", "on", "when", "readings", "note")
	for _, n := range list {
		e, err := nb.Experiment(c.Context, n.ExperimentID)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(n.Text, "\n")
		t.AppendRow([]any{fmt.Sprintf("note-%d", n.Number), e.Alias(), when(n.Created), strings.Join(n.Readings, " "), first})
	}
	t.Render()
	return nil
}

// text gives the note's text: the flag's, or what the person leaves in their editor.
func (p *program) text(c *cli.Context, before, question string) (string, error) {
	if c.IsSet("message") {
		if strings.TrimSpace(c.String("message")) == "" {
			return "", usage("the note is empty; write something after -m")
		}
		return c.String("message"), nil
	}
	editor := strings.Fields(p.env("VISUAL"))
	if len(editor) == 0 {
		editor = strings.Fields(p.env("EDITOR"))
	}
	if len(editor) == 0 {
		return "", usage("give the note's text with -m, or set EDITOR to the editor you like")
	}
	f, err := os.CreateTemp("", "inferbook-note-*.md")
	if err != nil {
		return "", fmt.Errorf("making a file for the editor: %w", err)
	}
	defer os.Remove(f.Name())
	template := before
	if question != "" {
		template = "\n<!-- " + question + " -->\n"
	}
	if _, err := f.WriteString(template); err != nil {
		return "", fmt.Errorf("writing the file for the editor: %w", err)
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("writing the file for the editor: %w", err)
	}
	cmd := exec.CommandContext(c.Context, editor[0], append(editor[1:], f.Name())...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.in, p.err, p.err
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("running the editor %s: %w", editor[0], err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return "", fmt.Errorf("reading what the editor left: %w", err)
	}
	text := string(b)
	if question != "" { // the question is not part of the answer
		text = strings.Replace(text, strings.TrimSpace(template), "", 1)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return "", usage("the note is empty, so nothing was written")
	}
	return text, nil
}
