package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
)

// runFlags are the flags of run; each one is a field of experiment.Spec unless
// its usage says otherwise.
func runFlags() []cli.Flag {
	d := experiment.DefaultSpec()
	return []cli.Flag{
		&cli.StringFlag{Name: "base-url", Usage: "the API's root `URL`, such as http://localhost:8000/v1 (default: $OPENAI_BASE_URL, else the simulated engine)"},
		&cli.StringFlag{Name: "api-key-file", Usage: "read the key from `FILE` (default: $OPENAI_API_KEY); it is never stored"},
		&cli.StringFlag{Name: "model", Usage: "the model's `NAME` (default: the only one that the server lists)"},
		&cli.StringFlag{Name: "endpoint", Usage: "`API` to use: chat or completions", Value: string(d.Endpoint)},
		&cli.BoolFlag{Name: "stream", Usage: "stream the answers, and so see TTFT and TPOT"},
		&cli.BoolFlag{Name: "no-stream", Usage: "do not stream, which is the default"},
		&cli.StringFlag{Name: "concurrency", Aliases: []string{"c"}, Usage: "`LEVELS` of requests in flight, such as 1,2,4,8", Value: "1"},
		&cli.IntFlag{Name: "requests", Aliases: []string{"n"}, Usage: "measure `N` requests per level", DefaultText: "30, unless --duration is given"},
		&cli.StringFlag{Name: "duration", Aliases: []string{"d"}, Usage: "measure each level for this `TIME`, such as 60s"},
		&cli.StringFlag{Name: "input-tokens", Usage: "prompt length, `N` tokens or a distribution", Value: d.InputTokens.String()},
		&cli.StringFlag{Name: "output-tokens", Usage: "answer length, `N` tokens or a distribution, sent as the limit", Value: d.OutputTokens.String()},
		&cli.Float64Flag{Name: "jitter", Usage: "spread of both lengths, ± this `SHARE`, so that requests do not all end together", Value: d.Jitter},
		&cli.StringFlag{Name: "prompt", Usage: "one fixed prompt `TEXT` instead of synthetic ones"},
		&cli.IntFlag{Name: "warmup", Usage: "each worker sends `N` requests before it is measured", Value: d.Warmup},
		&cli.IntFlag{Name: "repeat", Usage: "measure each level `N` times, in shuffled order", Value: d.Repeats},
		&cli.Uint64Flag{Name: "seed", Usage: "`N` that fixes prompts, lengths and order", Value: d.Seed},
		&cli.Float64Flag{Name: "temperature", Usage: "sampling temperature `T`, sent as it is", Value: d.Temperature},
		&cli.StringFlag{Name: "max-tokens-field", Usage: "`NAME` of the answer limit: max_tokens, max_completion_tokens, or auto for the first that the server takes", Value: d.MaxTokensField},
		&cli.StringSliceFlag{Name: "extra", Usage: "a `FIELD=VALUE` put into each request body, such as ignore_eos=true (may be repeated)"},
		&cli.StringFlag{Name: "timeout", Usage: "longest `TIME` for one whole request", Value: time.Duration(d.TotalTimeout).String()},
		&cli.StringFlag{Name: "first-byte-timeout", Usage: "longest `TIME` until an answer begins", Value: time.Duration(d.FirstByteTimeout).String()},
		&cli.StringFlag{Name: "idle-timeout", Usage: "longest `TIME` without progress after that", Value: time.Duration(d.IdleTimeout).String()},
		&cli.BoolFlag{Name: "keep-text", Usage: "store prompts and answers (otherwise only their hashes)"},
		&cli.StringFlag{Name: "gpu", Usage: "with the simulator: the `GPU` to simulate (default a10g); with an endpoint: the GPU you declare it has"},
		&cli.IntFlag{Name: "gpus", Usage: "`N` GPUs serve the model together (simulator: tensor parallel)", Value: 1},
		&cli.StringFlag{Name: "runtime", Usage: "the `RUNTIME` to simulate (vllm-like, trtllm-like, hf-static), or that you declare"},
		&cli.StringFlag{Name: "precision", Usage: "the `PRECISION` to simulate (bf16, fp8), or that you declare"},
		&cli.BoolFlag{Name: "virtual", Usage: "simulate in virtual time: no HTTP, no waiting"},
		&cli.StringFlag{Name: "name", Usage: "a `NAME` for the experiment"},
		&cli.StringSliceFlag{Name: "tag", Usage: "a `TAG` (may be repeated)"},
		&cli.StringFlag{Name: "message", Aliases: []string{"m"}, Usage: "`WHY` you make this run"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask before sending load to another machine"},
		jsonFlag(), dbFlag(),
	}
}

// specOf builds the specification: defaults, then the spec file where one is
// given, then every flag that was set.
func specOf(c *cli.Context) (experiment.Spec, error) {
	spec := experiment.DefaultSpec()
	switch c.NArg() {
	case 0:
	case 1:
		if err := readSpec(c.Args().First(), &spec); err != nil {
			return spec, err
		}
	default:
		return spec, usage("run takes at most one spec file and was given %d arguments: %s", c.NArg(), strings.Join(c.Args().Slice(), " "))
	}
	if err := applyFlags(c, &spec); err != nil {
		return spec, err
	}
	if spec.Requests == 0 && spec.Duration == 0 {
		spec.Requests = 30
	}
	if err := spec.Validate(); err != nil {
		return spec, usage("%w", err)
	}
	return spec, nil
}

// applyFlags writes the flags that were set over the specification.
func applyFlags(c *cli.Context, s *experiment.Spec) error {
	if c.IsSet("stream") && c.IsSet("no-stream") {
		return usage("run was given both --stream and --no-stream; give one")
	}
	s.Stream = (s.Stream || c.Bool("stream")) && !c.Bool("no-stream")
	for name, field := range map[string]*string{"model": &s.Model, "prompt": &s.Prompt, "max-tokens-field": &s.MaxTokensField} {
		if c.IsSet(name) {
			*field = c.String(name)
		}
	}
	for name, field := range map[string]*experiment.Length{"input-tokens": &s.InputTokens, "output-tokens": &s.OutputTokens} {
		if c.IsSet(name) {
			if err := field.UnmarshalText([]byte(c.String(name))); err != nil {
				return usage("--%s: %w", name, err)
			}
		}
	}
	for name, field := range map[string]*int{"requests": &s.Requests, "warmup": &s.Warmup, "repeat": &s.Repeats} {
		if c.IsSet(name) {
			*field = c.Int(name)
		}
	}
	if c.IsSet("requests") && s.Requests < 1 {
		return usage("--requests is %d; write 1 or more", s.Requests)
	}
	for name, field := range map[string]*float64{"jitter": &s.Jitter, "temperature": &s.Temperature} {
		if c.IsSet(name) {
			*field = c.Float64(name)
		}
	}
	for name, field := range map[string]*experiment.Duration{"duration": &s.Duration, "timeout": &s.TotalTimeout,
		"first-byte-timeout": &s.FirstByteTimeout, "idle-timeout": &s.IdleTimeout} {
		if c.IsSet(name) {
			if err := field.UnmarshalText([]byte(c.String(name))); err != nil {
				return usage("--%s: %w", name, err)
			}
		}
	}
	if c.IsSet("endpoint") {
		s.Endpoint = experiment.Endpoint(c.String("endpoint"))
	}
	if c.IsSet("seed") {
		s.Seed = c.Uint64("seed")
	}
	if c.IsSet("keep-text") {
		s.KeepText = c.Bool("keep-text")
	}
	if c.IsSet("concurrency") {
		levels, err := parseLevels(c.String("concurrency"))
		if err != nil {
			return err
		}
		s.Concurrency = levels
	}
	return parseExtra(c.StringSlice("extra"), s)
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
		if strings.Contains(strings.ToLower(key), "key") || strings.Contains(strings.ToLower(key), "token") && strings.Contains(strings.ToLower(key), "auth") {
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

// baseURL gives the endpoint of a run and where it was named; empty = none was,
// so that the simulated engine is used.
func (p *program) baseURL(c *cli.Context, s experiment.Spec) (address, from string, err error) {
	switch {
	case s.BaseURL != "" && s.Simulator != nil && !c.IsSet("base-url"):
		return "", "", usage("the spec file names both base_url and simulator; keep one of them")
	case c.IsSet("base-url"):
		address, from = c.String("base-url"), "--base-url"
	case s.BaseURL != "":
		address, from = s.BaseURL, "the spec file"
	case s.Simulator != nil || c.Bool("virtual"):
		return "", "", nil
	case p.env("OPENAI_BASE_URL") != "":
		address, from = p.env("OPENAI_BASE_URL"), "OPENAI_BASE_URL"
	case p.env("OPENAI_API_BASE") != "":
		address, from = p.env("OPENAI_API_BASE"), "OPENAI_API_BASE (the old name of OPENAI_BASE_URL)"
	default:
		return "", "", nil
	}
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", "", usage("%s is %q, which is not an http or https URL; write one such as http://localhost:8000/v1", from, redactURL(address))
	}
	for _, call := range []string{"/chat/completions", "/completions", "/models"} {
		if root, ok := strings.CutSuffix(strings.TrimRight(u.Path, "/"), call); ok {
			u.Path = root
			return "", "", usage("%s is the address of one call; give the API's root, %s", from, u.Redacted())
		}
	}
	if u.User != nil {
		return "", "", usage("%s holds a user or password, which would be stored; put the key into --api-key-file or OPENAI_API_KEY", from)
	}
	if c.Bool("virtual") {
		return "", "", usage("--virtual is for the simulated engine and %s names an endpoint; give one of them", from)
	}
	u.RawQuery, u.Fragment = "", ""
	return strings.TrimRight(u.String(), "/"), from, nil
}

// redactURL takes user and password out of an address that may not even parse.
func redactURL(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		rest = rest[i+1:]
	}
	return scheme + "://" + rest
}

// key reads the bearer key: from the file, or from the environment. No key is fine.
func (p *program) key(c *cli.Context) (string, error) {
	path, text := c.String("api-key-file"), p.env("OPENAI_API_KEY")
	if path == "" && text == "" {
		return "", nil
	}
	from := "OPENAI_API_KEY"
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", usage("reading the key: %w", err)
		}
		from, text = "the key file "+path, string(b)
	}
	key := strings.TrimSpace(text)
	if key == "" || strings.ContainsFunc(key, unicode.IsControl) {
		return "", usage("%s has to hold one line, the key", from)
	}
	return key, nil
}

