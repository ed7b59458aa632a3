package sim

import (
	"maps"
	"os"
	"slices"
	"testing"
)

// A person's profile is refused with a reason or gives a catalogue in which each row
// that it holds can be found; it never breaks the program.
func FuzzProfile(f *testing.F) {
	links, err := os.ReadFile("data/links.yaml") // the whole catalogue would take a fuzzer's time
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(links))
	f.Add("gpus:\n- {name: x, memory_gb: 1e999}")
	f.Add("links:\n- {name: a, like: a, source: b, sizes: [1], micros: {2: [1], 8: [1]}}")
	f.Add("links:\n- {name: a, like: b, source: b, bandwidth_gb_s: 1}\n- {name: b, like: a, source: b, bandwidth_gb_s: 1}")
	f.Add("models:\n- {name: x, family: f, layers: 1, hidden: 1, heads: 1, kv_heads: 1, head_dim: 1, inner: 1, vocabulary: 1, context: 2000, source: s}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Builtin().With(text)
		if err != nil {
			return
		}
		for _, g := range c.GPUs {
			if _, err := c.gpu(g.Name); err != nil {
				t.Fatal(err)
			}
			c.link(g.Link)
		}
		d, err := Config{Model: c.Models[0].Name, Runtime: c.Runtimes[0].Name, GPU: c.GPUs[0].Name, Profiles: text}.Resolve()
		if err == nil && !(d.KVBlocks > 0 && d.MaxModelLen > 0) {
			t.Fatalf("%s has no pool", d)
		}
	})
}

// What a person writes after --fault and --sim is refused or understood.
func FuzzSettings(f *testing.F) {
	f.Add("stall:5s,20@0.05", "speculate", "4:0.7:0.1")
	f.Add("429:2@0.1", "max-seqs", "8")
	f.Add("lumps", "memory-utilization", "NaN")
	names := slices.Sorted(maps.Keys(Options()))
	f.Fuzz(func(t *testing.T, fault, name, value string) {
		if k, err := ParseFault(fault); err == nil && !(k.chance >= 0 && k.chance <= 1) {
			t.Fatalf("%q happens with a chance of %g", fault, k.chance)
		}
		var c Config
		if err := c.Set(name, value); err == nil && !slices.Contains(names, name) {
			t.Fatalf("the setting %q is not listed", name)
		}
	})
}
