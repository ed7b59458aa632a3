package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// NoteFilter says which notes to give; empty fields do not matter.
type NoteFilter struct {
	ExperimentID string
	Reading      string // slug
}

// NoteRevision is an earlier text of a note that was edited.
type NoteRevision struct {
	Text     string
	Replaced time.Time
}

// AddNote records a note and fills in ID, Number and Created where they are
// open. Its experiment, its point and its readings must be in the notebook.
func (n *Notebook) AddNote(ctx context.Context, note *experiment.Note) error {
	if strings.TrimSpace(note.Text) == "" {
		return invalid("write something", "the note is empty")
	}
	made := *note
	made.Readings = slices.Clone(note.Readings)
	if made.ID == "" {
		made.ID = n.ids.New()
	}
	if made.Created.IsZero() {
		made.Created = n.now()
	}
	err := n.update(ctx, "adding a note", func(tx *sql.Tx) error {
		if err := n.setIn(ctx, tx, made.ExperimentID, "id = id"); err != nil {
			return err
		}
		if err := n.checkPointOf(ctx, tx, made.PointID, made.ExperimentID); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) + 1 FROM note").Scan(&made.Number); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO note (id, number, experiment_id, point_id, text, created_ns) VALUES (?,?,?,?,?,?)",
			made.ID, made.Number, made.ExperimentID, text(made.PointID), made.Text, made.Created.UnixNano())
		if taken(err) {
			return &Error{Code: Conflict, Msg: "the note " + made.ID + " is in the notebook already"}
		}
		if err != nil {
			return err
		}
		return n.linkReadings(ctx, tx, made.ID, made.Readings)
	})
	if err == nil {
		*note = made
	}
	return err
}

func (n *Notebook) checkPointOf(ctx context.Context, tx *sql.Tx, pointID, experimentID string) error {
	if pointID == "" {
		return nil
	}
	var found int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM point WHERE id = ? AND experiment_id = ?", pointID, experimentID).Scan(&found)
	if err == nil && found == 0 {
		err = &Error{Code: NotFound, Msg: fmt.Sprintf("point %q is not one of this experiment's", pointID)}
	}
	return err
}

func (n *Notebook) linkReadings(ctx context.Context, tx *sql.Tx, noteID string, slugs []string) error {
	for i, slug := range slugs {
		var found int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM reading WHERE slug = ?", slug).Scan(&found); err != nil {
			return err
		}
		if found == 0 {
			return n.noReading(ctx, tx, slug)
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO note_reading (note_id, slug, position) VALUES (?,?,?) ON CONFLICT DO NOTHING", noteID, slug, i)
		if err != nil {
			return err
		}
	}
	return nil
}

// Note finds a note by "note-3", its ULID or a prefix of at least six characters
// that only one has.
func (n *Notebook) Note(ctx context.Context, ref string) (*experiment.Note, error) {
	where, args := "o.id = ?", []any{ref}
	if alias, ok := strings.CutPrefix(ref, "note-"); ok {
		number, ok := experiment.ParseAlias(alias)
		if !ok || strings.HasPrefix(alias, "exp-") {
			return nil, invalid("write it as note-3", "%q is not a note", ref)
		}
		where, args = "o.number = ?", []any{number}
	} else if len(ref) >= minPrefix {
		prefix := strings.ToUpper(ref)
		where, args = "o.id >= ? AND o.id < ?", []any{prefix, prefix + "~"}
	}
	notes, err := n.notesWhere(ctx, where, args...)
	switch {
	case err != nil:
		return nil, n.fault("looking up "+ref, err)
	case len(notes) == 0:
		return nil, &Error{Code: NotFound, Msg: fmt.Sprintf("there is no note %q in %s", ref, n.path), Hint: `see "inferbook show" of the experiment`}
	case len(notes) > 1:
		return nil, invalid("write more of it", "%q begins the ID of several notes", ref)
	}
	return &notes[0], nil
}

