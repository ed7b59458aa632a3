package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/workload"
)

// specOf builds the specification: defaults, then the experiment to repeat, then the
// spec file where one is given, then every flag that was set.
func specOf(c *cli.Context, like *experiment.Experiment) (experiment.Spec, error) {
	spec := experiment.DefaultSpec()
	spec.Concurrency = nil // which settle fills in
	if like != nil {
		spec = like.Spec
	}
	given := like != nil
	switch args := specFiles(c); len(args) {
	case 0:
	case 1:
		if given {
			return spec, usage("%s was given both --like %s and the spec file %s; give one", c.Command.Name, c.String("like"), args[0])
		}
		if err := readSpec(args[0], &spec); err != nil {
			return spec, err
		}
		given = true
	default:
		return spec, usage("%s takes at most one spec file and was given %d arguments: %s", c.Command.Name, len(args), strings.Join(args, " "))
	}
	if err := applyFlags(c, &spec); err != nil {
		return spec, err
	}
	if err := checkSaving(c, &spec); err != nil {
		return spec, err
	}
	if err := settle(c, &spec, given); err != nil {
		return spec, err
	}
	if err := spec.Validate(); err != nil {
		return spec, usage("%w", err)
	}
	// The drawn lengths are checked again; this is found before anything is recorded.
	if q := spec.Prefix; q != nil && spec.Data == nil && len(spec.Classes) == 0 && len(spec.Matrix) == 0 {
		if longest := int(math.Ceil(float64(spec.InputTokens.Longest()) * (1 + spec.Jitter))); q.Tokens >= longest {
			return spec, usage("the prefix has %d tokens and the prompts at most %d; write a shorter prefix, or longer --input-tokens", q.Tokens, longest)
		}
	}
	return spec, nil
}

// specFiles are the arguments of run. vllm bench serve takes the objectives of --goodput
// as words after it, which are none.
func specFiles(c *cli.Context) []string {
	return slices.DeleteFunc(slices.Clone(c.Args().Slice()), func(arg string) bool { return goodputWord(c, arg) })
}

// conflicts finds what was given for two kinds of load at once.
func conflicts(c *cli.Context, s *experiment.Spec, open, loads bool) error {
	searchesRate := s.Search != nil && s.Search.Over == "rate"
	if len(s.Concurrency) == 0 && !open && s.Search == nil && s.SLO.Judges() {
		searchesRate = true // settle makes it so
	}
	given := "a rate"
	if len(s.Rate) == 0 {
		given = fmt.Sprintf("the arrival %s", s.Arrival)
	}
	switch {
	case loads && (len(s.Concurrency) > 0 || len(s.Rate) > 0):
		return usage("the class %s has a load of its own, and --concurrency or --rate is one for all requests; leave it out, or give the classes a weight", s.Classes[0].Name)
	case c.IsSet("concurrency") && (open || s.Arrival.Open()):
		return usage("--concurrency is a closed loop and %s an open one; give one of them (--max-concurrency caps an open loop)", given)
	case len(s.Concurrency) > 0 && open:
		return usage("concurrency is a closed loop and %s an open one; keep one of them (max_concurrency caps an open loop)", given)
	case (len(s.Concurrency) > 0 || c.IsSet("rate")) && c.IsSet("search"):
		return usage("--search chooses the levels and --concurrency or --rate gives them; give one of them")
	case s.Arrival.Kind == experiment.TraceArrival && len(s.Rate) > 0:
		return usage("--rate is given and the trace brings its own; leave it out, or replay faster as in --arrival trace:scale=2")
	case s.MaxConcurrency > 0 && !open && !s.Arrival.Open() && !searchesRate && !loads:
		return usage("--max-concurrency caps an open loop, and this is a closed one; write --concurrency %d, or add a --rate", s.MaxConcurrency)
	}
	return nil
}

// searchPoints is how many points a search may measure.
func searchPoints(c *cli.Context) int {
	if n := c.Int("search-points"); n != 0 {
		return n
	}
	return 12
}

