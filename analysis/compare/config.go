package compare

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Config names what was measured at a load, in one line: model, runtime, hardware,
// workload, load and how much of it. Two levels with the same text differ by
// chance, by host and by what an upgrade changes: versions and drivers are left out, so
// that a noise floor outlives them.
func Config(e *experiment.Experiment, load experiment.Load) string {
	env, s := e.Environment, (Level{Run: &Run{Experiment: e}, Load: load}).spec()
	get := func(key string) string { return env.Get(key).Value }
	parts := []string{
		get(experiment.KeyModel) + " " + get(experiment.KeyPrecision), get(experiment.KeyRuntime),
		get(experiment.KeyGPUCount) + "× " + get(experiment.KeyGPUModel),
	}
	if f := env.Get(experiment.KeySettings); f.Source != experiment.UnknownValue {
		parts = append(parts, f.Value)
	}
	if env.Simulated() {
		parts = append(parts, "simulated in "+get(experiment.KeyTime)+" time")
	}
	for _, w := range asked {
		if text := w.of(s); text != "" {
			parts = append(parts, w.key+" "+text)
		}
	}
	load.Variant = ""
	parts = append(parts, load.String())
	if s.Requests > 0 {
		parts = append(parts, fmt.Sprintf("%d requests", s.Requests))
	}
	if s.Duration > 0 {
		parts = append(parts, time.Duration(s.Duration).String())
	}
	return strings.Join(parts, " · ")
}

// Host names the machine that measured, as far as it bears on the noise.
func Host(e *experiment.Experiment) string {
	if e.Environment.Virtual() {
		return "virtual time"
	}
	get := func(key string) string { return e.Environment.Get(key).Value }
	return fmt.Sprintf("%s, %s cores, %s, %s", get("client.cpu"), get("client.cores"), get("client.memory"), get("client.os"))
}

// Floors are noise floors by host, configuration and figure.
type Floors map[[3]string]float64

// NewFloors takes floors in the order in which they were recorded: of several for one
// figure the last counts.
func NewFloors(list []experiment.Noise) Floors {
	f := Floors{}
	for _, n := range list {
		f[[3]string{n.Host, n.Config, n.Metric}] = n.Floor
	}
	return f
}

// Of gives the floor of a figure at a level, as a share of the value; NaN where none was
// recorded.
func (f Floors) Of(l Level, figure Figure) float64 {
	if len(f) == 0 {
		return math.NaN()
	}
	e := l.Run.Experiment
	if v, ok := f[[3]string{Host(e), Config(e, l.Load), figure.String()}]; ok {
		return v
	}
	return math.NaN()
}
