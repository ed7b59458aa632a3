package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
)

// applyMix reads what the requests are made of beyond their lengths: data, prefixes,
// classes, models, and whether answers have their full length.
func applyMix(c *cli.Context, s *experiment.Spec) error {
	if path := c.String("data"); path != "" {
		s.Data = &experiment.Data{Path: path, Format: c.String("data-format")}
		if c.IsSet("input-tokens") || c.IsSet("random-input-len") {
			return usage("--input-tokens is given beside --data, whose prompts have their own lengths; leave one of them out")
		}
	} else if c.IsSet("data-format") {
		if s.Data == nil {
			return usage("--data-format says how to read a file, and none is given; add --data FILE")
		}
		s.Data.Format = c.String("data-format")
	}
	if text := c.String("prefix"); text != "" {
		p, err := parsePrefix(text)
		if err != nil {
			return usage("--prefix is %q: %w; write such as share=0.8,tokens=1000,groups=20,zipf=1", text, err)
		}
		s.Prefix = p
	}
	if c.IsSet("class") {
		s.Classes = nil
	}
	for _, text := range c.StringSlice("class") {
		class, err := parseClass(text)
		if err != nil {
			return usage("--class is %q: %w; write such as \"chat rate=2 input=500 output=200\"", text, err)
		}
		s.Classes = append(s.Classes, class)
	}
	if text := c.String("models"); text != "" {
		names, weights, err := pairs(text, ",")
		if err != nil {
			return usage("--models: %w; write such as base=3,lora-a=1", err)
		}
		s.Models = nil
		for _, name := range names {
			w, err := strconv.ParseFloat(weights[name], 64)
			if err != nil || !(w > 0) || math.IsInf(w, 0) {
				return usage("--models gives %s the weight %q; write a number above 0", name, weights[name])
			}
			s.Models = append(s.Models, experiment.ModelShare{Model: name, Weight: w})
		}
	}
	switch {
	case c.Bool("ignore-eos") && c.Bool("no-ignore-eos"):
		return usage("run was given both --ignore-eos and --no-ignore-eos; give one")
	case c.Bool("ignore-eos"):
		s.IgnoreEOS = "on"
	case c.Bool("no-ignore-eos"):
		s.IgnoreEOS = "off"
	}
	return nil
}

// parsePrefix reads "share=0.8,tokens=1000,groups=20,zipf=1". One group, and all requests, unless it says so.
func parsePrefix(text string) (*experiment.Prefix, error) {
	_, values, err := pairs(text, ",")
	if err != nil {
		return nil, err
	}
	p := &experiment.Prefix{Share: 1, Groups: 1}
	for name, value := range values {
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%s is %q, which is not a number", name, value)
		}
		switch name {
		case "share":
			p.Share = v
		case "tokens":
			p.Tokens = int(v)
		case "groups":
			p.Groups = int(v)
		case "zipf":
			p.Zipf = v
		default:
			return nil, fmt.Errorf("it has no part %s", name)
		}
	}
	return p, nil
}

// parseClass reads "chat rate=2 input=500 output=200".
func parseClass(text string) (experiment.Class, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	class := experiment.Class{Name: strings.TrimSuffix(name, ":")}
	if strings.Contains(class.Name, "=") {
		return class, fmt.Errorf("it begins with %s and not with a name", name)
	}
	_, values, err := pairs(rest, " ")
	if err != nil {
		return class, err
	}
	for part, value := range values {
		var err error
		switch part {
		case "rate":
			class.Rate, err = positiveNumber(value)
		case "weight":
			class.Weight, err = positiveNumber(value)
		case "concurrency":
			if class.Concurrency, err = strconv.Atoi(value); err != nil {
				err = fmt.Errorf("%q is not a whole number", value)
			}
		case "arrival":
			err = class.Arrival.UnmarshalText([]byte(value))
		case "input":
			err = class.InputTokens.UnmarshalText([]byte(value))
		case "output":
			err = class.OutputTokens.UnmarshalText([]byte(value))
		case "turns":
			err = class.Turns.UnmarshalText([]byte(value))
		case "think":
			err = class.ThinkTime.UnmarshalText([]byte(value))
		case "model":
			class.Model = value
		case "slo":
			err = class.SLO.UnmarshalText([]byte(value))
		case "prefix":
			class.Prefix, err = parsePrefix(value)
		default:
			err = fmt.Errorf("it has no part %s; its parts are rate, concurrency or weight, arrival, input, output, turns, think, prefix, model and slo", part)
		}
		if err != nil {
			return class, fmt.Errorf("%s=%s: %w", part, value, err)
		}
	}
	return class, nil
}

func positiveNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a number above 0", text)
	}
	return v, nil
}

// applyServer reads how the server is spoken to, its address left out.
func applyServer(c *cli.Context, s *experiment.Spec) error {
	for _, text := range c.StringSlice("header") {
		name, value, found := strings.Cut(text, ":")
		name = strings.TrimSpace(name)
		if !found || name == "" || strings.ContainsAny(name, " \t") {
			return usage("--header is %q; write \"NAME: VALUE\"", text)
		}
		if s.Headers == nil {
			s.Headers = map[string]string{}
		}
		s.Headers[name] = strings.TrimSpace(value)
	}
	return nil
}

// applyVLLM reads the flags of `vllm bench serve`.
func applyVLLM(c *cli.Context, s *experiment.Spec) error {
	for name, ours := range map[string]string{"num-prompts": "requests", "request-rate": "rate", "num-warmups": "warmup",
		"random-input-len": "input-tokens", "random-output-len": "output-tokens", "random-range-ratio": "jitter", "goodput": "slo", "burstiness": "arrival"} {
		if c.IsSet(name) && c.IsSet(ours) {
			return usage("--%s and --%s are two names of one thing; give one of them", name, ours)
		}
	}
	for name, field := range map[string]*int{"num-prompts": &s.Requests, "num-warmups": &s.Warmup} {
		if c.IsSet(name) {
			*field = c.Int(name)
		}
	}
	for name, field := range map[string]*experiment.Length{"random-input-len": &s.InputTokens, "random-output-len": &s.OutputTokens} {
		if c.IsSet(name) {
			*field = experiment.Tokens(c.Int(name))
		}
	}
	if c.IsSet("random-range-ratio") {
		s.Jitter = c.Float64("random-range-ratio")
	}
	if c.IsSet("goodput") {
		var parts []string
		words := slices.DeleteFunc(slices.Clone(c.Args().Slice()), func(arg string) bool { return !goodputWord(c, arg) })
		for _, text := range append(c.StringSlice("goodput"), words...) {
			for pair := range strings.FieldsSeq(text) {
				metric, bound, found := strings.Cut(pair, ":")
				if _, err := positiveNumber(bound); !found || err != nil {
					return usage("--goodput has %q; write METRIC:MILLISECONDS, such as ttft:500 tpot:40", pair)
				}
				if metric == "e2el" {
					metric = "e2e"
				}
				parts = append(parts, metric+"<"+bound+"ms")
			}
		}
		if err := s.SLO.UnmarshalText([]byte(strings.Join(parts, " "))); err != nil {
			return usage("--goodput: %w", err)
		}
	}
	return nil
}

// goodputWord reports whether an argument is a further objective of --goodput.
func goodputWord(c *cli.Context, arg string) bool {
	metric, _, found := strings.Cut(arg, ":")
	return found && c.IsSet("goodput") && slices.Contains([]string{"ttft", "tpot", "e2el"}, metric)
}

// vllmRate reads --request-rate and --burstiness: infinite means a closed loop of
// --max-concurrency workers, or all requests at once.
func vllmRate(c *cli.Context, s *experiment.Spec) error {
	if b := c.Float64("burstiness"); c.IsSet("burstiness") {
		if !(b > 0) || math.IsInf(b, 0) {
			return usage("--burstiness is %g; write a number above 0: 1 is Poisson, less is burstier", b)
		}
		if b != 1 {
			s.Arrival = experiment.Arrival{Kind: experiment.GammaArrival, CV: 1 / math.Sqrt(b)}
		}
	}
	if !c.IsSet("request-rate") {
		if c.IsSet("burstiness") && len(s.Rate) == 0 {
			return usage("--burstiness is of an open loop; add --request-rate R (or --rate)")
		}
		return nil
	}
	text := c.String("request-rate")
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || !(rate > 0) {
		return usage("--request-rate is %q; write requests per second above 0, or inf", text)
	}
	if !math.IsInf(rate, 1) {
		s.Rate, s.Search = []float64{rate}, nil
		if !c.IsSet("concurrency") {
			s.Concurrency = nil
		}
		return nil
	}
	workers := s.MaxConcurrency
	if workers == 0 {
		workers = cmp.Or(c.Int("num-prompts"), s.Requests, 30)
	}
	s.Arrival, s.Rate, s.MaxConcurrency, s.Concurrency = experiment.Arrival{}, nil, 0, []int{workers}
	return nil
}
