package store

import "context"

// Definitions lists the versions of the definitions under which points of an experiment are
// summarised, the lowest first.
func (n *Notebook) Definitions(ctx context.Context, experimentID string) ([]int, error) {
	var versions []int
	err := n.each(ctx, `SELECT DISTINCT s.definition FROM summary s JOIN point p ON p.num = s.point
		WHERE p.experiment_id = ? ORDER BY s.definition`, func(scan func(...any) error) error {
		var version int
		err := scan(&version)
		versions = append(versions, version)
		return err
	}, experimentID)
	return versions, n.fault("reading the versions of summaries", err)
}
