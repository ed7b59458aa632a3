package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/xrash/smetrics"

	"github.com/inferbook/inferbook/experiment"
)

// lastRef names the newest experiment that is not in the trash.
const lastRef = "last"

// minPrefix is how much of a ULID must be written: fewer characters are only time.
const minPrefix = 6

// Experiment finds an experiment by "exp-3" or "3", its ULID or a prefix of at
// least six characters that only one has, its exact name, or "last" for the
// newest. One in the trash is found too, except by "last". A reference that means
// nothing is [NotFound], and names what comes near.
func (n *Notebook) Experiment(ctx context.Context, ref string) (*experiment.Experiment, error) {
	e, err := n.findExperiment(ctx, ref)
	if err != nil {
		return nil, n.fault("looking up "+ref, err)
	}
	return e, nil
}

func (n *Notebook) findExperiment(ctx context.Context, ref string) (*experiment.Experiment, error) {
	where, arg := "e.name = ? AND e.name <> ''", any(ref)
	if number, ok := experiment.ParseAlias(ref); ok {
		where, arg = "e.number = ?", number
	} else if ref == lastRef {
		where, arg = "e.deleted_ns IS NULL AND ? <> '' ORDER BY e.number DESC LIMIT 1", ref
	}
	found, err := n.experimentsWhere(ctx, where, arg)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && len(ref) >= minPrefix {
		// '~' comes after every character of a ULID.
		prefix := strings.ToUpper(ref)
		found, err = n.experimentsWhere(ctx, "e.id >= ? AND e.id < ? ORDER BY e.number LIMIT 2", prefix, prefix+"~")
		if err != nil {
			return nil, err
		}
	}
	switch len(found) {
	case 1:
		return &found[0], nil
	case 0:
		return nil, n.noExperiment(ctx, ref)
	}
	return nil, invalid("write more of it", "%q begins the ID of several experiments, such as %s and %s", ref, found[0].Alias(), found[1].Alias())
}

func (n *Notebook) experimentsWhere(ctx context.Context, where string, args ...any) ([]experiment.Experiment, error) {
	rows, err := n.read.QueryContext(ctx, "SELECT "+experimentColumns+" FROM experiment e WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []experiment.Experiment
	for rows.Next() {
		var e experiment.Experiment
		if err := scanExperiment(rows, &e); err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, rows.Err()
}

// noExperiment says that nothing has the reference, and what comes near.
func (n *Notebook) noExperiment(ctx context.Context, ref string) error {
	var newest sql.Null[int]
	if err := n.read.QueryRowContext(ctx, "SELECT max(number) FROM experiment WHERE deleted_ns IS NULL").Scan(&newest); err != nil {
		return err
	}
	e := &Error{Code: NotFound, Msg: fmt.Sprintf("there is no experiment %q in %s", ref, n.path), Hint: `see "inferbook ls"`}
	if !newest.Valid {
		e.Hint = `it has none yet; record one with "inferbook run"`
		return e
	}
	names, err := texts(ctx, n.read, "SELECT name FROM experiment WHERE name <> '' AND deleted_ns IS NULL ORDER BY number DESC")
	if err != nil {
		return err
	}
	if _, number := experiment.ParseAlias(ref); number {
		e.Hint = fmt.Sprintf("the newest is exp-%d", newest.V)
	} else if near := nearest(ref, names); len(near) > 0 {
		e.Hint = didYouMean(near)
	}
	return e
}

// nearest gives up to three of the names that look like word, the likest first.
func nearest(word string, names []string) []string {
	type candidate struct {
		name  string
		score float64
	}
	var near []candidate
	w := strings.ToLower(word)
	for _, name := range names {
		l := strings.ToLower(name)
		score := smetrics.JaroWinkler(w, l, 0.7, 4)
		if len(w) >= 3 && strings.Contains(l, w) {
			score = 1
		}
		if score >= 0.8 {
			near = append(near, candidate{name, score})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	var out []string
	for _, c := range near[:min(3, len(near))] {
		out = append(out, c.name)
	}
	return out
}

func didYouMean(near []string) string { return "did you mean " + strings.Join(near, " or ") + "?" }
