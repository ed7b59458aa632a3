package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// Filter says which experiments to list. The zero value lists all that are not in
// the trash.
type Filter struct {
	Tag string
	// Text holds words that must all occur, in any case, in the name, message,
	// model, tags, facts or notes.
	Text   string
	Trash  bool              // those in the trash, and no others
	Status experiment.Status // "" = any
	Limit  int               // the newest so many; 0 = all
}

// Listed is one experiment of a listing.
type Listed struct {
	experiment.Experiment
	Points int
	// Figures holds the newest cached figures of the points that have some, in
	// the order of the points. It can be shorter than Points.
	Figures []PointFigures
}

// PointFigures are the few numbers of a point that a listing shows, as
// [Notebook.PutSummary] cached them.
type PointFigures struct {
	PointID    string
	Load       experiment.Load
	Repeat     int
	Definition int // version of the metric definitions
	Sent, OK   int // measured requests, and of these the successful ones
	// OutputTokS is in tokens per second, the latencies are in ms; NaN = none.
	OutputTokS, TTFTP95ms, TPOTP95ms float64
}

const experimentColumns = `e.id, e.number, e.name, e.message, e.status, e.started_ns, e.ended_ns, e.deleted_ns, e.spec, e.environment,
	(SELECT json_group_array(t.tag ORDER BY t.tag) FROM experiment_tag t WHERE t.experiment_id = e.id)`

func scanExperiment(row interface{ Scan(...any) error }, e *experiment.Experiment) error {
	var started, ended, deleted sql.Null[int64]
	var spec, environment, tags sql.RawBytes
	var raw = []any{&e.ID, &e.Number, &e.Name, &e.Message, &e.Status, &started, &ended, &deleted, &spec, &environment, &tags}
	if err := row.Scan(raw...); err != nil {
		return err
	}
	e.Started, e.Ended, e.Deleted = at(started), at(ended), at(deleted)
	for _, part := range []struct {
		json []byte
		into any
	}{{spec, &e.Spec}, {environment, &e.Environment}, {tags, &e.Tags}} {
		if string(part.json) == "[]" {
			continue
		}
		if err := json.Unmarshal(part.json, part.into); err != nil {
			return fmt.Errorf("decoding exp-%d: %w", e.Number, err)
		}
	}
	return nil
}

// List gives the experiments that pass the filter, the newest number first. It
// reads no sample.
func (n *Notebook) List(ctx context.Context, f Filter) ([]Listed, error) {
	list, err := n.list(ctx, f)
	return list, n.fault("listing experiments", err)
}

func (n *Notebook) list(ctx context.Context, f Filter) ([]Listed, error) {
	where, args := f.where()
	tx, err := n.read.BeginTx(context.WithoutCancel(ctx), nil) // one state of the file for all queries
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	rows, err := tx.Query("SELECT "+experimentColumns+" FROM experiment e "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Listed
	place := map[string]int{}
	for rows.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var l Listed
		if err := scanExperiment(rows, &l.Experiment); err != nil {
			return nil, err
		}
		place[l.ID] = len(list)
		list = append(list, l)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return list, addFigures(ctx, tx, list, place, where, args)
}

// where gives the clauses after FROM experiment e.
func (f Filter) where() (string, []any) {
	and := []string{"e.deleted_ns IS NULL"}
	var args []any
	if f.Trash {
		and[0] = "e.deleted_ns IS NOT NULL"
	}
	if f.Status != "" {
		and, args = append(and, "e.status = ?"), append(args, f.Status)
	}
	if f.Tag != "" {
		and = append(and, "EXISTS (SELECT 1 FROM experiment_tag t WHERE t.experiment_id = e.id AND t.tag = ?)")
		args = append(args, f.Tag)
	}
	for _, word := range strings.Fields(f.Text) {
		and = append(and, `(e.name LIKE ?1 ESCAPE '\' OR e.message LIKE ?1 ESCAPE '\' OR e.spec ->> 'model' LIKE ?1 ESCAPE '\'
			OR EXISTS (SELECT 1 FROM experiment_tag t WHERE t.experiment_id = e.id AND t.tag LIKE ?1 ESCAPE '\')
			OR EXISTS (SELECT 1 FROM json_each(e.environment, '$.facts') j WHERE j.value ->> 'value' LIKE ?1 ESCAPE '\')
			OR EXISTS (SELECT 1 FROM note o WHERE o.experiment_id = e.id AND o.deleted_ns IS NULL AND o.text LIKE ?1 ESCAPE '\'))`)
		args = append(args, "%"+likeEscaper.Replace(word)+"%")
		and[len(and)-1] = strings.ReplaceAll(and[len(and)-1], "?1", fmt.Sprintf("?%d", len(args)))
	}
	limit := -1
	if f.Limit > 0 {
		limit = f.Limit
	}
	return "WHERE " + strings.Join(and, " AND ") + " ORDER BY e.number DESC LIMIT ?", append(args, limit)
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// addFigures counts the points of the listed experiments and adds their newest figures.
func addFigures(ctx context.Context, tx *sql.Tx, list []Listed, place map[string]int, where string, args []any) error {
	rows, err := tx.Query(`SELECT p.experiment_id, p.id, p.load, p.repeat, f.definition, f.sent, f.ok, f.output_tok_s, f.ttft_p95_ms, f.tpot_p95_ms
		FROM (SELECT e.id FROM experiment e `+where+`) x JOIN point p ON p.experiment_id = x.id
		LEFT JOIN figure f ON f.point = p.num AND f.definition = (SELECT max(g.definition) FROM figure g WHERE g.point = p.num)
		ORDER BY p.experiment_id, p.ordinal`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var experimentID, load string
		var f PointFigures
		var definition, sent, ok sql.Null[int]
		var rate, ttft, tpot sql.Null[float64]
		if err := rows.Scan(&experimentID, &f.PointID, &load, &f.Repeat, &definition, &sent, &ok, &rate, &ttft, &tpot); err != nil {
			return err
		}
		l := &list[place[experimentID]]
		l.Points++
		if !definition.Valid {
			continue
		}
		if err := json.Unmarshal([]byte(load), &f.Load); err != nil {
			return fmt.Errorf("decoding the load of point %s: %w", f.PointID, err)
		}
		f.Definition, f.Sent, f.OK = definition.V, sent.V, ok.V
		f.OutputTokS, f.TTFTP95ms, f.TPOTP95ms = number(rate), number(ttft), number(tpot)
		l.Figures = append(l.Figures, f)
	}
	return rows.Err()
}

// number gives NaN for NULL.
func number(v sql.Null[float64]) float64 {
	if !v.Valid {
		return math.NaN()
	}
	return v.V
}

// Stale reports whether a look at the notebook would have something to write:
// a run that is marked as running and may have died, or a finished point whose
// figures under this number of the definitions are not cached. Where it gives
// false, [Options.ReadOnly] shows everything there is to see.
func (n *Notebook) Stale(ctx context.Context, definition int) (bool, error) {
	var stale bool
	err := n.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM experiment WHERE status = ?1) OR EXISTS (
		SELECT 1 FROM point p WHERE p.status <> ?1 AND NOT EXISTS (SELECT 1 FROM figure f WHERE f.point = p.num AND f.definition = ?2))`,
		experiment.Running, definition).Scan(&stale)
	return stale, n.fault("looking for what is not summarised", err)
}
