package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/analysis/peer"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/notes"
)

func (p *program) explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "what a word means, its formula with this notebook's numbers, and what other tools mean by it",
		UsageText: examples("inferbook explain ttft", "inferbook explain output_throughput@2", "inferbook explain knee", "inferbook explain I17     a rule of `inferbook why`",
			"inferbook explain          everything that can be explained"),
		Flags:  []cli.Flag{jsonFlag(), dbFlag()},
		Action: p.explainAction,
	}
}

// topic is what a word stands for: a metric, a rule, or a word. Others is what the tools mean by it.
type topic struct {
	metric *analysis.Metric
	rule   *instinct.Rule
	term   *analysis.Term
	others []peer.Definition
	// asked is the version of the metric that was asked for, where it is an older one; 0 = the present.
	asked int
}

// explanation is what `explain --json` prints.
type explanation struct {
	document
	Word       string             `json:"word"`
	Metric     *metricEntry       `json:"metric,omitempty"`
	Rule       *ruleView          `json:"rule,omitempty"`
	Term       *analysis.Term     `json:"term,omitempty"`
	Latest     *latest            `json:"latest,omitempty"`
	Others     []peer.Definition  `json:"others"`
	Changes    []analysis.Change  `json:"changes"`
	Versions   []otherVersion     `json:"versions"`
	Readings   []explainedReading `json:"readings"`
	Definition int                `json:"definition"`
}

// metricEntry is a metric as data.
type metricEntry struct {
	ID        string             `json:"id"`
	Name      string             `json:"name"`
	Version   int                `json:"version"`
	Title     string             `json:"title"`
	Formula   string             `json:"formula"`
	Unit      string             `json:"unit"`
	Direction analysis.Direction `json:"direction"`
	Needs     string             `json:"needs"`
}

type explainedReading struct {
	Slug   string                   `json:"slug"`
	Title  string                   `json:"title"`
	Status experiment.ReadingStatus `json:"status,omitempty"` // empty = there is no notebook
}

func (p *program) explainAction(c *cli.Context) error {
	word := strings.TrimSpace(strings.Join(c.Args().Slice(), " "))
	if word == "" {
		return p.explainable(c.Bool("json"))
	}
	t, err := findTopic(word)
	if err != nil {
		return err
	}
	nb, err := p.notebookIfAny(c)
	if err != nil {
		return err
	}
	if nb != nil {
		defer nb.Close()
	}
	x, err := explain(c.Context, nb, word, t)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(p.out, x)
	}
	p.printExplanation(x, t, nb != nil)
	return nil
}

// notebookIfAny opens the notebook to look at it; nil = there is none, and none was named.
func (p *program) notebookIfAny(c *cli.Context) (*store.Notebook, error) {
	_, exists, err := p.notebookPath(c)
	if err != nil || !exists && c.String("db") == "" && p.env("INFERBOOK_DB") == "" {
		return nil, err
	}
	return p.look(c)
}

var ruleID = regexp.MustCompile(`^[iIvV][0-9]+$`)

// findTopic finds what a word stands for: metrics by name, ID and title, then rules, words, and the
// words of other tools.
func findTopic(word string) (topic, error) {
	plain := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(word))
	name, version, versioned := strings.Cut(plain, "@")
	for _, m := range analysis.Metrics() {
		if m.Name != name && !strings.EqualFold(m.Title, word) {
			continue
		}
		t := topic{metric: &m, others: peer.Definitions(m.Name)}
		if term, ok := analysis.TermByWord(m.Name); ok {
			t.term = &term
		}
		if versioned && m.ID() != plain {
			if _, err := fmt.Sscan(version, &t.asked); err != nil || t.asked < 1 || t.asked > m.Version {
				return t, usage("there is no %s: %s is at version %d, so write %s", word, m.Name, m.Version, m.ID())
			}
		}
		return t, nil
	}
	if r, ok := instinct.ByID(word); ok {
		return topic{rule: &r}, nil
	}
	if ruleID.MatchString(word) {
		return topic{}, usage("there is no rule %s; `inferbook why --list` names them", strings.ToUpper(word))
	}
	if term, ok := analysis.TermByWord(word); ok {
		return topic{term: &term, others: peer.Definitions(term.Word)}, nil
	}
	if others := peer.Definitions(name); len(others) > 0 {
		return topic{others: others}, nil
	}
	if tool, ok := peer.ByName(word); ok {
		return topic{}, usage("%s is a tool, not a word; `inferbook show exp-3 --as %s` prints what it would have printed, and why its figures differ", tool.Title, tool.Name)
	}
	if near := nearest(explainableWords(), strings.ToLower(word)); near != "" {
		return topic{}, usage("there is nothing to explain under %q; did you mean %s?", word, near)
	}
	return topic{}, usage("there is nothing to explain under %q; `inferbook explain` lists what there is", word)
}

// explainableWords lists what can be typed after explain.
func explainableWords() []string {
	var words []string
	for _, m := range analysis.Metrics() {
		words = append(words, m.Name)
	}
	for _, t := range analysis.Glossary() {
		words = append(words, t.Word)
		words = append(words, t.Also...)
	}
	for _, r := range instinct.Rules() {
		words = append(words, r.ID)
	}
	return unique(append(words, peer.Words()...))
}

// explain gathers what there is to say about a topic; without a notebook, all but its numbers.
func explain(ctx context.Context, nb *store.Notebook, word string, t topic) (*explanation, error) {
	x := &explanation{document: document{"inferbook.explain/1"}, Word: word, Term: t.term, Others: t.others, Definition: analysis.DefinitionVersion,
		Changes: []analysis.Change{}, Versions: []otherVersion{}}
	if x.Others == nil {
		x.Others = []peer.Definition{}
	}
	var slugs []string
	if m := t.metric; m != nil {
		x.Metric = &metricEntry{m.ID(), m.Name, m.Version, m.Title, m.Formula, m.Unit, m.Direction, m.Needs}
		slugs = append(slugs, m.Reading)
		for _, c := range analysis.History() {
			if c.Redefines(*m) {
				x.Changes = append(x.Changes, c)
			}
		}
	}
	if t.term != nil {
		slugs = append(slugs, t.term.Reading)
	}
	if r := t.rule; r != nil {
		slugs = append(slugs, r.Reading)
		var settings instinct.Settings
		if nb != nil {
			list, err := nb.RuleSettings(ctx)
			if err != nil {
				return nil, err
			}
			settings = list
		}
		v := viewRule(*r, settings)
		x.Rule = &v
	}
	if nb != nil {
		if err := x.look(ctx, nb, t); err != nil {
			return nil, err
		}
	}
	var err error
	x.Readings, err = explainedReadings(ctx, nb, unique(slugs))
	return x, err
}

// explainedReadings gives readings with their titles, and how far the person is with them.
func explainedReadings(ctx context.Context, nb *store.Notebook, slugs []string) ([]explainedReading, error) {
	built, err := notes.List()
	if err != nil {
		return nil, err
	}
	out := []explainedReading{}
	for _, slug := range slugs {
		r := explainedReading{Slug: slug}
		if i := slices.IndexFunc(built, func(e experiment.ReadingEntry) bool { return e.Slug == slug }); i >= 0 {
			r.Title = built[i].Title
		}
		if nb != nil {
			// A notebook need not have every reading of the built-in list.
			if e, err := nb.Reading(ctx, slug); err == nil {
				r.Title, r.Status = e.Title, e.Status
			} else if fault := (*store.Error)(nil); !errors.As(err, &fault) || fault.Code != store.NotFound {
				return nil, err
			}
		}
		out = append(out, r)
	}
	return out, nil
}
