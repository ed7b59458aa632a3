package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// batch is what one transaction of a [Writer] holds: samples, and perhaps work
// that goes with them.
type batch struct {
	n       *Notebook
	rows    []message
	insert  *sql.Stmt        // prepared with the first batch
	words   map[string]int64 // committed ones
	fresh   map[string]int64 // those of the transaction under way
	workErr error            // why the work of the last write was refused
	twice   error            // the first sample that came a second time
}

func newBatch(n *Notebook) *batch {
	return &batch{n: n, words: map[string]int64{}, fresh: map[string]int64{}}
}

func (b *batch) close() {
	if b.insert != nil {
		b.insert.Close()
	}
}

// write commits the rows, and then the work, in one transaction. On success the
// batch is empty. Work that is refused is undone alone and its error put into
// workErr.
func (b *batch) write(work func(*sql.Tx) error) (err error) {
	b.workErr = nil
	if len(b.rows) == 0 && work == nil {
		return nil
	}
	defer clear(b.fresh)
	// Recording goes on while a cancelled run drains; there is no context to heed.
	ctx := context.Background()
	if b.insert == nil {
		if b.insert, err = b.n.write.PrepareContext(ctx, insertSample); err != nil {
			return b.n.fault("recording samples", err)
		}
	}
	err = b.n.update(ctx, "recording samples", func(tx *sql.Tx) error {
		if err := b.insertRows(ctx, tx); err != nil || work == nil {
			return err
		}
		return b.try(ctx, tx, work)
	})
	if err != nil {
		return err
	}
	for text, id := range b.fresh {
		b.words[text] = id
	}
	clear(b.rows) // let go of the samples
	b.rows = b.rows[:0]
	return nil
}

func (b *batch) insertRows(ctx context.Context, tx *sql.Tx) error {
	insert := tx.StmtContext(ctx, b.insert)
	defer insert.Close()
	for _, m := range b.rows {
		row, err := sampleRow(m.point, m.sample, func(text string) (any, error) { return b.word(ctx, tx, text) })
		if err != nil {
			return err
		}
		_, err = insert.ExecContext(ctx, row...)
		if taken(err) {
			// SQLite undoes the one statement; the others must not suffer.
			if b.twice == nil {
				b.twice = &Error{Code: Conflict, Msg: fmt.Sprintf("sample %d of a point came twice; the first is kept", m.sample.Seq)}
			}
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// try does the work so that it can be undone without the samples.
func (b *batch) try(ctx context.Context, tx *sql.Tx, work func(*sql.Tx) error) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT work"); err != nil {
		return err
	}
	if err := work(tx); err != nil {
		err = b.n.fault("recording a point", err)
		if is(err, Full) || is(err, Locked) {
			return err
		}
		b.workErr = err
		_, err = tx.ExecContext(ctx, "ROLLBACK TO work")
		return err
	}
	_, err := tx.ExecContext(ctx, "RELEASE work")
	return err
}

// word gives the number of a text that many samples share, NULL for none.
func (b *batch) word(ctx context.Context, tx *sql.Tx, text string) (any, error) {
	if text == "" {
		return nil, nil
	}
	for _, known := range []map[string]int64{b.words, b.fresh} {
		if id, ok := known[text]; ok {
			return id, nil
		}
	}
	var id int64
	err := tx.QueryRowContext(ctx, "SELECT id FROM word WHERE text = ?", text).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRowContext(ctx, "INSERT INTO word (text) VALUES (?) RETURNING id", text).Scan(&id)
	}
	if err != nil {
		return nil, err
	}
	b.fresh[text] = id
	return id, nil
}
