package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// answers serves fixed answers; what is not in it is not found.
type answers map[string]string

func (a answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, found := a[r.URL.Path]
	if !found {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, body)
}

// facts is an environment of the facts, without the endpoint's address.
func facts(list []experiment.Fact) map[string]string {
	m := map[string]string{}
	for _, f := range list {
		if f.Key != experiment.KeyEndpoint {
			m[f.Key] = string(f.Source) + " " + f.Value
		}
	}
	return m
}

func TestTargetDialects(t *testing.T) {
	const unknown = "unknown unknown"
	for _, tt := range []struct {
		name   string
		server answers
		facts  map[string]string
		models []string
	}{
		{"vLLM", answers{
			"/v1/models": `{"object":"list","data":[{"id":"meta-llama/Llama-3.1-8B","owned_by":"vllm","max_model_len":8192}]}`,
			"/version":   `{"version":"0.8.4"}`,
		}, map[string]string{
			experiment.KeyRuntime: "detected vllm", experiment.KeyRuntimeVersion: "detected 0.8.4",
			experiment.KeyMaxModelLen: "detected 8192", experiment.KeyModel: "detected meta-llama/Llama-3.1-8B",
		}, []string{"meta-llama/Llama-3.1-8B"}},
		{"vLLM in its development mode", answers{
			"/v1/models":   `{"data":[{"id":"m","owned_by":"vllm","max_model_len":8192}]}`,
			"/version":     `{"version":"0.8.4"}`,
			"/server_info": `{"vllm_config":{"max_num_seqs":256,"api_key":"sk-1"}}`,
		}, map[string]string{
			experiment.KeyRuntime: "detected vllm", experiment.KeyRuntimeVersion: "detected 0.8.4", experiment.KeyMaxModelLen: "detected 8192",
			experiment.KeyModel: "detected m", KeyServerConfig: `detected {"vllm_config":{"api_key":"[redacted]","max_num_seqs":256}}`,
		}, []string{"m"}},
		{"Ollama, with several models", answers{
			"/v1/models":   `{"data":[{"id":"a:latest","owned_by":"library"},{"id":"b:latest","owned_by":"library"}]}`,
			"/api/version": `{"version":"0.6.5"}`,
		}, map[string]string{experiment.KeyRuntime: "detected ollama", experiment.KeyRuntimeVersion: "detected 0.6.5"}, []string{"a:latest", "b:latest"}},
		// A build that was not stamped says 0.0.0.
		{"Ollama, its own build", answers{
			"/v1/models": `{"data":[]}`, "/api/version": `{"version":"0.0.0"}`,
		}, map[string]string{experiment.KeyRuntime: "detected ollama", experiment.KeyRuntimeVersion: unknown}, nil},
		{"llama.cpp", answers{
			"/v1/models": `{"data":[{"id":"q.gguf","owned_by":"llamacpp"}]}`,
			"/props":     `{"build_info":"b5000-abc","default_generation_settings":{"n_ctx":4096},"total_slots":4}`,
		}, map[string]string{
			experiment.KeyRuntime: "detected llama.cpp", experiment.KeyRuntimeVersion: "detected b5000-abc", experiment.KeyMaxModelLen: "detected 4096",
			experiment.KeyModel: "detected q.gguf",
			KeyServerConfig:     `detected {"build_info":"b5000-abc","default_generation_settings":{"n_ctx":4096},"total_slots":4}`,
		}, []string{"q.gguf"}},
		{"SGLang, under its older path", answers{
			"/v1/models":       `{"data":[{"id":"m","owned_by":"sglang","max_model_len":4096}]}`,
			"/get_server_info": `{"version":"0.4.6","model_path":"m","dtype":"auto","quantization":"fp8","tp_size":2}`,
		}, map[string]string{
			experiment.KeyRuntime: "detected sglang", experiment.KeyRuntimeVersion: "detected 0.4.6", experiment.KeyMaxModelLen: "detected 4096",
			experiment.KeyModel: "detected m", experiment.KeyPrecision: "detected fp8",
			KeyServerConfig: `detected {"dtype":"auto","model_path":"m","quantization":"fp8","tp_size":2,"version":"0.4.6"}`,
		}, []string{"m"}},
		// A version alone is not the mark of any of them.
		{"something else", answers{"/v1/models": `{"data":[{"id":"m","owned_by":"acme"}]}`, "/version": `{"version":"7"}`},
			map[string]string{experiment.KeyRuntime: unknown, experiment.KeyRuntimeVersion: unknown, experiment.KeyModel: "detected m"}, []string{"m"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.server)
			defer server.Close()
			info, err := Target(t.Context(), server.URL+"/v1/", "")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.facts, facts(info.Facts)); d != "" {
				t.Errorf("facts:\n%s", d)
			}
			if d := cmp.Diff(tt.models, info.Models); d != "" {
				t.Errorf("models:\n%s", d)
			}
			if len(info.Warnings) > 0 {
				t.Errorf("warnings %q", info.Warnings)
			}
		})
	}
}