// loopback reports whether the address is this machine by name or number.
func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	h := u.Hostname()
	return h == "localhost" || h == "::1" || strings.HasPrefix(h, "127.")
}

// simulatorOf gives the simulated engine that flags and spec file ask for.
func simulatorOf(c *cli.Context, s *experiment.Spec) {
	sim := experiment.Simulator{GPU: "a10g", Count: 1, Model: "llama-3.1-8b", Runtime: "vllm-like", Precision: "bf16"}
	if given := s.Simulator; given != nil { // a spec file may leave fields out
		sim = experiment.Simulator{GPU: cmp.Or(given.GPU, sim.GPU), Count: cmp.Or(given.Count, sim.Count), Model: cmp.Or(given.Model, sim.Model),
			Runtime: cmp.Or(given.Runtime, sim.Runtime), Precision: cmp.Or(given.Precision, sim.Precision), Virtual: given.Virtual}
	}
	if s.Model != "" {
		sim.Model = s.Model
	}
	for name, field := range map[string]*string{"gpu": &sim.GPU, "runtime": &sim.Runtime, "precision": &sim.Precision} {
		if c.IsSet(name) {
			*field = c.String(name)
		}
	}
	if c.IsSet("gpus") {
		sim.Count = c.Int("gpus")
	}
	sim.Virtual = sim.Virtual || c.Bool("virtual")
	s.Simulator, s.Model = &sim, sim.Model
}

// declared records what the person says about a real endpoint.
func declared(c *cli.Context, env *experiment.Environment) {
	for flag, key := range map[string]string{"gpu": experiment.KeyGPUModel, "runtime": experiment.KeyRuntime, "precision": experiment.KeyPrecision} {
		if c.IsSet(flag) {
			env.Set(key, c.String(flag), experiment.Declared)
		}
	}
	if c.IsSet("gpus") || c.IsSet("gpu") {
		env.Set(experiment.KeyGPUCount, fmt.Sprint(c.Int("gpus")), experiment.Declared)
	}
}
