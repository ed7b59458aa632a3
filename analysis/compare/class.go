package compare

import (
	"regexp"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// Class says what a difference in the setup means for the comparison.
type Class string

const (
	Work        Class = "workload"    // the requests differ: the two did different work
	Intended    Class = "intended"    // what people compare: hardware, runtime, model, settings of the engine
	Confound    Class = "confound"    // may explain a difference that is put down to something else
	Consequence Class = "consequence" // follows from another difference
	Procedure   Class = "procedure"   // how, and for how long, it was measured; levels are compared one by one
)

// classes in the order in which they are shown.
var classes = []Class{Work, Intended, Confound, Consequence, Procedure}

// rule classes the keys that match it. The first rule that matches counts.
type rule struct {
	key   string // a key, or with a dot at its end what keys begin with
	class Class
	// follows lists what makes it a consequence where that differs too.
	follows []string
	// alone says that it is intended where nothing else is.
	alone bool
}

// served is what a server's settings follow from.
var served = []string{experiment.KeyGPUModel, experiment.KeyRuntime, experiment.KeyModel, optionPrefix}

// Prefixes of the keys of an engine's own settings, and of the facts about the machine that measured.
const (
	clientPrefix = "client."
	optionPrefix = "simulator.options."
	serverPrefix = "server.config."
)

var rules = []rule{
	{key: definitionKey, class: Confound},

	{key: experiment.KeyGPUModel, class: Intended},
	{key: experiment.KeyGPUCount, class: Intended, follows: []string{experiment.KeyGPUModel, experiment.KeyModel}},
	{key: "gpu.driver", class: Confound},
	{key: "gpu.", class: Confound, follows: []string{experiment.KeyGPUModel}}, // memory, power limit
	{key: experiment.KeyRuntime, class: Intended},
	{key: experiment.KeyRuntimeVersion, class: Confound, follows: []string{experiment.KeyRuntime}, alone: true},
	{key: experiment.KeyModel, class: Intended},
	{key: experiment.KeyPrecision, class: Intended},
	{key: experiment.KeyMaxModelLen, class: Intended, follows: served},
	{key: experiment.KeyEndpoint, class: Confound, follows: append([]string{experiment.KeyRuntimeVersion, experiment.KeyPrecision}, served...), alone: true},
	{key: "endpoint.", class: Consequence},
	{key: serverPrefix, class: Intended, follows: served},
	{key: clientPrefix, class: Confound},

	{key: experiment.KeyTime, class: Confound},
	{key: "simulator.profile", class: Consequence},
	{key: "simulator.calibration", class: Consequence},
	{key: "simulator.fit", class: Consequence},
	{key: "simulator.kv_tokens", class: Consequence},
	{key: "simulator.lateness", class: Procedure},
	{key: optionPrefix, class: Intended},
	{key: "simulator.", class: Intended, follows: served},
	{key: "replicas", class: Intended},

	{key: "seed", class: Confound},
	{key: "warmup", class: Confound},
	{key: "temperature", class: Confound},
	{key: "ignore_eos", class: Confound},
	{key: "extra.", class: Confound, alone: true},
	{key: "headers.", class: Confound},
}

// procedures are the fields of a specification that say how it was measured.
var procedures = []string{
	"concurrency", "rate", "requests", "duration", "repeats", "search.", "until", "matrix.", "slo", "max_errors", "max_error_share", "max_cost_usd",
	"token_price.", "grace", "keep_oversaturated", "keep_text", "max_tokens_field", "dialect", "key_header", "api_version", "preset",
	"connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout", "profile",
}

// passing are settings of a server that say how it stood when it was asked, and not what it is.
var passing = regexp.MustCompile(`(?i)(time|uptime|usage|throughput|pid|port|host|path|url|address|log|seed|nccl|dist_init|stats?|states?)([._]|$)`)

// matches reports whether a key is the rule's.
func matches(rule, key string) bool {
	return key == rule || strings.HasSuffix(rule, ".") && strings.HasPrefix(key, rule)
}

// classify says what each difference means, beside the others.
func classify(list []Difference) {
	differs := func(rule string) bool {
		return slices.ContainsFunc(list, func(d Difference) bool { return matches(rule, d.Key) })
	}
	for i := range list {
		d := &list[i]
		d.Class = Confound
		if r := slices.IndexFunc(rules, func(r rule) bool { return matches(r.key, d.Key) }); r >= 0 {
			d.Class = rules[r].class
			if slices.ContainsFunc(rules[r].follows, func(f string) bool { return f != rules[r].key && differs(f) }) {
				d.Class = Consequence
			}
		}
		switch {
		case slices.ContainsFunc(asked, func(w work) bool { return w.key == d.Key }):
			d.Class = Work
		case slices.ContainsFunc(procedures, func(p string) bool { return matches(p, d.Key) }):
			d.Class = Procedure
		case strings.HasPrefix(d.Key, serverPrefix) && passing.MatchString(d.Key):
			d.Class = Procedure
		}
	}
	if slices.ContainsFunc(list, func(d Difference) bool { return d.Class == Intended }) {
		return
	}
	for i := range list {
		alone := slices.ContainsFunc(rules, func(r rule) bool { return r.alone && matches(r.key, list[i].Key) })
		if alone && list[i].Class == Confound {
			list[i].Class = Intended
		}
	}
}
