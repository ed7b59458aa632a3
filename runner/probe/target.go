package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// What a server may take of our time and memory.
const (
	askTimeout = 5 * time.Second // for all questions together
	answerMax  = 1 << 20
	configMax  = 16 << 10 // of the redacted configuration that is kept
)

// TargetInfo is what a server says of itself.
type TargetInfo struct {
	Facts []experiment.Fact
	// Models are the ids that it serves, in its own order.
	Models []string
	// Dialect is one of [Dialects].
	Dialect string
	// MaxModelLen is the longest context in tokens; 0 = unknown.
	MaxModelLen int
	// TimeScale is the seconds of a simulated engine's clock in a real second; 1 = it
	// is real time, and so it is for whatever is not simulated.
	TimeScale float64
	// Warnings are whole sentences on what could not be read.
	Warnings []string
}

// Server is an endpoint, and what it wants to see with each request.
type Server struct {
	// BaseURL is the API's root.
	BaseURL string
	// Key is the bearer token, or what KeyHeader carries; empty = none.
	Key, KeyHeader string
	// APIVersion is sent as the query api-version; empty = none.
	APIVersion string
	// Headers are sent too.
	Headers map[string]string
}

// Target asks the server behind an OpenAI-compatible API root what it is. key is
// its bearer token; empty = none. Its error is that of [Server.Ask].
func Target(ctx context.Context, baseURL, key string) (TargetInfo, error) {
	return Server{BaseURL: baseURL, Key: key}.Ask(ctx)
}

