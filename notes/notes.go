// Package notes is the reading list: one Markdown file a reading, and README.md
// as its table of contents.
//
// It believes that a reading and a measurement should be able to name each
// other. So a reading has a slug that an observation can cite, figures that
// carry their source, commands that put those figures to the test, and an empty
// place for what the person learned. The files are the truth and stay readable
// without this program; the package embeds them, so that a notebook can be
// created where there is no checkout, and refuses a file whose front matter it
// would have to guess at.
package notes

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

// index is the one Markdown file here that is not a reading.
const index = "README.md"

//go:embed *.md
var files embed.FS

// FS gives the files of the reading list, README.md among them, at its root.
func FS() fs.FS { return files }

// List gives the readings in the order of README.md. An error names the file
// that is at fault.
func List() ([]experiment.ReadingEntry, error) { return list(files) }

func list(fsys fs.FS) ([]experiment.ReadingEntry, error) {
	names, err := fs.Glob(fsys, "*.md")
	if err != nil {
		return nil, fmt.Errorf("listing readings: %w", err)
	}
	var entries []experiment.ReadingEntry
	at := map[int]string{} // order → file
	for _, name := range names {
		if name == index {
			continue
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		e, err := Parse(name, data)
		if err != nil {
			return nil, err
		}
		if other, taken := at[e.Order]; taken {
			return nil, fmt.Errorf("%s: order %d is also that of %s", name, e.Order, other)
		}
		at[e.Order] = name
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b experiment.ReadingEntry) int { return cmp.Compare(a.Order, b.Order) })
	return entries, nil
}