func TestTargetSimulator(t *testing.T) {
	s, err := sim.NewServer(sim.Config{GPU: "h100-sxm", Count: 2})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	info, err := Target(t.Context(), server.URL+"/v1", "")
	if err != nil || len(info.Warnings) > 0 {
		t.Fatal(err, info.Warnings)
	}
	var env experiment.Environment
	for _, f := range info.Facts {
		env.Set(f.Key, f.Value, f.Source)
	}
	if info.Dialect != vllm || info.MaxModelLen != s.Deployment().MaxModelLen {
		t.Errorf("dialect %s, context %d", info.Dialect, info.MaxModelLen)
	}
	if got, want := env.Label(), "llama-3.1-8b bf16 · vllm-like · 2× h100-sxm · SIMULATED"; got != want {
		t.Errorf("the label is %q, not %q", got, want)
	}
	// A run in virtual time asks nobody and records the same facts.
	if d := cmp.Diff(facts(Simulator(s.Deployment())), facts(info.Facts)); d != "" {
		t.Error(d)
	}
	if f := env.Get(experiment.KeyCalibration); f.Source != experiment.Simulated || f.Value == "" {
		t.Errorf("calibration %+v", f)
	}
}

// A scaled clock is told apart from a real one.
func TestTargetScaledSimulator(t *testing.T) {
	s, err := sim.Serving{TimeScale: 4}.NewServer(sim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	info, err := Target(t.Context(), server.URL+"/v1", "")
	if err != nil || len(info.Warnings) > 0 {
		t.Fatal(err, info.Warnings)
	}
	var env experiment.Environment
	for _, f := range info.Facts {
		env.Set(f.Key, f.Value, f.Source)
	}
	if info.TimeScale != 4 || env.Get(experiment.KeyTime) != (experiment.Fact{Key: experiment.KeyTime, Value: "scaled ×4", Source: experiment.Simulated}) {
		t.Errorf("time scale %g, %+v", info.TimeScale, env.Get(experiment.KeyTime))
	}
	if got, want := env.Label(), "llama-3.1-8b bf16 · vllm-like · a10g · SIMULATED, time scaled ×4"; got != want {
		t.Errorf("the label is %q, not %q", got, want)
	}
}

// A server that answers each path with its own page says nothing by it.
func TestTargetCatchAll(t *testing.T) {
	server := httptest.NewServer(answers{"/v1/models": `{"data":[]}`, "/version": "<html>", "/props": "<html>"})
	defer server.Close()
	info, err := Target(t.Context(), server.URL+"/v1", "")
	if err != nil || len(info.Warnings) != 0 {
		t.Errorf("warnings %q, error %v", info.Warnings, err)
	}
}

// The usual slip is an address without /v1.
func TestTargetWithoutV1(t *testing.T) {
	server := httptest.NewServer(answers{"/v1/models": `{"data":[{"id":"m"}]}`})
	defer server.Close()
	info, err := Target(t.Context(), server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := "did you mean " + server.URL + "/v1?"; len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], want) {
		t.Errorf("warnings %q, want one with %q", info.Warnings, want)
	}
}

