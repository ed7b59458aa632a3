package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// options are the settings of a [Config] that have a name on the command line and in
// a specification, each with how to read it.
var options = map[string]struct {
	what string
	set  func(c *Config, text string) error
}{
	"max-seqs":           {"requests in a step at most", whole(func(c *Config) *int { return &c.MaxSeqs })},
	"token-budget":       {"tokens in a step at most", whole(func(c *Config) *int { return &c.TokenBudget })},
	"max-model-len":      {"prompt and answer of one request at most, in tokens", whole(func(c *Config) *int { return &c.MaxModelLen })},
	"memory-utilization": {"share of each GPU's memory that may be used", decimal(func(c *Config) *float64 { return &c.MemoryUtilization })},
	"other-memory":       {"GB of each GPU taken by neither weights nor keys and values", decimal(func(c *Config) *float64 { return &c.OtherMemoryGB })},
	"kv-precision":       {"precision of keys and values: bf16 or fp8", naming(func(c *Config) *string { return &c.KVPrecision })},
	"prefix-caching":     {"on or off", naming(func(c *Config) *string { return &c.PrefixCaching })},
	"replicas":           {"engines alike behind one router", whole(func(c *Config) *int { return &c.Replicas })},
	"router":             {"how the router chooses: " + strings.Join(Routers(), ", "), naming(func(c *Config) *string { return &c.Router })},
	"step-jitter":        {"spread σ of a step's time, lognormal", decimal(func(c *Config) *float64 { return &c.Jitter })},
	"speculate":          {"draft tokens, their acceptance, and the draft model's share of the weights that a token meets, as 4:0.7 or 4:0.7:0.1", speculate},
	"unfitted":           {"on = the runtime's own constants, without any fit", unfitted},
}

// Options lists the names that [Config.Set] knows, each with what it sets.
func Options() map[string]string {
	out := map[string]string{}
	for name, o := range options {
		out[name] = o.what
	}
	return out
}

// Set gives a setting by its name the value that a text stands for. What a value may
// be is checked by [Config.Resolve]; here the error is that there is no such setting,
// or that the text is no value of its kind.
func (c *Config) Set(name, text string) error {
	o, ok := options[name]
	if !ok {
		names := slices.Sorted(maps.Keys(options))
		if near := nearest(name, names); near != "" {
			return fmt.Errorf("the simulated engine has no setting %q; did you mean %s?", name, near)
		}
		return fmt.Errorf("the simulated engine has no setting %q; there are %s", name, strings.Join(names, ", "))
	}
	if err := o.set(c, text); err != nil {
		return fmt.Errorf("the setting %s of the simulated engine: %w", name, err)
	}
	return nil
}

func whole(field func(*Config) *int) func(*Config, string) error {
	return func(c *Config, text string) error {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		if n < 1 {
			return fmt.Errorf("it is %d; give at least 1", n)
		}
		*field(c) = n
		return nil
	}
}

func decimal(field func(*Config) *float64) func(*Config, string) error {
	return func(c *Config, text string) error {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		*field(c) = v
		return nil
	}
}

func naming(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, text string) error {
		*field(c) = text
		return nil
	}
}

func unfitted(c *Config, text string) error {
	if text != "on" && text != "off" {
		return fmt.Errorf("%q is neither on nor off", text)
	}
	c.Unfitted = text == "on"
	return nil
}

func speculate(c *Config, text string) error {
	parts := strings.Split(text, ":")
	bad := fmt.Errorf("%q is not draft tokens and their acceptance; write for example 4:0.7, or 4:0.7:0.1 with a draft model", text)
	if len(parts) < 2 || len(parts) > 3 {
		return bad
	}
	var s Speculation
	var err error
	if s.Tokens, err = strconv.Atoi(parts[0]); err != nil {
		return bad
	}
	if s.Acceptance, err = strconv.ParseFloat(parts[1], 64); err != nil {
		return bad
	}
	if len(parts) == 3 {
		if s.DraftShare, err = strconv.ParseFloat(parts[2], 64); err != nil {
			return bad
		}
	}
	if s.Tokens < 1 {
		return bad
	}
	c.Speculation = s
	return nil
}
