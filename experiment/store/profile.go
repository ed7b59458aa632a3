package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// AddProfile records a profile, and fills in ID and Created where they are open. A
// name may be used again: the newest counts, and the older ones are kept. One without a name
// or rows is [Invalid].
func (n *Notebook) AddProfile(ctx context.Context, p *experiment.Profile) error {
	if strings.TrimSpace(p.Name) == "" || strings.TrimSpace(p.Rows) == "" {
		return invalid("give it both", "the profile has no name or no rows")
	}
	made := *p
	if made.ID == "" {
		made.ID = n.ids.New()
	}
	if made.Created.IsZero() {
		made.Created = n.now()
	}
	err := n.update(ctx, "recording a profile", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO profile (id, name, rows, fit, created_ns) VALUES (?,?,?,?,?)", made.ID, made.Name, made.Rows, made.Fit, made.Created.UnixNano())
		if taken(err) {
			return &Error{Code: Conflict, Msg: "the profile " + made.ID + " is in the notebook already"}
		}
		return err
	})
	if err == nil {
		*p = made
	}
	return err
}

// Profiles gives the profiles of a name, or with "" of all, the newest first.
func (n *Notebook) Profiles(ctx context.Context, name string) ([]experiment.Profile, error) {
	profiles, err := n.profiles(ctx, name)
	return profiles, n.fault("reading profiles", err)
}

func (n *Notebook) profiles(ctx context.Context, name string) ([]experiment.Profile, error) {
	rows, err := n.read.QueryContext(ctx, `SELECT id, name, rows, fit, created_ns FROM profile
		WHERE ?1 = '' OR name = ?1 ORDER BY created_ns DESC, id DESC`, name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var profiles []experiment.Profile
	for rows.Next() {
		var p experiment.Profile
		var created int64
		if err := rows.Scan(&p.ID, &p.Name, &p.Rows, &p.Fit, &created); err != nil {
			return nil, err
		}
		p.Created = time.Unix(0, created).UTC()
		profiles = append(profiles, p)
	}
	return profiles, rows.Err()
}
