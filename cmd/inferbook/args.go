package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// permute puts flags before arguments, since cli/v2 stops reading flags at the
// first argument and people write `note exp-3 --reading x`. It walks commands
// and subcommands by name, then splits the rest by the command's own flag
// table: a bool flag takes no value, `--flag=value` is one word, `--` ends the
// flags, and an unknown flag is passed on so that cli reports it.
func permute(app *cli.App, args []string) ([]string, error) {
	var path []string
	var cmd *cli.Command
	commands := app.Commands
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:len(args):len(args)], "--help") // as git and go have it
	}
	for len(args) > 0 && len(commands) > 0 && !strings.HasPrefix(args[0], "-") {
		next := find(commands, args[0])
		if next == nil {
			if cmd != nil && cmd.Action != nil {
				break
			}
			return nil, unknownCommand(commands, cmd, args[0])
		}
		cmd, path, args = next, append(path, next.Name), args[1:]
		commands = cmd.Subcommands
	}
	if cmd == nil {
		return append(path, args...), nil
	}
	flags, rest := split(cmd.Flags, args)
	path = append(path, flags...)
	if len(rest) > 0 {
		path = append(append(path, "--"), rest...)
	}
	return path, nil
}

// split separates args into flags with their values, and the other arguments.
func split(known []cli.Flag, args []string) (flags, rest []string) {
	takesValue := map[string]bool{}
	for _, f := range known {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			takesValue[name] = !isBool
		}
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			return flags, append(rest, args[i+1:]...)
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			rest = append(rest, a)
			continue
		}
		flags = append(flags, a)
		if !strings.Contains(a, "=") && takesValue[strings.TrimLeft(a, "-")] && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	return flags, rest
}

// find gives the command with this name or alias, nil when there is none.
func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// unknownCommand names the word, and the nearest command where one is near.
func unknownCommand(commands []*cli.Command, parent *cli.Command, word string) error {
	in := "inferbook"
	if parent != nil {
		in += " " + parent.Name
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.Names()...)
	}
	if near := nearest(names, word); near != "" {
		return usage("%s has no command %q; did you mean %s?", in, word, near)
	}
	return usage("%s has no command %q; `%s --help` lists them", in, word, in)
}

// unknownFlag names the flag, and the nearest one where one is near.
func unknownFlag(c *cli.Command, flag string) error {
	bare := strings.TrimLeft(flag, "-")
	if bare == "api-key" || bare == "key" {
		return usage("there is no flag that takes a key, since others can see a command line; put the key in a file and use --api-key-file FILE, or set OPENAI_API_KEY")
	}
	var names []string
	for _, f := range c.Flags {
		names = append(names, f.Names()...)
	}
	if near := nearest(names, bare); near != "" {
		return usage("%s has no flag %s; did you mean %s?", c.Name, dashed(bare), dashed(near))
	}
	return usage("%s has no flag %s; `%s --help` lists them", c.Name, dashed(bare), c.HelpName)
}

// dashed writes a flag as a person types it; the flag package has one dash for all.
func dashed(name string) string {
	name = strings.TrimLeft(name, "-")
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// badValue is how the flag package reports a value that it cannot read.
var badValue = regexp.MustCompile(`^invalid (?:boolean )?value "(.*)" for (?:flag )?-([^:]+): `)

// flagError turns the flag package's error into one sentence with a suggestion.
func flagError(c *cli.Command, err error) error {
	text := err.Error()
	if flag, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		return unknownFlag(c, flag)
	}
	if flag, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return usage("%s needs a value; `%s --help` says which", dashed(flag), c.HelpName)
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		return usage("%s is %q, which is not %s", dashed(m[2]), m[1], valueKind(c, m[2]))
	}
	if names, ok := strings.CutPrefix(text, "Cannot use two forms of the same flag: "); ok {
		short, long, _ := strings.Cut(names, " ")
		return usage("%s and %s are two names of one thing; give one of them", dashed(short), dashed(long))
	}
	return usage("%s: %w", c.Name, err)
}

// valueKind says what the flag takes.
func valueKind(c *cli.Command, name string) string {
	for _, f := range c.Flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		switch f.(type) {
		case *cli.BoolFlag:
			return "true or false"
		case *cli.IntFlag, *cli.Uint64Flag:
			return "a whole number"
		}
	}
	return "a number"
}

// appFlagError is for a flag that stands before any command.
func appFlagError(err error) error {
	if flag, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: "); ok {
		return usage("%s stands before any command; flags follow their command, as in `inferbook ls --json`", dashed(flag))
	}
	return usage("%w", err)
}

// nearest gives the name most like word by Jaro–Winkler similarity, or nothing
// when none is at least 0.75 alike.
func nearest(names []string, word string) string {
	best, at := "", 0.75
	for _, n := range names {
		if len(n) < 2 {
			continue
		}
		if d := smetrics.JaroWinkler(n, word, 0.7, 4); d >= at {
			best, at = n, d
		}
	}
	return best
}