// settle fills in what follows from what was given.
func settle(c *cli.Context, s *experiment.Spec, given bool) error {
	loads := len(s.Classes) > 0 && s.Classes[0].Weight == 0
	_, own := s.Arrival.OwnRate()
	open := len(s.Rate) > 0 || own || s.Arrival.Kind == experiment.TraceArrival
	if err := conflicts(c, s, open, loads); err != nil {
		return err
	}
	switch {
	case s.Search != nil || loads:
	case open && !s.Arrival.Open():
		s.Arrival = experiment.Arrival{Kind: experiment.PoissonArrival}
	case len(s.Concurrency) == 0 && !open && s.SLO.Judges():
		s.Search = &experiment.Search{Over: "rate", Points: searchPoints(c)}
	case len(s.Concurrency) == 0 && !open && !s.Arrival.Open():
		s.Concurrency = []int{1}
	}
	if open || s.Search != nil || loads {
		s.Concurrency = nil
	}
	if q := s.Search; q != nil {
		s.Rate = nil
		if q.Points == 0 {
			q.Points = searchPoints(c)
		}
		if q.Over == "rate" && !s.Arrival.Open() {
			s.Arrival = experiment.Arrival{Kind: experiment.PoissonArrival}
		}
		open = q.Over == "rate"
	}
	if s.Requests == 0 && s.Duration == 0 && s.Arrival.Kind != experiment.TraceArrival && s.Arrival.Kind != experiment.StepsArrival {
		s.Requests = 30
		if s.Search != nil {
			s.Requests = 300 // a p95 with an interval on both sides, and room for it to move
		}
	}
	if open && !given && !c.IsSet("warmup") && !c.IsSet("num-warmups") {
		s.Warmup = 10
		if s.Requests > 0 {
			s.Warmup = max(10, s.Requests/10)
		}
	}
	return nil
}

// applyFlags writes the flags that were set over the specification.
func applyFlags(c *cli.Context, s *experiment.Spec) error {
	if c.IsSet("stream") && c.IsSet("no-stream") {
		return usage("run was given both --stream and --no-stream; give one")
	}
	s.Stream = (s.Stream || c.Bool("stream")) && !c.Bool("no-stream")
	if err := applyLoad(c, s); err != nil {
		return err
	}
	for name, field := range map[string]*string{"model": &s.Model, "prompt": &s.Prompt, "max-tokens-field": &s.MaxTokensField,
		"dialect": &s.Dialect, "key-header": &s.KeyHeader, "api-version": &s.APIVersion} {
		if c.IsSet(name) {
			*field = c.String(name)
		}
	}
	if c.IsSet("prompt") && (c.IsSet("input-tokens") || c.IsSet("random-input-len")) {
		return usage("--prompt is the whole prompt and --input-tokens the length of one to make up; give one of them")
	}
	for name, field := range map[string]*float64{"jitter": &s.Jitter, "temperature": &s.Temperature, "max-cost": &s.MaxCost} {
		if c.IsSet(name) {
			*field = c.Float64(name)
		}
	}
	for name, field := range timeFlags(s) {
		if c.IsSet(name) {
			if err := field.UnmarshalText([]byte(c.String(name))); err != nil {
				return usage("--%s: %w", name, err)
			}
		}
	}
	if err := applyTexts(c, map[string]textField{"input-tokens": &s.InputTokens, "output-tokens": &s.OutputTokens,
		"turns": &s.Turns, "think-time": &s.ThinkTime, "slo": &s.SLO, "until": &s.Until}); err != nil {
		return err
	}
	if c.IsSet("endpoint") {
		s.Endpoint = experiment.Endpoint(c.String("endpoint"))
	}
	if c.IsSet("seed") {
		s.Seed = c.Uint64("seed")
	}
	s.KeepText = s.KeepText || c.Bool("keep-text")
	s.KeepOversaturated = s.KeepOversaturated || c.Bool("keep-oversaturated")
	for _, apply := range []func(*cli.Context, *experiment.Spec) error{applyVLLM, applyLimits, applyMix, applyServer} {
		if err := apply(c, s); err != nil {
			return err
		}
	}
	return parseExtra(c.StringSlice("extra"), s)
}

// textField is a field of the specification that has a text.
type textField interface{ UnmarshalText([]byte) error }

func applyTexts(c *cli.Context, fields map[string]textField) error {
	for name, field := range fields {
		if c.IsSet(name) {
			if err := field.UnmarshalText([]byte(c.String(name))); err != nil {
				return usage("--%s: %w", name, err)
			}
		}
	}
	return nil
}

// applyLoad reads what is sent when, and the preset: its lengths stand until another flag
// names them, and its arrival until --arrival does.
func applyLoad(c *cli.Context, s *experiment.Spec) error {
	for name, field := range map[string]*int{"requests": &s.Requests, "warmup": &s.Warmup, "repeat": &s.Repeats, "max-concurrency": &s.MaxConcurrency} {
		if c.IsSet(name) {
			*field = c.Int(name)
		}
	}
	if c.IsSet("requests") && s.Requests < 1 {
		return usage("--requests is %d; write 1 or more", s.Requests)
	}
	if err := applyTexts(c, map[string]textField{"arrival": &s.Arrival}); err != nil {
		return err
	}
	for _, apply := range []func(*cli.Context, *experiment.Spec) error{applyLevels, vllmRate, applySearch} {
		if err := apply(c, s); err != nil {
			return err
		}
	}
	if c.IsSet("workload") {
		if err := workload.Apply(c.String("workload"), s); err != nil {
			return usage("--workload: %w", err)
		}
	}
	return nil
}

