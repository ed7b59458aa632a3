package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) tagCommand() *cli.Command {
	return &cli.Command{
		Name: "tag", Usage: "tag an experiment",
		UsageText: examples("inferbook tag exp-3 baseline h100", "inferbook tag exp-3 baseline --remove"),
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "remove", Usage: "take the tags off"}, dbFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() < 2 {
				return usage("tag needs an experiment and at least one tag, such as exp-3 baseline")
			}
			return p.change(c, func(ctx context.Context, nb *store.Notebook, e *experiment.Experiment) (string, error) {
				tags := c.Args().Tail()
				if c.Bool("remove") {
					for _, tag := range tags {
						if !slices.Contains(e.Tags, tag) {
							return "", usage("%s has no tag %q; it has: %s", e.Alias(), tag, strings.Join(e.Tags, " "))
						}
					}
					return "untagged " + strings.Join(tags, " "), nb.Untag(ctx, e.ID, tags...)
				}
				return "tagged " + strings.Join(tags, " "), nb.Tag(ctx, e.ID, tags...)
			})
		},
	}
}

func (p *program) renameCommand() *cli.Command {
	return &cli.Command{
		Name: "rename", Usage: "name an experiment",
		UsageText: examples("inferbook rename exp-3 \"a10g baseline\""), Flags: []cli.Flag{dbFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return usage("rename needs an experiment and a name, such as exp-3 \"a10g baseline\"")
			}
			return p.change(c, func(ctx context.Context, nb *store.Notebook, e *experiment.Experiment) (string, error) {
				done := "is now " + c.Args().Get(1)
				if c.Args().Get(1) == "" {
					done = "has no name now"
				}
				return done, nb.Rename(ctx, e.ID, c.Args().Get(1))
			})
		},
	}
}

func (p *program) rmCommand() *cli.Command {
	return &cli.Command{
		Name: "rm", Usage: "move an experiment to the trash; restore brings it back",
		UsageText: examples("inferbook rm exp-3", "inferbook restore exp-3"), Flags: []cli.Flag{dbFlag()},
		Action: func(c *cli.Context) error {
			return p.change(c, func(ctx context.Context, nb *store.Notebook, e *experiment.Experiment) (string, error) {
				return "is in the trash; `inferbook restore " + e.Alias() + "` brings it back", nb.Trash(ctx, e.ID)
			})
		},
	}
}

func (p *program) restoreCommand() *cli.Command {
	return &cli.Command{
		Name: "restore", Usage: "bring an experiment back from the trash",
		UsageText: examples("inferbook restore exp-3", "inferbook ls --trash"), Flags: []cli.Flag{dbFlag()},
		Action: func(c *cli.Context) error {
			return p.change(c, func(ctx context.Context, nb *store.Notebook, e *experiment.Experiment) (string, error) {
				return "is back", nb.Restore(ctx, e.ID)
			})
		},
	}
}

// change opens the notebook, does one thing to the experiment that the first
// argument names, and says what was done.
func (p *program) change(c *cli.Context, do func(context.Context, *store.Notebook, *experiment.Experiment) (string, error)) error {
	if c.NArg() == 0 {
		return usage("%s needs an experiment, such as %s", c.Command.Name, example("an experiment"))
	}
	if takesOne := c.Command.Name == "rm" || c.Command.Name == "restore"; takesOne && c.NArg() > 1 {
		return usage("%s takes one experiment and was given %d: %s", c.Command.Name, c.NArg(), strings.Join(c.Args().Slice(), " "))
	}
	nb, err := p.open(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	e, err := nb.Experiment(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	done, err := do(c.Context, nb, e)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s %s\n", e.Alias(), done)
	return nil
}

func (p *program) backupCommand() *cli.Command {
	return &cli.Command{
		Name: "backup", Usage: "write a compact copy of the notebook",
		UsageText: examples("inferbook backup", "inferbook backup /mnt/usb/experiments.db"), Flags: []cli.Flag{dbFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usage("backup takes one file name and was given %d", c.NArg())
			}
			nb, err := p.open(c)
			if err != nil {
				return err
			}
			defer nb.Close()
			dest := c.Args().First()
			if dest == "" {
				dest = strings.TrimSuffix(nb.Path(), ".db") + p.now().Format("-20060102-150405") + ".backup.db"
			}
			if err := nb.Backup(c.Context, dest); err != nil {
				return err
			}
			fmt.Fprintln(p.out, dest)
			return nil
		},
	}
}
