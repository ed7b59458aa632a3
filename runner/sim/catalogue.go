package sim

import (
	"cmp"
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/xrash/smetrics"
)

// Catalogue is what the engine knows of hardware, models, runtimes and how far to
// trust it. It is data: files of this package, and the user's own beside them.
type Catalogue struct {
	// References are sources that rows name by a short key.
	References map[string]string `yaml:"references"`
	GPUs       []GPU             `yaml:"gpus"`
	Links      []Link            `yaml:"links"`
	Models     []Model           `yaml:"models"`
	Runtimes   []Runtime         `yaml:"runtimes"`
	Fits       []Fit             `yaml:"fits"`
	Checks     []Check           `yaml:"checks"`

	// own are the rows of a person's profile, which are among the others too; nil = none.
	own *Catalogue
}

//go:embed data/*.yaml
var dataFiles embed.FS

// builtin is the catalogue that the program carries.
var builtin = sync.OnceValue(func() *Catalogue {
	c := &Catalogue{own: &Catalogue{}}
	for _, name := range []string{"links", "gpus", "models", "runtimes", "fits"} {
		text, err := dataFiles.ReadFile("data/" + name + ".yaml")
		if err == nil {
			c, _, err = c.with(string(text))
		}
		if err != nil {
			panic(fmt.Sprintf("sim: the built-in %s.yaml: %v", name, err))
		}
	}
	return c
})

// Builtin gives the catalogue that the program carries. It must not be changed.
func Builtin() *Catalogue { return builtin() }

// With gives the catalogue with the rows of a profile, strict YAML of the form of
// the built-in files, in front of its own: a row of the same name replaces one. The
// error names line and column.
func (c *Catalogue) With(profile string) (*Catalogue, error) {
	if strings.TrimSpace(profile) == "" {
		return c, nil
	}
	next, add, err := c.with(profile)
	if err != nil {
		return nil, fmt.Errorf("reading a profile: %w", err)
	}
	next.own = add
	return next, nil
}

// with gives the catalogue with the rows of a text in front, and these rows alone.
func (c *Catalogue) with(text string) (next, add *Catalogue, err error) {
	add = &Catalogue{}
	if err := yaml.UnmarshalWithOptions([]byte(text), add, yaml.Strict()); err != nil {
		return nil, nil, err
	}
	add.complete()
	next = &Catalogue{
		own:      &Catalogue{},
		GPUs:     merge(add.GPUs, c.GPUs, func(g GPU) string { return g.Name }),
		Links:    merge(add.Links, c.Links, func(l Link) string { return l.Name }),
		Models:   merge(add.Models, c.Models, func(m Model) string { return m.Name }),
		Runtimes: merge(add.Runtimes, c.Runtimes, func(r Runtime) string { return r.Name }),
		Fits:     merge(add.Fits, c.Fits, func(f Fit) string { return f.Name }),
		Checks:   slices.Concat(add.Checks, c.Checks),
	}
	return next, add, next.check(add)
}

// merge puts the rows of a profile before the others, whose order stays.
func merge[T any](add, have []T, name func(T) string) []T {
	kept := slices.DeleteFunc(slices.Clone(have), func(h T) bool {
		return slices.ContainsFunc(add, func(a T) bool { return name(a) == name(h) })
	})
	return slices.Concat(add, kept)
}

// complete fills in what rows leave to their defaults and spells their sources out.
func (c *Catalogue) complete() {
	spell := func(sources map[string]string) {
		for figure, s := range sources {
			sources[figure] = cmp.Or(c.References[s], s)
		}
	}
	for i := range c.GPUs {
		spell(c.GPUs[i].Sources)
	}
	for i := range c.Runtimes {
		spell(c.Runtimes[i].Sources)
		c.Runtimes[i].setConstants(c.Runtimes[i].Constants)
	}
	for i := range c.Links {
		c.Links[i].Source = cmp.Or(c.References[c.Links[i].Source], c.Links[i].Source)
	}
	for i := range c.Models {
		c.Models[i].Source = cmp.Or(c.References[c.Models[i].Source], c.Models[i].Source)
	}
	for i := range c.Fits {
		c.Fits[i].Source = cmp.Or(c.References[c.Fits[i].Source], c.Fits[i].Source)
	}
	for i := range c.Checks {
		c.Checks[i].Source = cmp.Or(c.References[c.Checks[i].Source], c.Checks[i].Source)
	}
}