// applyLevels reads --concurrency and --rate. Either takes the place of what a file
// says about the other.
func applyLevels(c *cli.Context, s *experiment.Spec) error {
	if c.IsSet("concurrency") {
		levels, err := parseLevels(c.String("concurrency"))
		if err != nil {
			return err
		}
		s.Concurrency, s.Search = levels, nil
		if !c.IsSet("max-concurrency") {
			s.MaxConcurrency = 0
		}
		if !c.IsSet("arrival") {
			s.Arrival, s.Rate = experiment.Arrival{}, nil
		}
	}
	if !c.IsSet("rate") {
		return nil
	}
	s.Rate, s.Search = nil, nil
	if !c.IsSet("concurrency") {
		s.Concurrency = nil
	}
	for part := range strings.SplitSeq(c.String("rate"), ",") {
		r, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(r > 0) || math.IsInf(r, 0) {
			return usage("--rate has the level %q; levels are requests per second above 0, such as 0.5,1,2", part)
		}
		if slices.Contains(s.Rate, r) {
			return usage("--rate names the level %g twice; to measure each level several times use --repeat", r)
		}
		s.Rate = append(s.Rate, r)
	}
	return nil
}

// applySearch reads --search, such as rate, or concurrency=1-256.
func applySearch(c *cli.Context, s *experiment.Spec) error {
	if !c.IsSet("search") {
		return nil
	}
	over, bounds, bounded := strings.Cut(c.String("search"), "=")
	q := &experiment.Search{Over: over, Points: searchPoints(c)}
	if bounded {
		low, high, found := strings.Cut(bounds, "-")
		var lerr, herr error
		q.Low, lerr = strconv.ParseFloat(low, 64)
		q.High, herr = strconv.ParseFloat(high, 64)
		if !found || lerr != nil || herr != nil {
			return usage("--search is %q; write rate or concurrency, with bounds as in rate=1-50", c.String("search"))
		}
	}
	s.Search = q
	if !c.IsSet("concurrency") {
		s.Concurrency = nil
	}
	return nil
}

// applyLimits reads the limits on errors and cost, and the price they need.
func applyLimits(c *cli.Context, s *experiment.Spec) error {
	if text := c.String("max-errors"); text != "" {
		share, isShare := strings.CutSuffix(text, "%")
		v, err := strconv.ParseFloat(share, 64)
		if err != nil || !(v > 0) || !isShare && v != math.Trunc(v) || isShare && v >= 100 {
			return usage("--max-errors is %q; write a number such as 10, or a share such as 5%%", text)
		}
		s.MaxErrors, s.MaxErrorShare = 0, 0
		if isShare {
			s.MaxErrorShare = v / 100
		} else {
			s.MaxErrors = int(v)
		}
	}
	if text := c.String("token-price"); text != "" {
		in, out, found := strings.Cut(text, ",")
		i, ierr := strconv.ParseFloat(strings.TrimSpace(in), 64)
		o, oerr := strconv.ParseFloat(strings.TrimSpace(out), 64)
		if !found || ierr != nil || oerr != nil {
			return usage("--token-price is %q; write US dollars per million input and output tokens, such as 0.15,0.60", text)
		}
		s.TokenPrice = &experiment.TokenPrice{Input: i, Output: o}
	}
	return nil
}

// parseLevels reads "1,2,4,8".
func parseLevels(text string) ([]int, error) {
	var levels []int
	seen := map[int]bool{}
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			return nil, usage("--concurrency has the level %q; levels are whole numbers from 1, such as 1,2,4,8", part)
		}
		if seen[n] {
			return nil, usage("--concurrency names the level %d twice; to measure each level several times use --repeat", n)
		}
		seen[n] = true
		levels = append(levels, n)
	}
	return levels, nil
}

// parseExtra reads FIELD=VALUE: VALUE is JSON where it parses as JSON, else text.
func parseExtra(pairs []string, s *experiment.Spec) error {
	for _, pair := range pairs {
		key, text, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return usage("--extra is %q; write FIELD=VALUE, such as ignore_eos=true", pair)
		}
		if experiment.SecretName(key) {
			return usage("--extra %s looks like a secret, and extra fields are stored; use --api-key-file or OPENAI_API_KEY", key)
		}
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			v = text
		}
		if s.Extra == nil {
			s.Extra = map[string]any{}
		}
		s.Extra[key] = v
	}
	return nil
}

// pairs reads "a=1,b=2" into a map from name to text, in the order of the text.
func pairs(text, separator string) (names []string, values map[string]string, err error) {
	values = map[string]string{}
	for part := range strings.SplitSeq(text, separator) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		if _, twice := values[name]; !found || twice || name == "" || value == "" {
			return nil, nil, fmt.Errorf("%q is not one name=value", part)
		}
		names, values[name] = append(names, name), value
	}
	return names, values, nil
}
