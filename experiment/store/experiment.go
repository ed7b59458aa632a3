package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-sqlite3"

	"github.com/inferbook/inferbook/experiment"
)

// CreateExperiment records a new experiment, gives it its Number, and fills in what
// e leaves open: ID, Status (running) and Started (the time of the call). A running
// experiment belongs to this process until [Notebook.FinishExperiment]. A name that
// another experiment has, in the trash too, is a [Conflict].
func (n *Notebook) CreateExperiment(ctx context.Context, e *experiment.Experiment) error {
	if err := checkName(e.Name); err != nil {
		return err
	}
	if err := checkTags(e.Tags); err != nil {
		return err
	}
	made := *e
	if made.ID == "" {
		made.ID = n.ids.New()
	}
	if made.Status == "" {
		made.Status = experiment.Running
	}
	if made.Started.IsZero() {
		made.Started = n.now()
	}
	spec, err := json.Marshal(made.Spec)
	if err != nil {
		return invalid("leave out what JSON cannot hold", "the specification cannot be recorded: %v", err)
	}
	environment, err := encodeEnvironment(made.Environment)
	if err != nil {
		return err
	}
	var w [4]any // NULL once nobody writes
	if made.Status == experiment.Running {
		o := self()
		w = [4]any{o.host, o.boot, o.pid, o.start}
	}
	err = n.update(ctx, "creating an experiment", func(tx *sql.Tx) error {
		if err := checkNameFree(ctx, tx, made.ID, made.Name); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) + 1 FROM experiment").Scan(&made.Number)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO experiment (id, number, name, message, status, started_ns, ended_ns, deleted_ns,
			spec, environment, writer_host, writer_boot, writer_pid, writer_start) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
			made.ID, made.Number, made.Name, made.Message, made.Status, made.Started.UnixNano(), moment(made.Ended), moment(made.Deleted),
			string(spec), environment, w[0], w[1], w[2], w[3])
		if taken(err) {
			return &Error{Code: Conflict, Msg: "the experiment " + made.ID + " is in the notebook already"}
		}
		if err != nil {
			return err
		}
		return addTags(ctx, tx, made.ID, made.Tags)
	})
	if err == nil {
		*e = made
	}
	return err
}

// SetEnvironment records what is known of where the experiment took place, in
// place of what was recorded before.
func (n *Notebook) SetEnvironment(ctx context.Context, id string, env experiment.Environment) error {
	environment, err := encodeEnvironment(env)
	if err != nil {
		return err
	}
	return n.set(ctx, "recording the environment", id, "environment = ?", environment)
}

func encodeEnvironment(env experiment.Environment) (string, error) {
	if env.Facts == nil {
		env.Facts = []experiment.Fact{}
	}
	b, err := json.Marshal(env)
	return string(b), err
}

// SetSpec records the specification as it was carried out, in place of what was
// recorded before.
func (n *Notebook) SetSpec(ctx context.Context, id string, spec experiment.Spec) error {
	b, err := json.Marshal(spec)
	if err != nil {
		return invalid("leave out what JSON cannot hold", "the specification cannot be recorded: %v", err)
	}
	return n.set(ctx, "recording the specification", id, "spec = ?", string(b))
}

// FinishExperiment ends an experiment as complete, interrupted or failed. A point
// that nobody has ended is then interrupted.
func (n *Notebook) FinishExperiment(ctx context.Context, id string, status experiment.Status) error {
	switch status {
	case experiment.Complete, experiment.Interrupted, experiment.Failed:
	default:
		return invalid("write complete, interrupted or failed", "an experiment cannot end as %q", status)
	}
	return n.update(ctx, "finishing an experiment", func(tx *sql.Tx) error {
		if err := interruptPoints(ctx, tx, id); err != nil {
			return err
		}
		return n.setIn(ctx, tx, id, `status = ?, ended_ns = ?, writer_host = NULL, writer_boot = NULL,
			writer_pid = NULL, writer_start = NULL`, status, n.now().UnixNano())
	})
}

// Rename names an experiment; an empty name takes the name away. A name that
// another experiment has, in the trash too, is a [Conflict].
func (n *Notebook) Rename(ctx context.Context, id, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return n.update(ctx, "renaming an experiment", func(tx *sql.Tx) error {
		if err := checkNameFree(ctx, tx, id, name); err != nil {
			return err
		}
		return n.setIn(ctx, tx, id, "name = ?", name)
	})
}

