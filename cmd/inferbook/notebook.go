package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/notes"
)

const defaultNotebook = "experiments.db"

// dbFlag names the notebook; every command that opens one has it.
func dbFlag() cli.Flag {
	return &cli.StringFlag{Name: "db", Usage: "the notebook `FILE` (default: $INFERBOOK_DB, or experiments.db from here upwards)"}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON with a schema name"}
}

// notebookPath finds the notebook: the flag, the environment, then
// experiments.db in this folder and the ones above, as git finds its own. It
// reports whether a file is there.
func (p *program) notebookPath(c *cli.Context) (path string, exists bool, err error) {
	path = c.String("db")
	if path == "" {
		path = p.env("INFERBOOK_DB")
	}
	if path != "" {
		_, err := os.Stat(path)
		return path, err == nil, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", false, err
	}
	for d := dir; ; d = filepath.Dir(d) {
		path := filepath.Join(d, defaultNotebook)
		if _, err := os.Stat(path); err == nil {
			return path, true, nil
		}
		if d == filepath.Dir(d) {
			return filepath.Join(dir, defaultNotebook), false, nil
		}
	}
}

// open opens the notebook to write something into it. Where there is none it
// says how to make one.
func (p *program) open(c *cli.Context) (*store.Notebook, error) {
	path, err := p.existingNotebook(c)
	if err != nil {
		return nil, err
	}
	return p.openPath(c.Context, path, store.Options{})
}

// look opens the notebook to look at it. The file stays as it is, byte for byte,
// unless there is something to put right first: a run that died, or a point that
// has not been summarised.
func (p *program) look(c *cli.Context) (*store.Notebook, error) {
	path, err := p.existingNotebook(c)
	if err != nil {
		return nil, err
	}
	nb, err := store.Open(c.Context, path, p.options(store.Options{ReadOnly: true}))
	if err != nil {
		// A notebook of an older program is brought up to date by opening it to write.
		return p.openPath(c.Context, path, store.Options{})
	}
	stale, err := nb.Stale(c.Context, analysis.DefinitionVersion)
	if err == nil && !stale {
		p.warn(nb)
		return nb, nil
	}
	if err = errors.Join(err, nb.Close()); err != nil {
		return nil, err
	}
	return p.openPath(c.Context, path, store.Options{})
}

// existingNotebook finds the notebook, which has to be there.
func (p *program) existingNotebook(c *cli.Context) (string, error) {
	path, exists, err := p.notebookPath(c)
	if err == nil && !exists {
		where := path
		if c.String("db") == "" && p.env("INFERBOOK_DB") == "" {
			where += " or above" // only where it was looked for
		}
		err = errors.New("there is no notebook at " + where + "; make one with `inferbook init`, or let `inferbook run` make it")
	}
	return path, err
}

// openOrCreate opens the notebook, and makes it with the reading list in it
// where there is none.
func (p *program) openOrCreate(c *cli.Context) (*store.Notebook, error) {
	path, exists, err := p.notebookPath(c)
	if err != nil {
		return nil, err
	}
	nb, err := p.openPath(c.Context, path, store.Options{Create: true})
	if err != nil || exists {
		return nb, err
	}
	if err := importReadings(c.Context, nb); err != nil {
		nb.Close()
		return nil, err
	}
	p.hint("notebook  %s (new)", path)
	return nb, nil
}

// openPath opens one file and says on stderr what the person has to know about it.
func (p *program) openPath(ctx context.Context, path string, o store.Options) (*store.Notebook, error) {
	if dir := filepath.Dir(path); o.Create {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, usage("there is no folder %s for the notebook; make it first, or name another file with --db", dir)
		}
	}
	nb, err := store.Open(ctx, path, p.options(o))
	if err != nil {
		return nil, err
	}
	p.warn(nb)
	return nb, nil
}

// warn says what the person has to know about the file.
func (p *program) warn(nb *store.Notebook) {
	for _, w := range nb.Warnings() {
		p.hint("warning: %s", w)
	}
}

// options gives the notebook this program's clock and identities.
func (p *program) options(o store.Options) store.Options {
	o.IDs, o.Now = p.ids, p.now
	return o
}

// importReadings writes the built-in reading list into a notebook.
func importReadings(ctx context.Context, nb *store.Notebook) error {
	list, err := notes.List()
	if err != nil {
		return err
	}
	for _, r := range list {
		if err := nb.PutReading(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// experiments looks up each argument; with none it is a usage error.
func (p *program) experiments(c *cli.Context, nb *store.Notebook) ([]*experiment.Experiment, error) {
	if c.NArg() == 0 {
		return nil, usage("%s needs an experiment, such as %s", c.Command.Name, example("an experiment"))
	}
	var all []*experiment.Experiment
	for _, ref := range c.Args().Slice() {
		e, err := nb.Experiment(c.Context, ref)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