func TestTargetTrouble(t *testing.T) {
	const key = "sk-very-secret"
	page := func(body string) http.Handler { return answers{"/v1/models": body} }
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with the key %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	for _, tt := range []struct {
		name    string
		handler http.Handler
		want    string // a part of the warning
	}{
		{"the key is refused", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }), "HTTP status 401"},
		{"a web page", page("<html>hello"), "not JSON"},
		{"a redirect", http.RedirectHandler(elsewhere.URL, http.StatusFound), "HTTP status 302"},
		{"an answer that is too long", page(`"` + strings.Repeat("x", answerMax) + `"`), "over 1024 KiB"},
		{"a configuration that is too long", answers{
			"/v1/models": `{"data":[{"id":"m","owned_by":"llamacpp"}]}`,
			"/props":     `{"a":[` + strings.Repeat(`"x",`, configMax) + `"x"]}`,
		}, "over 16 KiB"},
		{"a simulator that keeps quiet", page(`{"data":[{"id":"m","owned_by":"inferbook-simulator"}]}`), "does not say what it simulates"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			info, err := Target(t.Context(), server.URL+"/v1", key)
			if err != nil {
				t.Fatal(err)
			}
			if len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], tt.want) {
				t.Errorf("warnings %q", info.Warnings)
			}
			if strings.Contains(fmt.Sprint(info), key) {
				t.Errorf("the key is in %v", info)
			}
		})
	}
	t.Run("nobody is there", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		info, err := Target(t.Context(), server.URL+"/v1", "")
		if err != nil || len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], "refused") {
			t.Errorf("%v, %q", err, info.Warnings)
		}
	})
	for _, bad := range []string{"", "127.0.0.1:8000", "ftp://host/v1", "http://user:pw@/v1", "http://u:pw@ho st/"} {
		if _, err := Target(t.Context(), bad, ""); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q gave %v", bad, err)
		}
	}
}

func TestTargetLeavesUserinfoOut(t *testing.T) {
	server := httptest.NewServer(answers{"/v1/models": `{"data":[]}`})
	defer server.Close()
	info, err := Target(t.Context(), strings.Replace(server.URL, "://", "://me:pw@", 1)+"/v1?token=pw", "")
	if err != nil || strings.Contains(fmt.Sprint(info), "pw") {
		t.Error(err, info)
	}
}

// roundTrip answers without a network, so that it works in a bubble.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAskGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := questioner{client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}, root: "http://bubble"}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
		defer cancel()
		for path, a := range q.askAll(ctx, paths) {
			if a.err == nil || !strings.Contains(a.err.Error(), "no answer within 5s") || errors.Is(a.err, http.ErrUseLastResponse) {
				t.Errorf("%s: %v", path, a.err)
			}
		}
		if took := time.Since(begin); took != askTimeout {
			t.Errorf("all questions together took %s", took)
		}
	})
}

