package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// findInterrupted marks the runs whose process is dead. A run of a live process,
// here or in another terminal, and a run of which nothing can be known, stay as
// they are.
func (n *Notebook) findInterrupted(ctx context.Context) error {
	running, err := n.runningRuns(ctx)
	if err != nil {
		return n.fault("looking for interrupted runs", err)
	}
	var found []string
	for _, r := range running {
		switch r.owner.look(self()) {
		case unknowable:
			n.warn("exp-%d is marked as running by process %d on %q, which cannot be seen from here; if it is over, mark it as interrupted",
				r.number, r.owner.pid, r.owner.name())
		case dead:
			samples, err := n.interrupt(ctx, r)
			if err != nil {
				return err
			}
			found = append(found, fmt.Sprintf("exp-%d (%d samples)", r.number, samples))
		}
	}
	switch len(found) {
	case 0:
	case 1:
		n.warn("1 interrupted run was found, with what it had measured: %s", found[0])
	default:
		n.warn("%d interrupted runs were found, with what they had measured: %s", len(found), strings.Join(found, ", "))
	}
	return nil
}

// run is an experiment that is marked as running.
type run struct {
	id     string
	number int
	owner  owner
}

func (n *Notebook) runningRuns(ctx context.Context) ([]run, error) {
	rows, err := n.read.QueryContext(ctx, `SELECT id, number, coalesce(writer_host, ''), coalesce(writer_boot, ''),
		coalesce(writer_pid, 0), coalesce(writer_start, 0) FROM experiment WHERE status = 'running' ORDER BY number`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var running []run
	for rows.Next() {
		var r run
		if err := rows.Scan(&r.id, &r.number, &r.owner.host, &r.owner.boot, &r.owner.pid, &r.owner.start); err != nil {
			return nil, err
		}
		running = append(running, r)
	}
	return running, rows.Err()
}

// interrupt ends a dead run at the end of its last sample, or of nothing at its
// start, and gives the number of its samples.
func (n *Notebook) interrupt(ctx context.Context, r run) (samples int, err error) {
	err = n.update(ctx, fmt.Sprintf("marking exp-%d as interrupted", r.number), func(tx *sql.Tx) error {
		if err := interruptPoints(ctx, tx, r.id); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sample s JOIN point p ON p.num = s.point
			WHERE p.experiment_id = ?`, r.id).Scan(&samples); err != nil {
			return err
		}
		// Another process that opened the notebook at the same moment may have been first.
		_, err := tx.ExecContext(ctx, `UPDATE experiment SET status = 'interrupted',
			ended_ns = coalesce((SELECT max(p.anchor_ns + coalesce(p.window_end_ns, 0)) FROM point p WHERE p.experiment_id = experiment.id), started_ns),
			writer_host = NULL, writer_boot = NULL, writer_pid = NULL, writer_start = NULL
			WHERE id = ? AND status = 'running' AND writer_pid = ?`, r.id, r.owner.pid)
		return err
	})
	return samples, err
}

// interruptPoints ends the points of an experiment that nobody has ended. Their
// window is what the committed samples show: it opens with the first measured
// request. Sending had not stopped when the last answer was over; an open loop's
// window closes with its last arrival all the same, as that of a whole point does.
// The rule, which is written with the end of a point, is the one for a point that
// is stopped.
func interruptPoints(ctx context.Context, tx *sql.Tx, experimentID string) error {
	_, err := tx.ExecContext(ctx, `WITH shown AS (
			SELECT p.num, (SELECT spec ->> 'warmup' FROM experiment WHERE id = ?3) > 0 AS warm,
				coalesce(p.load ->> 'rate', 0) > 0 AS open,
				min(CASE WHEN s.phase = w.id THEN s.sent_ns END) AS first_sent,
				max(CASE WHEN s.phase = w.id THEN s.sent_ns END) AS last_sent, max(s.end_ns) AS last_end
			FROM point p LEFT JOIN sample s ON s.point = p.num LEFT JOIN word w ON w.text = ?2
			WHERE p.experiment_id = ?3 AND p.status = ?4 GROUP BY p.num)
		UPDATE point SET status = ?1,
			window_start_ns    = coalesce(window_start_ns, first_sent),
			window_send_end_ns = coalesce(window_send_end_ns, CASE WHEN warm AND open THEN last_sent ELSE last_end END),
			window_end_ns      = coalesce(window_end_ns, last_end),
			window_rule        = CASE WHEN window_rule <> '' THEN window_rule
				WHEN NOT warm THEN ?5 WHEN open THEN ?6 ELSE ?7 END
		FROM shown WHERE point.num = shown.num`,
		experiment.Interrupted, experiment.Measured, experimentID, experiment.Running, experiment.SteadyNone, experiment.SteadyOpen, experiment.SteadyClosed)
	return err
}

// name is the host without its machine ID.
func (o owner) name() string {
	host, _, _ := strings.Cut(o.host, "/")
	return host
}