// Ask asks the server what it is. The error is only that BaseURL is not a URL;
// whatever the server fails to answer is a warning and an unknown fact.
func (s Server) Ask(ctx context.Context) (TargetInfo, error) {
	base, err := url.Parse(s.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return TargetInfo{}, fmt.Errorf("probing the endpoint: %q is not an http or https URL, such as http://127.0.0.1:8000/v1", userinfo.ReplaceAllString(s.BaseURL, "://"))
	}
	base.User, base.RawQuery, base.Fragment = nil, "", ""
	api, key := strings.TrimRight(base.String(), "/"), s.Key
	q := questioner{
		server: s,
		root:   strings.TrimSuffix(api, "/v1"),
		client: &http.Client{
			Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
			// A redirect would take the key to an address that nobody named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()

	info := TargetInfo{Facts: []experiment.Fact{detected(experiment.KeyEndpoint, api)}, Dialect: generic, TimeScale: 1}
	models := q.ask(ctx, api+"/models")
	service := hosted(base, models.header)
	switch {
	case models.err != nil && (service == azure || service == databricks): // they list none there
	case models.err != nil:
		info.Warnings = append(info.Warnings, fmt.Sprintf("The endpoint does not list its models (%s): %s.%s", api+"/models", models.err, q.elsewhere(ctx, api, models)))
	default:
		for _, id := range models.json.Get("data.#.id").Array() {
			info.Models = append(info.Models, redactText(id.String(), key))
		}
	}
	if simulated(models) {
		info.Dialect = vllm // whose API it has
		info.addSimulator(q.ask(ctx, q.root+"/sim/config"))
		info.addScale(models)
		return info, nil
	}
	if models.status == 0 || service != "" { // nobody is there, or nobody who says more
		info.take(identity{dialect: service})
		return info, nil
	}
	answers := q.askAll(ctx, paths)
	id := recognise(models, answers)
	info.take(id)
	if len(info.Models) == 1 {
		info.Facts = append(info.Facts, detected(experiment.KeyModel, info.Models[0]))
	}
	info.addConfig(id.config, key)
	// A server that does not know a path is of another kind, and one that answers
	// each path with its own page says nothing by it: neither is news.
	for _, path := range paths {
		if a := answers[path]; a.err != nil && a.status/100 == 2 && !errors.Is(a.err, errNotJSON) {
			info.Warnings = append(info.Warnings, fmt.Sprintf("The answer to %s was left out: %s.", path, a.err))
		}
	}
	return info, nil
}

// take records what the server turned out to be.
func (t *TargetInfo) take(id identity) {
	if id.dialect != "" {
		t.Dialect = id.dialect
	}
	if n, err := strconv.Atoi(id.maxModelLen); err == nil {
		t.MaxModelLen = n
	}
	t.Facts = append(t.Facts, id.facts()...)
}

// elsewhere says where the API is when it is not at the address given and is
// under /v1 of it, the usual slip.
func (q *questioner) elsewhere(ctx context.Context, api string, models answer) string {
	if models.status != http.StatusNotFound || strings.HasSuffix(api, "/v1") {
		return ""
	}
	if q.ask(ctx, api+"/v1/models").err != nil {
		return ""
	}
	return fmt.Sprintf(" It does at %[1]s/v1/models: did you mean %[1]s/v1?", api)
}

// simulated reports whether the answer comes from the simulated engine.
func simulated(models answer) bool {
	return models.header.Get("X-Inferbook-Simulated") != "" ||
		models.json.Get("data.0.owned_by").String() == "inferbook-simulator"
}

// addSimulator records what the simulated engine simulates.
func (t *TargetInfo) addSimulator(config answer) {
	var d sim.Deployment
	err := config.err
	if err == nil {
		err = json.Unmarshal([]byte(config.json.Raw), &d)
	}
	if err != nil {
		t.Warnings = append(t.Warnings, fmt.Sprintf("The simulated engine does not say what it simulates: %s.", err))
		t.Facts = append(t.Facts, experiment.Fact{Key: experiment.KeyRuntime, Value: "inferbook-sim", Source: experiment.Simulated})
		return
	}
	t.MaxModelLen = d.MaxModelLen
	t.Facts = append(t.Facts, Simulator(d)...)
}

// addScale records the simulated engine's clock where that is not the real one.
// The list of models says it, so that no simulator can be taken for a real-time one
// because its configuration cannot be read.
func (t *TargetInfo) addScale(models answer) {
	k := models.json.Get("data.0.time_scale").Num
	if header, err := strconv.ParseFloat(models.header.Get("X-Inferbook-Time-Scale"), 64); k == 0 && err == nil {
		k = header
	}
	if k <= 0 || k == 1 {
		return
	}
	t.TimeScale = k
	t.Facts = append(t.Facts, experiment.Fact{Key: experiment.KeyTime, Value: experiment.ScaledTime(k), Source: experiment.Simulated})
}

// addConfig keeps the server's own configuration, without secrets.
func (t *TargetInfo) addConfig(config gjson.Result, key string) {
	if !config.IsObject() {
		return
	}
	text, err := json.Marshal(redact(config.Value(), key))
	if err != nil || len(text) > configMax {
		t.Warnings = append(t.Warnings, fmt.Sprintf("The server's configuration is not kept: it is over %d KiB.", configMax>>10))
		return
	}
	t.Facts = append(t.Facts, detected(KeyServerConfig, string(text)))
}

var errNotJSON = errors.New("it is not JSON")

// answer is what came of one question.
type answer struct {
	status int // 0 = no answer at all
	header http.Header
	json   gjson.Result // of an answer with status 2xx
	err    error
}

// questioner asks one server.
type questioner struct {
	client *http.Client
	server Server
	root   string
}

// dress puts on a request what the server wants to see.
func (s Server) dress(req *http.Request) {
	for name, value := range s.Headers {
		req.Header.Set(name, value)
	}
	switch {
	case s.Key == "":
	case s.KeyHeader != "":
		req.Header.Set(s.KeyHeader, s.Key)
	default:
		req.Header.Set("Authorization", "Bearer "+s.Key)
	}
	if s.APIVersion != "" {
		req.URL.RawQuery = url.Values{"api-version": {s.APIVersion}}.Encode()
	}
}

// askAll asks for several paths under the root at the same time.
func (q *questioner) askAll(ctx context.Context, paths []string) map[string]answer {
	answers := make(map[string]answer, len(paths))
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, path := range paths {
		asked.Go(func() {
			a := q.ask(ctx, q.root+path)
			mu.Lock()
			defer mu.Unlock()
			answers[path] = a
		})
	}
	asked.Wait()
	return answers
}

// ask gets one JSON document.
func (q *questioner) ask(ctx context.Context, address string) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{err: err}
	}
	q.server.dress(req)
	req.Header.Set("Accept", "application/json")
	resp, err := q.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return answer{err: fmt.Errorf("no answer within %s", askTimeout)}
		}
		var wrapped *url.Error
		if errors.As(err, &wrapped) { // its text would repeat the address
			err = wrapped.Err
		}
		return answer{err: err}
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode/100 != 2 {
		a.err = fmt.Errorf("HTTP status %d", resp.StatusCode)
		return a
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax+1))
	switch {
	case err != nil && ctx.Err() != nil:
		a.err = fmt.Errorf("the answer did not end within %s", askTimeout)
	case err != nil:
		a.err = fmt.Errorf("reading the answer: %w", err)
	case len(body) > answerMax:
		a.err = fmt.Errorf("it is over %d KiB", answerMax>>10)
	case !gjson.ValidBytes(body):
		a.err = errNotJSON
	default:
		a.json = gjson.ParseBytes(body)
	}
	return a
}
