package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner"
)

// fewErrors is the number of requests from which a share of errors counts.
const fewErrors = 20

// rules ends points and runs early, by what the specification asks. Its state beyond
// a point is what the run has cost.
type rules struct {
	hourly float64 // US dollars an hour of the hardware; 0 = not known
	input  float64 // US dollars a token; 0 = not known
	output float64
	spent  float64            // for tokens, US dollars
	before time.Duration      // that the points before this one took
	now    experiment.Instant // of this point
	// why says in one sentence how the last rule that ended a point came to it.
	why string
}

// errNoPrice says what a limit on cost lacks.
var errNoPrice = errors.New("--max-cost needs a price: give --token-price IN,OUT, or name the hardware with --gpu and record what it costs with `inferbook cost --price`")

// newRules checks that a limit on cost can be held.
func newRules(s *experiment.Spec, hourly float64) (*rules, error) {
	r := &rules{hourly: hourly}
	if p := s.TokenPrice; p != nil {
		r.hourly, r.input, r.output = 0, p.Input/1e6, p.Output/1e6
	}
	if s.MaxCost > 0 && r.hourly == 0 && s.TokenPrice == nil {
		return nil, usage("%w", errNoPrice)
	}
	return r, nil
}

// of makes the rule of one point. Its parts are asked in turn.
func (r *rules) of(s *experiment.Spec, pt experiment.Point) runner.Rule {
	r.before, r.now = r.before+r.now.Sub(0), 0
	parts := []runner.Rule{r.errors(s), r.cost(s)}
	if !s.Until.IsZero() {
		parts = append(parts, r.precise(s))
	}
	// A load that changes by its own plan may be more than the server serves for a while.
	if changes := s.Arrival.Kind == experiment.RampArrival || s.Arrival.Kind == experiment.StepsArrival; pt.Load.Rate > 0 && !s.KeepOversaturated && !changes {
		parts = append(parts, r.saturated(s))
	}
	return func(e runner.Event) experiment.EarlyEnd {
		end := experiment.EarlyEnd("")
		for _, part := range parts {
			if why := part(e); why != "" && end == "" {
				end = why
			}
		}
		return end
	}
}

// errors ends the run when too many of a point's requests have failed.
func (r *rules) errors(s *experiment.Spec) runner.Rule {
	ended, failed := 0, 0
	return func(e runner.Event) experiment.EarlyEnd {
		if e.Sample == nil || e.Sample.Outcome == experiment.Cancelled {
			return ""
		}
		if ended++; e.Sample.Outcome != experiment.OK {
			failed++
		}
		share := float64(failed) / float64(ended)
		if s.MaxErrors > 0 && failed >= s.MaxErrors || s.MaxErrorShare > 0 && ended >= fewErrors && share > s.MaxErrorShare {
			r.why = fmt.Sprintf("%d of the first %d requests failed, the last with: %s", failed, ended, e.Sample.Error)
			return experiment.EndErrors
		}
		return ""
	}
}

// cost ends the run before it costs more than it may: what is in flight then is at most
// a request's worth over.
func (r *rules) cost(s *experiment.Spec) runner.Rule {
	return func(e runner.Event) experiment.EarlyEnd {
		if e.Sample != nil {
			r.spent += r.input*float64(max(0, e.Sample.PromptTokens)) + r.output*float64(max(0, e.Sample.OutputTokens))
		}
		r.now = max(r.now, e.At)
		total := r.spent + r.hourly*(r.before+r.now.Sub(0)).Hours()
		if s.MaxCost == 0 || total < s.MaxCost {
			return ""
		}
		r.why = fmt.Sprintf("the run has cost %s of the %s that it may", usd(total), usd(s.MaxCost))
		return experiment.EndCost
	}
}

// precise ends a point once its figure is known well enough.
func (r *rules) precise(s *experiment.Spec) runner.Rule {
	narrowing := analysis.NewNarrowing(s.Until)
	return func(e runner.Event) experiment.EarlyEnd {
		if e.Sample == nil {
			return ""
		}
		narrowing.Add(e.Sample)
		if reached, _ := narrowing.Reached(); !reached {
			return ""
		}
		return experiment.EndPrecise
	}
}

// saturated ends an open loop whose requests pile up.
func (r *rules) saturated(s *experiment.Spec) runner.Rule {
	watch := analysis.NewSaturation(analysis.Period(s.Arrival))
	return func(e runner.Event) experiment.EarlyEnd {
		if e.Sample == nil {
			watch.Sent(e.Due)
		} else {
			watch.Ended(e.Due, e.At)
		}
		over, why := watch.Over()
		if !over {
			return ""
		}
		r.why = why
		return experiment.EndOversaturated
	}
}
