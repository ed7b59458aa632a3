package runner

import (
	"context"

	"github.com/inferbook/inferbook/experiment"
)

// Sink receives what a run observes. The notebook's writer is one; a test's
// slice is another. AddSample must not wait for a disk: the caller is a worker
// whose next request would be late.
type Sink interface {
	// StartPoint records that a point has begun.
	StartPoint(context.Context, experiment.Point) error
	// AddSample hands over one finished request of a started point.
	AddSample(pointID string, s experiment.Sample) error
	// EndPoint records how the point ended; all its samples have been handed over.
	EndPoint(context.Context, experiment.Point) error
}
