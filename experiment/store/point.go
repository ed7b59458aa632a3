package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Points gives the points of an experiment in the order of their ordinals. An
// experiment that does not exist has none.
func (n *Notebook) Points(ctx context.Context, experimentID string) ([]experiment.Point, error) {
	points, err := n.points(ctx, experimentID)
	return points, n.fault("reading points", err)
}

func (n *Notebook) points(ctx context.Context, experimentID string) ([]experiment.Point, error) {
	rows, err := n.read.QueryContext(ctx, `SELECT id, experiment_id, ordinal, repeat, load, seed, status, anchor_ns,
		window_start_ns, window_send_end_ns, window_end_ns, window_rule, health, coalesce(ended, '')
		FROM point WHERE experiment_id = ? ORDER BY ordinal`, experimentID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var points []experiment.Point
	for rows.Next() {
		var p experiment.Point
		var load, health string
		var seed, anchor int64
		var start, sendEnd, end sql.Null[int64]
		if err := rows.Scan(&p.ID, &p.ExperimentID, &p.Ordinal, &p.Repeat, &load, &seed, &p.Status, &anchor,
			&start, &sendEnd, &end, &p.Window.Rule, &health, &p.Ended); err != nil {
			return nil, err
		}
		p.Seed, p.Anchor = uint64(seed), time.Unix(0, anchor).UTC()
		p.Window.Start, p.Window.SendEnd, p.Window.End = happened(start), happened(sendEnd), happened(end)
		p.Health = unobserved
		if err := errors.Join(json.Unmarshal([]byte(load), &p.Load), json.Unmarshal([]byte(health), &p.Health)); err != nil {
			return nil, fmt.Errorf("decoding point %s: %w", p.ID, err)
		}
		points = append(points, p)
	}
	return points, rows.Err()
}

// unobserved holds what the health of a point says where its JSON has no such
// field: a program of schema 1 did not look, and that is not the same as no lag.
var unobserved = experiment.Health{
	SendLagMax: experiment.Unknown, WakeLagP99: experiment.Unknown,
	ReadLagP50: experiment.Unknown, ReadLagP99: experiment.Unknown, ReadLagMax: experiment.Unknown,
}

// Schedule gives the arrivals of a point's open loops as they were planned before
// its first byte was sent. It is nil for a closed loop, and for a point that does
// not exist.
func (n *Notebook) Schedule(ctx context.Context, pointID string) (experiment.Schedule, error) {
	var entries []byte
	err := n.read.QueryRowContext(ctx, `SELECT s.entries FROM schedule s JOIN point p ON p.num = s.point WHERE p.id = ?`, pointID).Scan(&entries)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	var s experiment.Schedule
	if err == nil {
		err = s.UnmarshalBinary(entries)
	}
	return s, n.fault("reading the schedule of point "+pointID, err)
}

// happened is the reverse of [instant].
func happened(ns sql.Null[int64]) experiment.Instant {
	if !ns.Valid {
		return experiment.Never
	}
	return experiment.Instant(ns.V)
}

// pointRow gives the values of the columns after id and experiment_id.
func pointRow(p *experiment.Point) ([]any, error) {
	load, err := json.Marshal(p.Load)
	if err != nil {
		return nil, invalid("", "the load of point %s cannot be recorded: %v", p.ID, err)
	}
	health, err := json.Marshal(p.Health)
	if err != nil {
		return nil, invalid("", "the health of point %s cannot be recorded: %v", p.ID, err)
	}
	w := p.Window
	return []any{p.Ordinal, p.Repeat, string(load), int64(p.Seed), p.Status, p.Anchor.UnixNano(),
		instant(w.Start), instant(w.SendEnd), instant(w.End), w.Rule, string(health), text(string(p.Ended))}, nil
}

func insertPoint(ctx context.Context, tx *sql.Tx, p *experiment.Point) (num int64, err error) {
	row, err := pointRow(p)
	if err != nil {
		return 0, err
	}
	done, err := tx.ExecContext(ctx, `INSERT INTO point (id, experiment_id, ordinal, repeat, load, seed, status, anchor_ns,
		window_start_ns, window_send_end_ns, window_end_ns, window_rule, health, ended) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		append([]any{p.ID, p.ExperimentID}, row...)...)
	if taken(err) {
		return 0, &Error{Code: Conflict, Msg: fmt.Sprintf("point %s, or another with the ordinal %d, is in the notebook already", p.ID, p.Ordinal)}
	}
	if err != nil {
		return 0, err
	}
	if num, err = done.LastInsertId(); err != nil || len(p.Schedule) == 0 {
		return num, err
	}
	entries, err := p.Schedule.MarshalBinary()
	if err != nil {
		return 0, invalid("", "the schedule of point %s cannot be recorded: %v", p.ID, err)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO schedule (point, entries) VALUES (?, ?)", num, entries)
	return num, err
}

// updatePoint leaves the schedule as it was: it is a plan, and no result.
func updatePoint(ctx context.Context, tx *sql.Tx, num int64, p *experiment.Point) error {
	row, err := pointRow(p)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE point SET ordinal = ?, repeat = ?, load = ?, seed = ?, status = ?, anchor_ns = ?,
		window_start_ns = ?, window_send_end_ns = ?, window_end_ns = ?, window_rule = ?, health = ?, ended = ? WHERE num = ?`, append(row, num)...)
	if taken(err) {
		return &Error{Code: Conflict, Msg: fmt.Sprintf("another point with the ordinal %d is in the notebook already", p.Ordinal)}
	}
	return err
}

// PutSummary caches what was computed from a point's samples under one version of
// the definitions: the figures that a listing shows, and the whole summary as a
// JSON text. It replaces what was cached under the same version. Of f, Load and
// Repeat are the point's own and are not read.
func (n *Notebook) PutSummary(ctx context.Context, f PointFigures, summary []byte) error {
	if !json.Valid(summary) {
		return invalid("", "the summary of point %s is not JSON", f.PointID)
	}
	return n.update(ctx, "caching a summary", func(tx *sql.Tx) error {
		var num int64
		err := tx.QueryRowContext(ctx, "SELECT num FROM point WHERE id = ?", f.PointID).Scan(&num)
		if errors.Is(err, sql.ErrNoRows) {
			return &Error{Code: NotFound, Msg: fmt.Sprintf("there is no point %q in %s", f.PointID, n.path)}
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO figure (point, definition, sent, ok, output_tok_s, ttft_p95_ms, tpot_p95_ms)
			VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET sent = excluded.sent, ok = excluded.ok,
			output_tok_s = excluded.output_tok_s, ttft_p95_ms = excluded.ttft_p95_ms, tpot_p95_ms = excluded.tpot_p95_ms`,
			num, f.Definition, f.Sent, f.OK, figure(f.OutputTokS), figure(f.TTFTP95ms), figure(f.TPOTP95ms))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO summary (point, definition, json) VALUES (?,?,?)
			ON CONFLICT DO UPDATE SET json = excluded.json`, num, f.Definition, string(summary))
		return err
	})
}

// figure gives NULL for a number that is none.
func figure(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return v
}

// Summary gives the cached summary of a point under one version of the
// definitions; ok is false where there is none.
func (n *Notebook) Summary(ctx context.Context, pointID string, definition int) (summary []byte, ok bool, err error) {
	err = n.read.QueryRowContext(ctx, `SELECT s.json FROM summary s JOIN point p ON p.num = s.point
		WHERE p.id = ? AND s.definition = ?`, pointID, definition).Scan(&summary)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return summary, err == nil, n.fault("reading a summary", err)
}
