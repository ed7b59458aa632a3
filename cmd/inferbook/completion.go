package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis/peer"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/runner/sim"
)

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "a completion script for your shell",
		UsageText: examples("source <(inferbook completion bash)", "inferbook completion zsh > ~/.zfunc/_inferbook", "inferbook completion fish > ~/.config/fish/completions/inferbook.fish"),
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "words", Hidden: true, Usage: "print the words that may follow the given ones"}, dbFlag()},
		Action:    p.completionAction,
	}
}

// The scripts ask the program itself what may follow, so that commands, flags
// and the notebook's own experiments are never out of date.
var completionScripts = map[string]string{
	"bash": `_inferbook() {
  local cur="${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=($(compgen -W "$(inferbook completion --words -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$cur"))
}
complete -o default -F _inferbook inferbook
`,
	"zsh": `#compdef inferbook
_inferbook() {
  local -a list
  list=(${(f)"$(inferbook completion --words -- "${(@)words[2,CURRENT-1]}" 2>/dev/null)"})
  compadd -a list
  _files
}
if [ "$funcstack[1]" = "_inferbook" ]; then _inferbook "$@"; else compdef _inferbook inferbook; fi
`,
	"fish": `function __inferbook_words
  set -l words (commandline -opc)
  inferbook completion --words -- $words[2..-1] 2>/dev/null
end
complete -c inferbook -a '(__inferbook_words)'
`,
}

func (p *program) completionAction(c *cli.Context) error {
	if c.Bool("words") {
		fmt.Fprintln(p.out, strings.Join(p.following(c, c.Args().Slice()), "\n"))
		return nil
	}
	script, ok := completionScripts[c.Args().First()]
	if !ok || c.NArg() != 1 {
		return usage("completion needs a shell: bash, zsh or fish")
	}
	fmt.Fprint(p.out, script)
	return nil
}

// following lists what may come after the words typed so far: commands, or the
// command's flags, subcommands and the experiments or readings it takes.
func (p *program) following(c *cli.Context, typed []string) []string {
	var words, path []string
	commands := c.App.Commands
	var cmd *cli.Command
	for _, w := range typed {
		if next := find(commands, w); next != nil {
			cmd, commands, path = next, next.Subcommands, append(path, next.Name)
		}
	}
	if cmd != nil && strings.HasPrefix(typed[len(typed)-1], "-") {
		if flag := valueFlag(cmd, typed[len(typed)-1]); flag != "" {
			return p.values(c, flag)
		}
	}
	for _, sub := range commands {
		words = append(words, sub.Name)
	}
	if cmd == nil {
		return words
	}
	for _, f := range cmd.VisibleFlags() {
		for _, name := range f.Names() {
			if len(name) > 1 {
				words = append(words, "--"+name)
			}
		}
	}
	return append(words, p.names(c, strings.Join(path, " "))...)
}

// valueFlag gives the name of the flag that the word is, when a value follows it.
func valueFlag(cmd *cli.Command, word string) string {
	bare := strings.TrimLeft(word, "-")
	for _, f := range cmd.Flags {
		if _, isBool := f.(*cli.BoolFlag); !isBool && slices.Contains(f.Names(), bare) {
			return f.Names()[0]
		}
	}
	return ""
}

// values lists what a flag may be given; nothing where that is the person's own,
// so that the shell offers file names.
func (p *program) values(c *cli.Context, flag string) []string {
	var words []string
	switch flag {
	case "reading":
		return p.names(c, "readings show")
	case "as":
		return peer.Names()
	case "like", "baseline":
		return p.names(c, "show")
	case "figure":
		return figureKinds
	case "endpoint":
		return []string{string(experiment.Chat), string(experiment.Completions)}
	case "precision":
		return []string{"bf16", "fp8"}
	case "gpu":
		for _, g := range sim.GPUs() {
			words = append(words, g.Name)
		}
	case "runtime":
		for _, r := range sim.Runtimes() {
			words = append(words, r.Name)
		}
	}
	return words
}

// names lists what a command's arguments may be: experiments, readings, shells.
// Without a notebook there are no experiments and no readings.
func (p *program) names(c *cli.Context, command string) []string {
	switch command {
	case "explain":
		return explainableWords()
	case "completion":
		return slices.Sorted(maps.Keys(completionScripts))
	case "show", "curve", "why", "gate", "cost", "note", "report new", "tag", "rename", "rm", "restore", "readings show", "readings status":
	default:
		return nil
	}
	path, exists, err := p.notebookPath(c)
	if err != nil || !exists {
		return nil
	}
	nb, err := store.Open(c.Context, path, store.Options{ReadOnly: true})
	if err != nil {
		return nil
	}
	defer nb.Close()
	var words []string
	if strings.HasPrefix(command, "readings") {
		list, err := nb.Readings(c.Context)
		if err != nil {
			return nil
		}
		for _, r := range list {
			words = append(words, r.Slug)
		}
		return words
	}
	list, err := nb.List(c.Context, store.Filter{Limit: 100, Trash: command == "restore"})
	if err != nil {
		return nil
	}
	for _, l := range list {
		words = append(words, l.Alias())
	}
	return words
}