// Trash hides an experiment from listings. Nothing of it is lost: [Notebook.Restore]
// brings it back. A running experiment is a [Conflict].
func (n *Notebook) Trash(ctx context.Context, id string) error {
	return n.update(ctx, "moving an experiment to the trash", func(tx *sql.Tx) error {
		var number int
		var status experiment.Status
		err := tx.QueryRowContext(ctx, "SELECT number, status FROM experiment WHERE id = ?", id).Scan(&number, &status)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if status == experiment.Running {
			return &Error{Code: Conflict, Msg: fmt.Sprintf("exp-%d is still running", number), Hint: "stop it first"}
		}
		return n.setIn(ctx, tx, id, "deleted_ns = coalesce(deleted_ns, ?)", n.now().UnixNano())
	})
}

// Restore brings an experiment back from the trash.
func (n *Notebook) Restore(ctx context.Context, id string) error {
	return n.set(ctx, "restoring an experiment", id, "deleted_ns = NULL")
}

// Tag labels an experiment. A tag is one word without a comma; one that is there
// already stays.
func (n *Notebook) Tag(ctx context.Context, id string, tags ...string) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	return n.update(ctx, "tagging an experiment", func(tx *sql.Tx) error {
		if err := n.setIn(ctx, tx, id, "id = id"); err != nil {
			return err
		}
		return addTags(ctx, tx, id, tags)
	})
}

// Untag takes labels away; one that is not there is no error.
func (n *Notebook) Untag(ctx context.Context, id string, tags ...string) error {
	return n.update(ctx, "untagging an experiment", func(tx *sql.Tx) error {
		for _, tag := range tags {
			if _, err := tx.ExecContext(ctx, "DELETE FROM experiment_tag WHERE experiment_id = ? AND tag = ?", id, tag); err != nil {
				return err
			}
		}
		return n.setIn(ctx, tx, id, "id = id")
	})
}

func addTags(ctx context.Context, tx *sql.Tx, id string, tags []string) error {
	for _, tag := range tags {
		_, err := tx.ExecContext(ctx, "INSERT INTO experiment_tag (experiment_id, tag) VALUES (?, ?) ON CONFLICT DO NOTHING", id, tag)
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *Notebook) set(ctx context.Context, doing, id, assignments string, values ...any) error {
	return n.update(ctx, doing, func(tx *sql.Tx) error { return n.setIn(ctx, tx, id, assignments, values...) })
}

// setIn changes one experiment, which must be there.
func (n *Notebook) setIn(ctx context.Context, tx *sql.Tx, id, assignments string, values ...any) error {
	done, err := tx.ExecContext(ctx, "UPDATE experiment SET "+assignments+" WHERE id = ?", append(values, id)...)
	if err != nil {
		return err
	}
	if rows, err := done.RowsAffected(); err != nil || rows == 1 {
		return err
	}
	return &Error{Code: NotFound, Msg: fmt.Sprintf("there is no experiment %q in %s", id, n.path), Hint: `see "inferbook ls"`}
}

// checkName refuses a name that would be read as something else.
func checkName(name string) error {
	const hint = "choose a name of one line, such as h100-baseline"
	if name != strings.TrimSpace(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return invalid(hint, "the name %q has spaces at an end, or a line break", name)
	}
	if _, number := experiment.ParseAlias(name); number || name == lastRef {
		return invalid(hint, "the name %q is reserved: a bare number, exp-N and %q find experiments by their number", name, lastRef)
	}
	return nil
}

func checkNameFree(ctx context.Context, tx *sql.Tx, id, name string) error {
	if name == "" {
		return nil
	}
	var number int
	err := tx.QueryRowContext(ctx, "SELECT number FROM experiment WHERE name = ? AND id <> ?", name, id).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return &Error{Code: Conflict, Msg: fmt.Sprintf("the name %q belongs to exp-%d", name, number), Hint: "choose another, or rename that one first"}
}

func checkTags(tags []string) error {
	for _, tag := range tags {
		if tag == "" || strings.ContainsFunc(tag, func(r rune) bool { return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
			return invalid("write words without spaces and commas", "%q is not a tag", tag)
		}
	}
	return nil
}

// taken reports whether err says that a row with this key is there already.
func taken(err error) bool {
	var lite sqlite3.Error
	return errors.As(err, &lite) &&
		(lite.ExtendedCode == sqlite3.ErrConstraintUnique || lite.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}

// moment gives NULL for the zero time.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixNano()
}

// at is the reverse of [moment].
func at(ns sql.Null[int64]) time.Time {
	if !ns.Valid {
		return time.Time{}
	}
	return time.Unix(0, ns.V).UTC()
}