// Notes gives the notes that pass the filter, oldest first.
func (n *Notebook) Notes(ctx context.Context, f NoteFilter) ([]experiment.Note, error) {
	notes, err := n.notesWhere(ctx, `(?1 = '' OR o.experiment_id = ?1)
		AND (?2 = '' OR EXISTS (SELECT 1 FROM note_reading r WHERE r.note_id = o.id AND r.slug = ?2))`, f.ExperimentID, f.Reading)
	return notes, n.fault("reading notes", err)
}

func (n *Notebook) notesWhere(ctx context.Context, where string, args ...any) ([]experiment.Note, error) {
	rows, err := n.read.QueryContext(ctx, `SELECT o.id, o.number, o.experiment_id, coalesce(o.point_id, ''), o.text, o.created_ns,
		coalesce((SELECT group_concat(r.slug, char(10) ORDER BY r.position) FROM note_reading r WHERE r.note_id = o.id), '')
		FROM note o WHERE o.deleted_ns IS NULL AND `+where+" ORDER BY o.number", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var notes []experiment.Note
	for rows.Next() {
		var o experiment.Note
		var created int64
		var slugs string
		if err := rows.Scan(&o.ID, &o.Number, &o.ExperimentID, &o.PointID, &o.Text, &created, &slugs); err != nil {
			return nil, err
		}
		o.Created = time.Unix(0, created).UTC()
		if slugs != "" {
			o.Readings = strings.Split(slugs, "\n")
		}
		notes = append(notes, o)
	}
	return notes, rows.Err()
}

// EditNote gives a note another text. The text before is kept as a revision.
func (n *Notebook) EditNote(ctx context.Context, id, text string) error {
	if strings.TrimSpace(text) == "" {
		return invalid("delete the note if it should go", "the note is empty")
	}
	return n.update(ctx, "editing a note", func(tx *sql.Tx) error {
		var before string
		err := tx.QueryRowContext(ctx, "SELECT text FROM note WHERE id = ? AND deleted_ns IS NULL", id).Scan(&before)
		if errors.Is(err, sql.ErrNoRows) {
			return n.noNote(id)
		}
		if err != nil || before == text {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO note_revision (note_id, revision, text, replaced_ns)
			SELECT ?1, coalesce(max(revision), 0) + 1, ?2, ?3 FROM note_revision WHERE note_id = ?1`, id, before, n.now().UnixNano())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE note SET text = ? WHERE id = ?", text, id)
		return err
	})
}

// NoteRevisions gives the earlier texts of a note, oldest first.
func (n *Notebook) NoteRevisions(ctx context.Context, id string) ([]NoteRevision, error) {
	revisions, err := n.noteRevisions(ctx, id)
	return revisions, n.fault("reading the revisions of a note", err)
}

func (n *Notebook) noteRevisions(ctx context.Context, id string) ([]NoteRevision, error) {
	rows, err := n.read.QueryContext(ctx, "SELECT text, replaced_ns FROM note_revision WHERE note_id = ? ORDER BY revision", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var revisions []NoteRevision
	for rows.Next() {
		var r NoteRevision
		var replaced int64
		if err := rows.Scan(&r.Text, &replaced); err != nil {
			return nil, err
		}
		r.Replaced = time.Unix(0, replaced).UTC()
		revisions = append(revisions, r)
	}
	return revisions, rows.Err()
}

// DeleteNote hides a note. Its text stays in the file, in the table note.
func (n *Notebook) DeleteNote(ctx context.Context, id string) error {
	return n.update(ctx, "deleting a note", func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "UPDATE note SET deleted_ns = ? WHERE id = ? AND deleted_ns IS NULL", n.now().UnixNano(), id)
		if err != nil {
			return err
		}
		if rows, err := done.RowsAffected(); err != nil || rows == 1 {
			return err
		}
		return n.noNote(id)
	})
}

func (n *Notebook) noNote(id string) error {
	return &Error{Code: NotFound, Msg: fmt.Sprintf("there is no note %q in %s", id, n.path)}
}
