package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/inferbook/inferbook/experiment"
)

// PutReading adds an entry to the reading list, or refreshes everything of it
// but its status, which is the person's. An empty status is [experiment.Unread].
func (n *Notebook) PutReading(ctx context.Context, r experiment.ReadingEntry) error {
	if r.Slug == "" || r.Title == "" {
		return invalid("give both", "a reading has the slug %q and the title %q", r.Slug, r.Title)
	}
	if r.Status == "" {
		r.Status = experiment.Unread
	}
	if err := checkReadingStatus(r.Status); err != nil {
		return err
	}
	return n.update(ctx, "recording a reading", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO reading (slug, title, url, kind, section, position, status, body) VALUES (?,?,?,?,?,?,?,?)
			ON CONFLICT DO UPDATE SET title = excluded.title, url = excluded.url, kind = excluded.kind,
			section = excluded.section, position = excluded.position, body = excluded.body`,
			r.Slug, r.Title, r.URL, r.Kind, r.Section, r.Order, r.Status, r.Body)
		return err
	})
}

// SetReadingStatus records how far the person has come with a reading.
func (n *Notebook) SetReadingStatus(ctx context.Context, slug string, status experiment.ReadingStatus) error {
	if err := checkReadingStatus(status); err != nil {
		return err
	}
	return n.update(ctx, "recording the status of a reading", func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "UPDATE reading SET status = ? WHERE slug = ?", status, slug)
		if err != nil {
			return err
		}
		if rows, err := done.RowsAffected(); err != nil || rows == 1 {
			return err
		}
		return n.noReading(ctx, tx, slug)
	})
}

func checkReadingStatus(s experiment.ReadingStatus) error {
	switch s {
	case experiment.Unread, experiment.Reading, experiment.Read, experiment.Tested:
		return nil
	}
	return invalid("write unread, reading, read or tested", "%q is not the status of a reading", s)
}

// Readings gives the reading list in its order.
func (n *Notebook) Readings(ctx context.Context) ([]experiment.ReadingEntry, error) {
	list, err := n.readingsWhere(ctx, "true")
	return list, n.fault("reading the reading list", err)
}

// Reading finds an entry by its slug. A slug that is not there is [NotFound], and
// names what comes near.
func (n *Notebook) Reading(ctx context.Context, slug string) (*experiment.ReadingEntry, error) {
	list, err := n.readingsWhere(ctx, "slug = ?", slug)
	if err == nil && len(list) == 0 {
		err = n.noReading(ctx, n.read, slug)
	}
	if err != nil {
		return nil, n.fault("looking up the reading "+slug, err)
	}
	return &list[0], nil
}

func (n *Notebook) readingsWhere(ctx context.Context, where string, args ...any) ([]experiment.ReadingEntry, error) {
	rows, err := n.read.QueryContext(ctx, `SELECT slug, title, url, kind, section, position, status, body
		FROM reading WHERE `+where+" ORDER BY position, slug", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []experiment.ReadingEntry
	for rows.Next() {
		var r experiment.ReadingEntry
		if err := rows.Scan(&r.Slug, &r.Title, &r.URL, &r.Kind, &r.Section, &r.Order, &r.Status, &r.Body); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (n *Notebook) noReading(ctx context.Context, q querier, slug string) error {
	e := &Error{Code: NotFound, Msg: fmt.Sprintf("there is no reading %q in %s", slug, n.path), Hint: `see "inferbook readings"`}
	slugs, err := texts(ctx, q, "SELECT slug FROM reading ORDER BY position, slug")
	if err != nil {
		return err
	}
	if len(slugs) == 0 {
		e.Hint = `its reading list is empty; "inferbook init" fills it`
	} else if near := nearest(slug, slugs); len(near) > 0 {
		e.Hint = didYouMean(near)
	}
	return e
}

// texts gives the only column of a query.
func texts(ctx context.Context, q querier, query string) ([]string, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}
