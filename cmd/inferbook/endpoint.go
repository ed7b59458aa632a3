package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// baseURL gives the endpoint of a run, the first of several, and where it was named;
// empty = none was, so that the simulated engine is used.
func (p *program) baseURL(c *cli.Context, s *experiment.Spec) (address, from string, err error) {
	if c.IsSet("base-url") {
		replicas, err := parseBaseURLs(c.StringSlice("base-url"))
		if err != nil {
			return "", "", err
		}
		if s.Replicas = replicas; len(replicas) == 1 {
			s.Replicas = nil
		}
		for i := range replicas {
			if replicas[i].BaseURL, err = p.checkBase(c, s, replicas[i].BaseURL, "--base-url"); err != nil {
				return "", "", err
			}
		}
		return replicas[0].BaseURL, "--base-url", nil
	}
	file := "the spec file"
	if c.IsSet("like") {
		file = c.String("like")
	}
	switch {
	case len(s.Replicas) > 0:
		for i := range s.Replicas {
			if s.Replicas[i].BaseURL, err = p.checkBase(c, s, s.Replicas[i].BaseURL, file); err != nil {
				return "", "", err
			}
		}
		return s.Replicas[0].BaseURL, file, nil
	case s.BaseURL != "" && s.Simulator != nil:
		return "", "", usage("the spec file names both base_url and simulator; keep one of them")
	case s.BaseURL != "":
		address, from = s.BaseURL, file
	case s.Simulator != nil || c.Bool("virtual"):
		return "", "", nil
	case p.env("OPENAI_BASE_URL") != "":
		address, from = p.env("OPENAI_BASE_URL"), "OPENAI_BASE_URL"
	case p.env("OPENAI_API_BASE") != "":
		address, from = p.env("OPENAI_API_BASE"), "OPENAI_API_BASE (the old name of OPENAI_BASE_URL)"
	default:
		return "", "", nil
	}
	address, err = p.checkBase(c, s, address, from)
	return address, from, err
}

// checkBase gives the API's root as it is stored. Azure's api-version moves from the
// address to the specification.
func (p *program) checkBase(c *cli.Context, s *experiment.Spec, address, from string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", usage("%s is %q, which is not an http or https URL; write one such as http://localhost:8000/v1", from, redactURL(address))
	}
	for _, call := range []string{"/chat/completions", "/completions", "/models", "/responses", "/embeddings"} {
		if root, ok := strings.CutSuffix(strings.TrimRight(u.Path, "/"), call); ok {
			u.Path = root
			return "", usage("%s is the address of one call; give the API's root, %s", from, u.Redacted())
		}
	}
	if u.User != nil {
		return "", usage("%s holds a user or password, which would be stored; put the key into --api-key-file or OPENAI_API_KEY", from)
	}
	if c.Bool("virtual") {
		return "", usage("--virtual is for the simulated engine and %s names an endpoint; give one of them", from)
	}
	if v := u.Query().Get("api-version"); v != "" && s.APIVersion == "" {
		s.APIVersion = v
	}
	u.RawQuery, u.Fragment = "", ""
	return strings.TrimRight(u.String(), "/"), nil
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
func (p *program) simulatorOf(c *cli.Context, s *experiment.Spec) error {
	simulator := experiment.Simulator{GPU: "a10g", Count: 1, Model: "llama-3.1-8b", Runtime: "vllm-like"}
	if given := s.Simulator; given != nil { // a spec file may leave fields out
		simulator = experiment.Simulator{GPU: cmp.Or(given.GPU, simulator.GPU), Count: cmp.Or(given.Count, simulator.Count), Model: cmp.Or(given.Model, simulator.Model),
			Runtime: cmp.Or(given.Runtime, simulator.Runtime), Precision: given.Precision, Options: maps.Clone(given.Options), Profile: given.Profile, Virtual: given.Virtual}
	}
	if s.Model != "" {
		simulator.Model = s.Model
	}
	for name, field := range map[string]*string{"gpu": &simulator.GPU, "runtime": &simulator.Runtime, "precision": &simulator.Precision} {
		if c.IsSet(name) {
			*field = c.String(name)
		}
	}
	if c.IsSet("gpus") {
		simulator.Count = c.Int("gpus")
	}
	given, err := settings(c)
	if err != nil {
		return err
	}
	if simulator.Options == nil {
		simulator.Options = given
	} else {
		maps.Copy(simulator.Options, given)
	}
	if c.IsSet("profile") {
		if simulator.Profile, err = p.profile(c, c.String("profile")); err != nil {
			return err
		}
	}
	simulator.Virtual = simulator.Virtual || c.Bool("virtual")
	simulator.Precision = cmp.Or(simulator.Precision, sim.NativePrecision(simulator.Model))
	s.Simulator, s.Model = &simulator, simulator.Model
	return nil
}

// settings reads the settings of the simulated engine that --sim gives; nil = none.
func settings(c *cli.Context) (map[string]string, error) {
	var given map[string]string
	for _, setting := range c.StringSlice("sim") {
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return nil, usage("--sim %s is no setting; write NAME=VALUE, such as --sim max-seqs=8", setting)
		}
		if given == nil {
			given = map[string]string{}
		}
		given[name] = value
	}
	return given, nil
}

// profile reads the rows that a person adds to the simulated engine's catalogue: from a
// file, or from the notebook by name.
func (p *program) profile(c *cli.Context, name string) (string, error) {
	text, err := os.ReadFile(name)
	if err == nil {
		return string(text), nil
	}
	if strings.ContainsAny(name, "./") {
		return "", usage("reading the profile: %w", err)
	}
	missing := usage("there is no profile %q in the notebook and no such file; inferbook sim profiles lists them, and inferbook sim calibrate makes one", name)
	if _, exists, err := p.notebookPath(c); err != nil || !exists {
		return "", errors.Join(err, missing)
	}
	nb, err := p.look(c)
	if err != nil {
		return "", err
	}
	defer nb.Close()
	found, err := nb.Profiles(c.Context, name)
	if err != nil || len(found) == 0 {
		return "", cmp.Or(err, error(missing))
	}
	return found[0].Rows, nil
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
