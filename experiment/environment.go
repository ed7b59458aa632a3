package experiment

import (
	"slices"
	"strconv"
	"strings"
)

// Source says how a fact came to be known.
type Source string

// The sources, most trustworthy first.
const (
	Detected     Source = "detected"  // this program read it from the machine or the server
	Declared     Source = "declared"  // a person said so
	Simulated    Source = "simulated" // it is a property of the simulated engine
	Imported     Source = "imported"  // it came with another tool's result file
	UnknownValue Source = "unknown"   // it was looked for and not found
)

// Fact is one thing known, or known to be unknown, about where a run took place.
type Fact struct {
	// Key is dotted and lower case: "gpu.model", "runtime.version", "client.cpu".
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source Source `json:"source"`
}

// The keys that other packages rely on. Any other key may be recorded too.
const (
	KeyGPUModel       = "gpu.model"
	KeyGPUCount       = "gpu.count"
	KeyRuntime        = "runtime.name"
	KeyRuntimeVersion = "runtime.version"
	KeyModel          = "model.name"
	KeyPrecision      = "model.precision"
	KeyMaxModelLen    = "model.max_len"
	KeyEndpoint       = "endpoint.url"
	KeyDialect        = "endpoint.dialect"        // what the client had to do differently for this server
	KeyTokenFit       = "endpoint.tokens"         // how the server counts our prompts, and how that was learned
	KeyOutputControl  = "endpoint.output_control" // what makes its answers as long as was asked
	KeyDialectName    = "endpoint.kind"           // the dialect that it is spoken to in
	KeyCalibration    = "simulator.calibration"   // how far the simulator's profile may be trusted
	KeySettings       = "simulator.settings"      // what the run set otherwise than the engine's defaults
	KeyTime           = "simulator.time"          // "real", "virtual", or what [ScaledTime] gives
	KeyLateness       = "simulator.lateness"      // how well the simulator kept its own time
)

// Environment is hardware, runtime, model and client: a list of facts sorted by key.
type Environment struct {
	Facts []Fact `json:"facts"`
}

// Set records a fact, in place of what was known under its key.
func (e *Environment) Set(key, value string, source Source) {
	i, found := slices.BinarySearchFunc(e.Facts, key, func(f Fact, k string) int { return strings.Compare(f.Key, k) })
	f := Fact{Key: key, Value: value, Source: source}
	if found {
		e.Facts[i] = f
		return
	}
	e.Facts = slices.Insert(e.Facts, i, f)
}

// Get gives the fact under key. For a key never looked at it gives an unknown fact.
func (e Environment) Get(key string) Fact {
	i, found := slices.BinarySearchFunc(e.Facts, key, func(f Fact, k string) int { return strings.Compare(f.Key, k) })
	if !found {
		return Fact{Key: key, Value: "unknown", Source: UnknownValue}
	}
	return e.Facts[i]
}

// Simulated reports whether the target was the simulated engine. A figure from
// such an experiment always says so.
func (e Environment) Simulated() bool { return e.Get(KeyRuntime).Source == Simulated }

// Virtual reports whether the run took place in virtual time.
func (e Environment) Virtual() bool { return e.Get(KeyTime).Value == "virtual" }

// scaled begins the value of KeyTime of a simulator whose clock is not the real one.
const scaled = "scaled ×"

// ScaledTime is the value of KeyTime for a simulator whose clock goes so many seconds
// in a real second.
func ScaledTime(factor float64) string { return scaled + strconv.FormatFloat(factor, 'g', -1, 64) }

// Scaled says how fast the simulator's clock went, as [ScaledTime] does; empty = it
// was no simulator, or its time was real or virtual. Times measured there are
// the engine's divided by the factor.
func (e Environment) Scaled() string {
	if v := e.Get(KeyTime).Value; strings.HasPrefix(v, scaled) {
		return v
	}
	return ""
}

// Label names hardware, runtime and model in one line, and says what is simulated or unknown.
func (e Environment) Label() string {
	gpu, n := e.Get(KeyGPUModel), e.Get(KeyGPUCount)
	hw := gpu.Value
	if gpu.Source == UnknownValue {
		hw = "unknown GPU"
	} else if n.Source != UnknownValue && n.Value != "1" {
		hw = n.Value + "× " + hw
	}
	rt := e.Get(KeyRuntime)
	name := rt.Value
	if rt.Source == UnknownValue {
		name = "unknown runtime"
	}
	if v := e.Get(KeyRuntimeVersion); v.Source != UnknownValue && !e.Simulated() {
		name += " " + v.Value
	}
	model := e.Get(KeyModel).Value
	if f := e.Get(KeyPrecision); f.Source != UnknownValue {
		model += " " + f.Value
	}
	if f := e.Get(KeySettings); f.Source != UnknownValue {
		name += " (" + f.Value + ")"
	}
	s := model + " · " + name + " · " + hw
	if e.Simulated() {
		s += " · SIMULATED"
		if t := e.Scaled(); t != "" {
			s += ", time " + t
		}
	}
	return s
}
