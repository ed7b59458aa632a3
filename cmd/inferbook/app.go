package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment/store"
)

const appHelp = `inferbook: a lab notebook for LLM inference

EXAMPLES
  inferbook demo                                     a notebook with experiments in it, from nothing
  inferbook run -n 50                                load the simulated engine, one request at a time
  inferbook run --base-url http://localhost:8000/v1 --stream --concurrency 1,2,4,8 -n 40
  inferbook curve exp-3 -o curve.svg                 throughput against latency
  inferbook cost exp-3 --price 2.95 --price-date 2026-05-20 --price-source "invoice 118"
  inferbook note exp-3 --reading vllm-pagedattention -m "more load no longer helps"
  inferbook report new exp-3                         Markdown with figures; then: report html

COMMANDS{{range .VisibleCommands}}
  {{join .Names ", "}}{{"\t"}}{{.Usage}}{{end}}

Each of them explains itself with --help.

EXIT STATUS
  0 done · 1 failed · 2 wrong usage · 3 conflict · 4 not enough data to decide · 130 interrupted, and what was measured is saved

ENVIRONMENT
  INFERBOOK_DB       the notebook file; otherwise experiments.db, looked for from here upwards
  OPENAI_BASE_URL    the endpoint, when --base-url is not given
  OPENAI_API_KEY     the key, when --api-key-file is not given; it is never stored or printed
  NO_COLOR           no colour
`

// A subcommand has no categories of flags, which cli makes for the commands of the app alone.
const commandHelp = `{{.HelpName}}: {{.Usage}}

EXAMPLES
{{.UsageText}}
{{if .Description}}
{{.Description}}
{{end}}{{if .VisibleFlags}}{{range .VisibleFlagCategories}}
{{if .Name}}{{slice .Name 2}}{{else}}FLAGS{{end}}{{range .Flags}}
  {{.}}{{end}}
{{else}}
FLAGS{{range .VisibleFlags}}
  {{.}}{{end}}
{{end}}{{end}}`

const groupHelp = `{{.HelpName}}: {{.Usage}}

EXAMPLES
{{.UsageText}}

COMMANDS{{range .VisibleCommands}}
  {{.Name}}{{"\t"}}{{.Usage}}{{end}}
{{if .VisibleFlags}}
FLAGS{{range .VisibleFlags}}
  {{.}}{{end}}
{{end}}`

// app wires the commands together.
func (p *program) app() *cli.App {
	app := &cli.App{
		Name: "inferbook", HelpName: "inferbook", Version: version().Version,
		Usage:                 "a lab notebook for LLM inference",
		CustomAppHelpTemplate: appHelp,
		Writer:                p.out, ErrWriter: p.err,
		HideVersion: true, HideHelpCommand: true, DisableSliceFlagSeparator: true,
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return appFlagError(err) },
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				return p.printVersion(false)
			}
			return cli.ShowAppHelp(c)
		},
		Flags:    []cli.Flag{&cli.BoolFlag{Name: "version", Usage: "print the version"}},
		Commands: p.commands(),
	}
	for _, c := range app.Commands {
		finishCommand(c)
	}
	return app
}

// commands lists the commands in the order of a person's first hour.
func (p *program) commands() []*cli.Command {
	return []*cli.Command{
		p.demoCommand(), p.initCommand(), p.runCommand(), p.lsCommand(), p.showCommand(), p.curveCommand(), p.whyCommand(), p.diffCommand(), p.compareCommand(), p.gateCommand(), p.noiseCommand(), p.costCommand(), p.calibrationCommand(),
		p.noteCommand(), p.readingsCommand(), p.reportCommand(), p.simCommand(), p.tagCommand(), p.renameCommand(), p.rmCommand(),
		p.restoreCommand(), p.backupCommand(), p.sqlCommand(), p.specCommand(), p.workloadsCommand(), p.explainCommand(), p.selftestCommand(), p.versionCommand(), p.completionCommand(),
	}
}

// finishCommand gives a command its help and its usage errors.
func finishCommand(c *cli.Command) {
	c.HideHelpCommand = true
	c.CustomHelpTemplate = commandHelp
	if len(c.Subcommands) > 0 {
		c.CustomHelpTemplate = groupHelp
	}
	for _, f := range c.Flags {
		if b, ok := f.(*cli.BoolFlag); ok {
			b.DisableDefaultText = true // "(default: false)" on every line says nothing
		}
	}
	c.OnUsageError = func(ctx *cli.Context, err error, _ bool) error { return flagError(c, err) }
	for _, sub := range c.Subcommands {
		finishCommand(sub)
	}
}

// storeExit gives the exit status for an error of the notebook.
func storeExit(err error) (int, bool) {
	var e *store.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	switch e.Code {
	case store.Conflict:
		return exitConflict, true
	case store.Invalid:
		return exitUsage, true
	}
	return exitFailure, true
}

// oneRef gives the single argument that names an experiment.
func oneRef(c *cli.Context, what string) (string, error) {
	switch c.NArg() {
	case 0:
		return "", usage("%s needs %s, such as %s", c.Command.Name, what, example(what))
	case 1:
		return c.Args().First(), nil
	}
	return "", usage("%s takes one argument, %s, and was given %d: %s", c.Command.Name, what, c.NArg(), strings.Join(c.Args().Slice(), " "))
}

func example(what string) string {
	if strings.Contains(what, "reading") {
		return "vllm-pagedattention"
	}
	return "exp-3 (`inferbook ls` lists them)"
}

// examples joins the lines of a help text's examples.
func examples(lines ...string) string {
	for i, l := range lines {
		lines[i] = "  " + l
	}
	return strings.Join(lines, "\n")
}

// hint prints a line for the person, not for a pipe: it goes to stderr.
func (p *program) hint(format string, a ...any) { fmt.Fprintf(p.err, format+"\n", a...) }
