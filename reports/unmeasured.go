package reports

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// unmeasuredBody says what the experiments say nothing about. Each line follows
// from what was specified and recorded.
func unmeasuredBody(m *Material) string {
	var b strings.Builder
	for _, gap := range gaps {
		if s := gap.sentence(m); s != "" {
			fmt.Fprintf(&b, "- **%s.** %s\n", gap.name, s)
		}
	}
	return b.String()
}

// gaps are the things that a reader may miss, in the order of a buyer's questions.
var gaps = []struct {
	name     string
	sentence func(*Material) string // empty = it was measured
}{
	{"Real hardware", func(m *Material) string {
		if who := aliases(m, func(it *Item) bool { return it.Experiment.Environment.Simulated() }); who != "" {
			return "The engine of " + who + " is a model of one. A purchase needs a run on the hardware itself."
		}
		return ""
	}},
	{"Arrivals that do not wait", func(m *Material) string {
		if who := aliases(m, func(it *Item) bool { return !someOpen(it) }); who != "" {
			return "In " + who + " the load is a closed loop: a client that waits for its answer slows down with the server. How the server " +
				"takes an open stream of arrivals, or bursts of them, is not known, and no capacity in requests per second follows."
		}
		return ""
	}},
	{"Bursts", func(m *Material) string {
		if who := aliases(m, func(it *Item) bool { return someOpen(it) && !bursty(it) }); who != "" {
			return "The arrivals of " + who + " are no burstier than chance. Real traffic is, and its p99 TTFT at the same mean rate is another one."
		}
		return ""
	}},
	{"Service level", func(m *Material) string {
		if who := aliases(m, func(it *Item) bool { return someOpen(it) && serviceCell(it) == "" }); who != "" {
			return who + " had no service level to be judged by: how many of its requests per second were good enough is not known."
		}
		return ""
	}},
	{"Kinds of traffic", func(m *Material) string {
		if who := aliases(m, func(it *Item) bool { return len(it.Experiment.Spec.Classes) == 0 }); who != "" {
			return "In " + who + " all requests are of one kind. What chat loses beside offline work on the same server was not tried."
		}
		return ""
	}},
	{"Other lengths", otherLengths},
	{"Real texts", realTexts},
	{"Conversations", func(m *Material) string {
		if who := aliases(m, func(it *Item) bool { return !conversations(&it.Experiment.Spec) }); who != "" {
			return "The requests of " + who + " are single turns. A conversation sends its history again, most of which a prefix cache may hold."
		}
		return ""
	}},
	{"Prefix cache", prefixCache},
	{"Quality of the answers", func(m *Material) string {
		if who := aliases(m, func(it *Item) bool { return it.Experiment.Spec.KeepText }); who != "" {
			return "Nobody judged the answers. Those of " + who + " are in the notebook and can be."
		}
		return "Nobody judged the answers, and their texts were not kept. A server that answers nonsense has the same throughput."
	}},
	{"Time to first token", func(m *Material) string {
		if who := aliases(m, func(it *Item) bool { return !it.Experiment.Spec.Stream }); who != "" {
			return who + " did not stream, so that TTFT and TPOT were not observed."
		}
		return ""
	}},
	{"More load", moreLoad},
	{"How figures repeat", func(m *Material) string {
		if who := aliases(m, func(it *Item) bool { return it.Experiment.Spec.Repeats < 2 }); who != "" {
			return who + " measured each level once: a restart, another hour or another machine may give other figures."
		}
		return ""
	}},
	{"Long runs and cold starts", longRuns},
	{"Network", network},
	{"Power and energy", func(*Material) string {
		return "No power was recorded, so that there is no energy per token and no cost of electricity."
	}},
	{"What is unknown about the target", unknownFacts},
}

