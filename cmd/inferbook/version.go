package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
)

// build says which program this is.
type build struct {
	document
	Version     string `json:"version"`
	Commit      string `json:"commit"`
	Dirty       bool   `json:"dirty"`
	Go          string `json:"go"`
	Platform    string `json:"platform"`
	Definitions int    `json:"definitions"`
}

// version reads what the Go tool wrote into the binary.
func version() build {
	b := build{document: document{"inferbook.version/1"}, Version: "(devel)", Commit: "unknown", Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Definitions: analysis.DefinitionVersion}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return b
}

func (p *program) versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "which inferbook this is", UsageText: examples("inferbook version", "inferbook version --json"),
		Flags:  []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error { return p.printVersion(c.Bool("json")) },
	}
}

func (p *program) printVersion(asJSON bool) error {
	b := version()
	if asJSON {
		return printJSON(p.out, b)
	}
	dirty := ""
	if b.Dirty {
		dirty = ", changed since"
	}
	_, err := fmt.Fprintf(p.out, "inferbook %s (commit %s%s; %s; %s; metric definitions %d)\n", b.Version, b.Commit, dirty, b.Go, b.Platform, b.Definitions)
	return err
}
