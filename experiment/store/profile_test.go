package store

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

func TestProfiles(t *testing.T) {
	n := mustOpen(t, filepath.Join(t.TempDir(), "a.db"), Options{Create: true})
	ctx := t.Context()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first := experiment.Profile{Name: "mine", Rows: "fits: []\n", Fit: `{"points":8}`, Created: at}
	second := experiment.Profile{Name: "mine", Rows: "checks: []\n", Fit: "{}", Created: at.Add(time.Hour)}
	other := experiment.Profile{Name: "theirs", Rows: "gpus: []\n", Fit: "{}", Created: at}
	for _, p := range []*experiment.Profile{&first, &second, &other} {
		if err := n.AddProfile(ctx, p); err != nil || p.ID == "" {
			t.Fatal(p, err)
		}
	}
	mine, err := n.Profiles(ctx, "mine")
	if err != nil || len(mine) != 2 || mine[0] != second || mine[1] != first {
		t.Errorf("profiles of a name, the newest first: %+v, %v", mine, err)
	}
	if all, err := n.Profiles(ctx, ""); err != nil || len(all) != 3 {
		t.Errorf("all profiles: %+v, %v", all, err)
	}
	wantCode(t, n.AddProfile(ctx, &experiment.Profile{Name: "empty"}), Invalid, "no name or no rows")
	again := first
	wantCode(t, n.AddProfile(ctx, &again), Conflict, "in the notebook already")
}
