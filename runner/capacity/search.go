package capacity

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

const (
	// mostPoints is the most that one seed looks at. A search that starts within 4¹⁰ times
	// of the capacity needs half as many.
	mostPoints = 40
	// idleShare is the load, as a share of one request in flight, below which requests
	// hardly ever meet, so that still less of it changes nothing.
	idleShare = 0.02
	// width is the ratio of a bracket's ends at which a search is over.
	width = 1.03
	// nearby is the ratio to the first seed's capacity in which that of another is looked for first.
	nearby = 1.2
)

// Find answers a question. A cancelled context ends it between two points. The error is that
// of [Question.Check], or of the context.
func Find(ctx context.Context, q Question) (analysis.WhatIf, error) {
	if err := q.Check(); err != nil {
		return analysis.WhatIf{}, err
	}
	q = q.withDefaults()
	lone, err := q.lone()
	if err != nil {
		return analysis.WhatIf{}, err
	}
	start := 1 / lone.Seconds()
	if q.Users {
		start = 1 + q.Workload.Think.Mean().Seconds()/lone.Seconds()
	}
	finds := make([]*finding, q.Seeds)
	if finds[0], err = q.seek(ctx, q.Deployment, q.Seed, lone, start, 0); err != nil {
		return analysis.WhatIf{}, err
	}
	if held := finds[0].seed.Capacity; held > 0 {
		start = held
	}
	// The others begin about where the first ended, which spares them the way there and takes
	// nothing from their verdicts; each a little higher, so that they do not share their levels
	// and the width of a bracket shows in what they differ by. They run at one time and end in
	// their own places.
	errs := make([]error, q.Seeds)
	var all sync.WaitGroup
	for i := 1; i < q.Seeds; i++ {
		from := start * math.Pow(width, float64(i)/float64(q.Seeds))
		all.Go(func() { finds[i], errs[i] = q.seek(ctx, q.Deployment, q.Seed+uint64(i), lone, from, nearby) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return analysis.WhatIf{}, err
		}
	}
	w := q.result(finds)
	if q.Demand > 0 && w.Found {
		if w.Sizing, err = q.provision(ctx, &w, lone); err != nil {
			return analysis.WhatIf{}, err
		}
	}
	return w, nil
}

// finding is what one seed found.
type finding struct {
	seed    analysis.WhatIfSeed
	figures analysis.WhatIfFigures // at the capacity
}

// seek looks for the capacity of replicas of a deployment with one seed, from a load on; near
// is the ratio of the capacity to that at most, as far as it is known, and 0 where it is not.
func (q Question) seek(ctx context.Context, d sim.Deployment, seed uint64, lone time.Duration, start, near float64) (*finding, error) {
	asked := experiment.Search{Over: q.over(), Points: mostPoints}
	if near > 0 {
		asked.Low, asked.High = start/near, start*near
	}
	floor := idleShare / lone.Seconds()
	if q.Users {
		floor = 0
	}
	searcher := analysis.NewSearcher(asked, start)
	f := &finding{seed: analysis.WhatIfSeed{Seed: seed}}
	seen := map[float64]*measurement{}
	for {
		// A level that comes again would be the same to the last bit.
		level, repeat, ok := searcher.Next()
		if !ok || repeat > 0 || level < floor {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, err := q.measure(d, seed, level, lone)
		if err != nil {
			return nil, err
		}
		p := m.judge(q.SLO)
		searcher.Record(level, p.Holds, true)
		f.seed.Points = append(f.seed.Points, p)
		seen[level] = m
	}
	answer := searcher.Answer()
	f.seed.Capacity, f.seed.Next = answer.Low, answer.High
	if m := seen[answer.Low]; m != nil {
		f.seed.Limit, f.figures = m.usage.Limit(), m.figures()
	}
	for _, p := range f.seed.Points {
		if p.Load != answer.High {
			continue
		}
		f.seed.Bound = p.Nearest
		if !p.Steady && p.Share <= 1 {
			f.seed.Bound = analysis.PilesUp
		}
	}
	return f, nil
}

func (q Question) over() string {
	if q.Users {
		return "concurrency"
	}
	return "rate"
}

// measure runs one load on a deployment with all its replicas.
func (q Question) measure(d sim.Deployment, seed uint64, load float64, lone time.Duration) (*measurement, error) {
	if q.Users {
		return q.serve(d, seed, int(load), q.size(d.Replicas, int(load)), lone)
	}
	return q.rate(d, seed, load, q.size(d.Replicas, 0))
}

// result puts the seeds together.
func (q Question) result(finds []*finding) analysis.WhatIf {
	d := q.Deployment
	w := analysis.WhatIf{
		Deployment: name(d), Profile: d.Profile(), GPUs: d.Count, Workload: q.text(), SLO: q.SLO.String(), Over: q.over(),
		Calibration: d.Calibration, Fitted: fitted(d), NotModelled: notModelled(),
	}
	for _, f := range finds {
		w.Seeds = append(w.Seeds, f.seed)
	}
	w.Summarise()
	users := 0
	if q.Users && w.Found {
		users = int(w.Mean)
	}
	s := q.size(1, users)
	w.Requests, w.Warmup = s.requests, s.warmup
	w.Figures = mean(finds)
	w.Warnings = q.warnings(&w)
	return w
}
