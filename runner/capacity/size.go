package capacity

import (
	"context"
	"math"
	"time"

	"github.com/inferbook/inferbook/analysis"
)

// mostAdded is how many replicas beyond demand ÷ capacity are tried.
const mostAdded = 4

// provision finds how many replicas the demand takes, and runs them behind the router with
// arrivals that no search has seen.
func (q Question) provision(ctx context.Context, w *analysis.WhatIf, lone time.Duration) (*analysis.WhatIfSizing, error) {
	needed := func(capacity float64) int { return max(1, int(math.Ceil(q.Demand/capacity-1e-9))) }
	z := &analysis.WhatIfSizing{Demand: q.Demand, Asked: needed(w.Mean), Router: q.Deployment.Router,
		Planned: needed((1 - analysis.PlannedHeadroom) * w.Mean), Linear: math.NaN()}
	z.Replicas = z.Asked
	d := q.Deployment
	seed := q.Seed + uint64(q.Seeds)
	for ; z.Replicas <= min(z.Asked+mostAdded, mostReplicas); z.Replicas++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d.Replicas = z.Replicas
		m, err := q.measure(d, seed, q.Demand, lone)
		if err != nil {
			return nil, err
		}
		p := m.judge(q.SLO)
		z.Runs = append(z.Runs, analysis.WhatIfRun{Replicas: z.Replicas, Point: p})
		if z.Verified = p.Holds; z.Verified {
			break
		}
	}
	if !z.Verified {
		z.Replicas = z.Asked
	}
	z.GPUs = z.Replicas * w.GPUs
	z.Headroom = 1 - q.Demand/(float64(z.Replicas)*w.Mean)
	if z.Replicas == 1 || !z.Verified {
		return z, nil
	}
	d.Replicas = z.Replicas
	f, err := q.seek(ctx, d, seed, lone, float64(z.Replicas)*w.Mean, nearby)
	if err != nil {
		return nil, err
	}
	z.Linear = f.seed.Capacity / (float64(z.Replicas) * w.Mean)
	return z, nil
}
