package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) initCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make a notebook with the reading list in it, or refresh that list",
		UsageText: examples("inferbook init", "inferbook init --db lab.db"),
		Flags:     []cli.Flag{dbFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("init takes no argument; to name the file use --db %s", c.Args().First())
			}
			path, exists, err := p.notebookPath(c)
			if err != nil {
				return err
			}
			nb, err := p.openPath(c.Context, path, store.Options{Create: true})
			if err != nil {
				return err
			}
			defer nb.Close()
			if err := importReadings(c.Context, nb); err != nil {
				return err
			}
			list, err := nb.Readings(c.Context)
			if err != nil {
				return err
			}
			done := "made"
			if exists {
				done = "was there; the reading list is fresh and your notes are as they were:"
			}
			fmt.Fprintf(p.out, "notebook %s %s %d readings\n", path, done, len(list))
			p.hint("next: inferbook run -n 30 · inferbook readings")
			return nil
		},
	}
}