func TestRedact(t *testing.T) {
	const known = "sk-known-secret"
	for _, tt := range []struct{ name, in, want string }{
		{"secret names at any depth", `{"a":[{"api_key":"s","hf_token":"s","adminPassword":"s","client-secret":["s"]}]}`,
			`{"a":[{"adminPassword":"[redacted]","api_key":"[redacted]","client-secret":"[redacted]","hf_token":"[redacted]"}]}`},
		// Configuration that merely has the words in it stays.
		{"harmless names", `{"tokenizer":"t","max_num_batched_tokens":8192,"kv_cache_dtype":"fp8","trust_remote_code":true,"keyboard":"us"}`,
			`{"keyboard":"us","kv_cache_dtype":"fp8","max_num_batched_tokens":8192,"tokenizer":"t","trust_remote_code":true}`},
		{"a command line as a list", `{"argv":["vllm","--api-key","s","--max-num-batched-tokens","8192","--port","80"]}`,
			`{"argv":["vllm","--api-key","[redacted]","--max-num-batched-tokens","8192","--port","80"]}`},
		{"a command line as a text", `{"cmd":"vllm --verbose --api-key s --hf-token=s --max-num-seqs 4"}`,
			`{"cmd":"vllm --verbose --api-key [redacted] --hf-token=[redacted] --max-num-seqs 4"}`},
		{"a value in quotes", `{"cmd":"vllm --api-key 's s' --model \"a b\""}`, `{"cmd":"vllm --api-key [redacted] --model \"a b\""}`},
		{"an environment", `{"env":["HF_TOKEN=s","MAX_TOKENS=100","HOME=/root"]}`, `{"env":["HF_TOKEN=[redacted]","MAX_TOKENS=100","HOME=/root"]}`},
		{"the user part of a URL", `{"proxy":"http://me:pw@host/x"}`, `{"proxy":"http://host/x"}`},
		{"a password with an at sign", `{"proxy":"http://me:p@w@host/x@y"}`, `{"proxy":"http://host/x@y"}`},
		{"a bearer", `{"header":"Authorization: Bearer abc"}`, `{"header":"Authorization: [redacted]"}`},
		{"our own key, anywhere", `{"seen":"it was sk-known-secret","sk-known-secret":1}`, `{"[redacted]":1,"seen":"it was [redacted]"}`},
		{"nothing under the name", `{"api_key":null}`, `{"api_key":null}`},
		{"a long text", `{"chat_template":"` + strings.Repeat("é", 400) + `"}`, `{"chat_template":"` + strings.Repeat("é", 128) + `…"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v any
			if err := json.Unmarshal([]byte(tt.in), &v); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(redact(v, known))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

// Whatever a server says, the key that we sent it is not in what is kept.
func FuzzRedact(f *testing.F) {
	const known = "sk-0123456789abcdef"
	f.Add(`{"a":"` + known + `"}`)
	f.Add(`["--api-key","` + known + `"]`)
	f.Add(`{"` + known + `":{"api_key":[1,"x"]}}`)
	f.Fuzz(func(t *testing.T, in string) {
		var v any
		if json.Unmarshal([]byte(in), &v) != nil {
			return
		}
		out, err := json.Marshal(redact(v, known))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), known) {
			t.Errorf("the key is in %s", out)
		}
	})
}

func TestHost(t *testing.T) {
	got := map[string]experiment.Fact{}
	for _, f := range Host(t.Context()) {
		got[f.Key] = f
	}
	for _, key := range []string{KeyClientOS, KeyClientArch, KeyClientCPU, KeyClientCores, KeyClientMemory, KeyClientGo, KeyClientVersion} {
		f, found := got[key]
		if !found || f.Value == "" || f.Source != experiment.Detected && f.Source != experiment.UnknownValue {
			t.Errorf("%s: %+v", key, f)
		}
	}
}

func TestBuildVersion(t *testing.T) {
	b := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}}
	if got := buildVersion(b); got != "(devel) 0123456789ab dirty" {
		t.Errorf("a build of a changed checkout is %q", got)
	}
	b = &debug.BuildInfo{Main: debug.Module{Version: "v1.2.0"}}
	if got := buildVersion(b); got != "v1.2.0" {
		t.Errorf("a release is %q", got)
	}
}

// With or without a driver there is an answer, and the facts are the same ones.
func TestGPU(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), done} {
		list := GPU(ctx)
		if len(list) != 5 {
			t.Errorf("facts %v", list)
		}
		for _, f := range list {
			if (f.Source == experiment.UnknownValue) != (f.Value == "unknown") {
				t.Errorf("fact %+v", f)
			}
		}
	}
}