// check reports what is wrong with the rows of a profile.
func (c *Catalogue) check(add *Catalogue) error {
	for _, g := range add.GPUs {
		if err := g.check(c); err != nil {
			return fmt.Errorf("GPU %q: %w", g.Name, err)
		}
	}
	for _, l := range add.Links {
		if err := l.check(c); err != nil {
			return fmt.Errorf("link %q: %w", l.Name, err)
		}
	}
	for _, m := range add.Models {
		if err := m.check(); err != nil {
			return fmt.Errorf("model %q: %w", m.Name, err)
		}
	}
	for _, r := range add.Runtimes {
		if err := r.check(); err != nil {
			return fmt.Errorf("runtime %q: %w", r.Name, err)
		}
	}
	for _, f := range add.Fits {
		if err := f.check(c); err != nil {
			return fmt.Errorf("fit %q: %w", f.Name, err)
		}
	}
	for i, k := range add.Checks {
		if err := k.check(c); err != nil {
			return fmt.Errorf("check %d: %w", i+1, err)
		}
	}
	return nil
}

// GPUs gives the hardware catalogue, small to large.
func GPUs() []GPU { return slices.Clone(Builtin().GPUs) }

// Models gives the model catalogue.
func Models() []Model { return slices.Clone(Builtin().Models) }

// Runtimes gives the catalogue of runtimes.
func Runtimes() []Runtime { return slices.Clone(Builtin().Runtimes) }

// NativePrecision is the precision that a built-in model's weights are published in; bf16
// for any other.
func NativePrecision(model string) string {
	m, err := Builtin().model(model)
	if err != nil || m.Native == "" {
		return bf16
	}
	return m.Native
}

func (c *Catalogue) gpu(name string) (GPU, error) {
	return find(c.GPUs, func(g GPU) string { return g.Name }, "GPU", name)
}

func (c *Catalogue) model(name string) (Model, error) {
	return find(c.Models, func(m Model) string { return m.Name }, "model", name)
}

func (c *Catalogue) runtime(name string) (Runtime, error) {
	return find(c.Runtimes, func(r Runtime) string { return r.Name }, "runtime", name)
}

// link gives the link of a name with the one that it is like; the zero link for none.
func (c *Catalogue) link(name string) Link {
	l := c.linkRow(name)
	if l.Like != "" {
		like := c.linkRow(l.Like)
		l.like = &like
	}
	return l
}

// linkRow gives the link of a name as it stands in the catalogue.
func (c *Catalogue) linkRow(name string) Link {
	for _, l := range c.Links {
		if l.Name == name {
			return l
		}
	}
	return Link{}
}

// find gives the row with a name, or an error with the nearest name and all names.
func find[T any](rows []T, name func(T) string, kind, want string) (T, error) {
	for _, r := range rows {
		if name(r) == want {
			return r, nil
		}
	}
	var zero T
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = name(r)
	}
	if near := nearest(want, names); near != "" {
		return zero, fmt.Errorf("unknown %s %q; did you mean %s? There are %s", kind, want, near, strings.Join(names, ", "))
	}
	return zero, fmt.Errorf("unknown %s %q; there are %s", kind, want, strings.Join(names, ", "))
}

// nearest gives the name that begins most like what was typed, by two characters
// or more, or else one that a third of its characters turns into; "" = none.
// "h1000" means an H100, though "a10g" is no more edits away. Case does not count.
func nearest(want string, names []string) string {
	want = strings.ToLower(want)
	best := slices.MinFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(begin(want, b), begin(want, a)), cmp.Compare(distance(want, a), distance(want, b)))
	})
	if begin(want, best) >= 2 {
		return best
	}
	best = slices.MinFunc(names, func(a, b string) int { return cmp.Compare(distance(want, a), distance(want, b)) })
	if 3*distance(want, best) > len(want) {
		return ""
	}
	return best
}

// begin is how many bytes two names have in common at their beginning.
func begin(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int { return smetrics.WagnerFischer(a, b, 1, 1, 1) }
