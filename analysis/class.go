package analysis

import (
	"github.com/inferbook/inferbook/experiment"
)

// ClassSummary is one kind of traffic of a point that has several.
type ClassSummary struct {
	Name    string       `json:"name"`
	Summary PointSummary `json:"summary"`
}

// classCollector collects the samples of one class beside those of the point.
type classCollector struct {
	name string
	*Collector
}

// newClassCollector gives the class its own load and SLO. What the client observed
// about itself is the point's, and is told there.
func newClassCollector(p experiment.Point, spec *experiment.Spec, class *experiment.Class) classCollector {
	p.Load = classLoad(p.Load, spec, class)
	p.Health = experiment.Health{
		SendLagP50: experiment.Unknown, SendLagP99: experiment.Unknown, SendLagMax: experiment.Unknown,
		ReadLagP50: experiment.Unknown, ReadLagP99: experiment.Unknown, ReadLagMax: experiment.Unknown,
		WakeLagP99: experiment.Unknown, CPUShare: -1,
	}
	own := *spec
	own.Classes, own.MaxConcurrency, own.Until = nil, 0, experiment.Precision{}
	if !class.ThinkTime.IsZero() {
		own.ThinkTime = class.ThinkTime
	}
	if class.Rate > 0 {
		own.Arrival = class.Arrival
	}
	slo := class.SLO
	if len(slo) == 0 {
		slo = spec.SLO
	}
	return classCollector{class.Name, newCollector(p, &own, slo)}
}

// classLoad is the part of the point's load that belongs to the class. Of a closed
// loop whose workers take the classes in turn, no part does: both are 0.
func classLoad(whole experiment.Load, spec *experiment.Spec, class *experiment.Class) experiment.Load {
	l := experiment.Load{Concurrency: class.Concurrency, Rate: class.Rate, Variant: whole.Variant}
	if class.Weight > 0 {
		sum := 0.0
		for i := range spec.Classes {
			sum += spec.Classes[i].Weight
		}
		l.Rate = whole.Rate * class.Weight / sum
	}
	return l
}
