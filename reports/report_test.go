package reports

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden compares with a file under testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); if this is right, run the test with -update:\n%s", path, diff)
	}
}

// pictures stands for the report's folder.
var pictures = fstest.MapFS{
	"figures/curve-ttft.svg":          {Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 5"><path d="M0 5 9 0" stroke="#0072b2"/></svg>`)},
	"figures/curve-interactivity.svg": {Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 5"><path d="M0 0 9 5" stroke="#d55e00"/></svg>`)},
}

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name     string
		material Material
	}{
		{"comparison", comparison()}, // two simulated cards, notes, prices, figures
		{"fragment", fragment()},     // one point, interrupted, no price, no notes, unknown hardware
	} {
		t.Run(c.name, func(t *testing.T) {
			markdown, err := New(c.material)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.name+".md", markdown)
			page, err := HTML(markdown, HTMLOptions{Base: pictures})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.name+".html", page)
		})
	}
}