// aliases names the experiments for which something holds.
func aliases(m *Material, holds func(*Item) bool) string {
	var out []string
	for i := range m.Experiments {
		if a := m.Experiments[i].Experiment.Alias(); holds(&m.Experiments[i]) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return listing(out)
}

// bursty reports whether the arrivals were made or seen to come in bursts. Poisson
// arrivals have a CV of 1, of which a few hundred may show a little more.
func bursty(it *Item) bool {
	_, cv := arrivalSpread(it.Points)
	return cv > 1.2
}

// conversations reports whether some requests follow the answer to another.
func conversations(s *experiment.Spec) bool {
	several := func(l experiment.Length) bool { return l.Longest() > 1 }
	return several(s.Turns) || slices.ContainsFunc(s.Classes, func(c experiment.Class) bool { return several(c.Turns) })
}

func otherLengths(m *Material) string {
	var shapes []string
	for i := range m.Experiments {
		if shape := inline(m.Experiments[i].workload()); !slices.Contains(shapes, shape) {
			shapes = append(shapes, shape)
		}
	}
	return "Only " + strings.Join(shapes, "; ") + " (prompt → answer). Longer prompts move the time into prefill and fill the KV cache earlier; the curve is another one."
}

func realTexts(m *Material) string {
	const depends = " Tools and speculative decoding, whose speed depends on the text, were not tried."
	var out []string
	if who := aliases(m, func(it *Item) bool { return it.Experiment.Spec.Prompt == "" && it.Experiment.Spec.Data == nil }); who != "" {
		out = append(out, "The prompts of "+who+" are synthetic.")
	}
	if who := aliases(m, func(it *Item) bool { return it.Experiment.Spec.Prompt != "" }); who != "" {
		out = append(out, "The prompt of "+who+" is one fixed text.")
	}
	if len(out) == 0 { // all of it came from files
		return ""
	}
	return strings.Join(out, " ") + depends
}

func prefixCache(m *Material) string {
	var out []string
	for i := range m.Experiments {
		it := &m.Experiments[i]
		s := it.Experiment.Alias() + ": " + cacheShare(it.Points)
		switch spec := &it.Experiment.Spec; {
		case spec.Prompt != "":
			s += ", and all requests had the same prompt"
		case sharedPrefixes(spec) || conversations(spec):
			s += ", and prompts were made to begin alike (" + inline(it.workload()) + ")"
		case spec.Data != nil:
			s += ", and the prompts are those of a file"
		default:
			s += ", and each prompt was made to be unique from its first token"
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ") + ". A service whose prompts share more of their beginnings can be faster and cheaper."
}

func moreLoad(m *Material) string {
	var out []string
	for i := range m.Experiments {
		it := &m.Experiments[i]
		if n := len(it.Curve.Levels); n > 0 && it.Curve.Plateau == nil && !piledUp(it) {
			out = append(out, fmt.Sprintf("%s up to %s", it.Experiment.Alias(), inline(it.Curve.Levels[n-1].Load.String())))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "Neither a plateau nor a load at which requests pile up was reached: " + listing(out) + ". The highest throughput may lie beyond."
}

func longRuns(m *Material) string {
	longest, warm := time.Duration(0), 0
	for i := range m.Experiments {
		for j := range m.Experiments[i].Points {
			longest = max(longest, m.Experiments[i].Points[j].Window)
			warm += m.Experiments[i].Points[j].WarmedUp
		}
	}
	s := ""
	if longest > 0 {
		s = fmt.Sprintf("The longest measured window was %s: heat, fragmentation and drift over hours were not seen.", lasting(longest))
	}
	if warm > 0 {
		s += " Cold requests were sent as warm-up and are left out; loading the model was not timed."
	} else {
		s += " Loading the model was not timed."
	}
	return strings.TrimSpace(s)
}

func network(m *Material) string {
	local := aliases(m, func(it *Item) bool {
		return !it.Experiment.Environment.Simulated() && loopback(it.Experiment.Spec.BaseURL)
	})
	virtual := aliases(m, func(it *Item) bool { return it.Experiment.Environment.Virtual() })
	simulated := aliases(m, func(it *Item) bool {
		return it.Experiment.Environment.Simulated() && !it.Experiment.Environment.Virtual()
	})
	remote := aliases(m, func(it *Item) bool {
		return !it.Experiment.Environment.Simulated() && !loopback(it.Experiment.Spec.BaseURL)
	})
	var out []string
	if virtual != "" {
		out = append(out, "In "+virtual+" there was neither HTTP nor a network.")
	}
	if local != "" || simulated != "" {
		out = append(out, listing(slices.DeleteFunc([]string{simulated, local}, func(s string) bool { return s == "" }))+
			" had client and server on one machine: no network, and both share its CPUs.")
	}
	if remote != "" {
		out = append(out, remote+" had a network between client and server, whose share of TTFT was not measured apart.")
	}
	return strings.Join(out, " ")
}

// loopback tells from the address alone whether the server is on the client's machine.
func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	h := u.Hostname()
	return h == "localhost" || h == "::1" || strings.HasPrefix(h, "127.")
}

func unknownFacts(m *Material) string {
	var out []string
	for i := range m.Experiments {
		env := m.Experiments[i].Experiment.Environment
		var names []string
		for _, k := range []struct{ key, name string }{
			{experiment.KeyModel, "the model"}, {experiment.KeyPrecision, "its precision"}, {experiment.KeyRuntime, "the runtime"},
			{experiment.KeyRuntimeVersion, "the runtime's version"}, {experiment.KeyGPUModel, "the GPU"}, {experiment.KeyGPUCount, "how many GPUs"},
		} {
			simulatedVersion := k.key == experiment.KeyRuntimeVersion && env.Simulated() // a simulated runtime has none
			if env.Get(k.key).Source == experiment.UnknownValue && !simulatedVersion {
				names = append(names, k.name)
			}
		}
		if len(names) > 0 {
			out = append(out, m.Experiments[i].Experiment.Alias()+": "+listing(names))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, "; ") + "."
}
