package runner

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	work "github.com/inferbook/inferbook/runner/workload"
)

// clientCounting is a server that counts prompts as a tokenizer of its own would.
type clientCounting struct {
	perToken  float64
	overhead  int
	context   int  // 0 = none; a longer prompt is cut to it
	refuses   bool // a longer prompt is refused instead
	noUsage   bool
	scatter   int // up to so many tokens more, by the text
	short     int // tokens after which an answer ends by itself; 0 = at its limit
	tokenizer func(n int) string
}

func (k clientCounting) count(text string) int {
	n := k.overhead + int(math.Round(float64(len(text))/k.perToken))
	if k.scatter > 0 {
		sum := 0
		for _, b := range []byte(text) {
			sum = sum*31 + int(b)
		}
		n += int(uint32(sum)%uint32(2*k.scatter+1)) - k.scatter
	}
	return n
}

func (k clientCounting) answer(_, _ int, r *http.Request, body string) []clientPiece {
	if r.URL.Path == "/tokenize" {
		if k.tokenizer == nil {
			return clientWhole(404, "", `{"detail":"Not Found"}`)
		}
		text := gjson.Get(body, "content").Str + gjson.Get(body, "prompt").Str + gjson.Get(body, "inputs").Str + gjson.Get(body, "messages.0.content").Str
		return clientWhole(200, "", k.tokenizer(k.count(text)))
	}
	n := k.count(gjson.Get(body, "messages.0.content").Str + gjson.Get(body, "prompt").Str + gjson.Get(body, "input").Str)
	if k.context > 0 && n > k.context {
		if k.refuses {
			return clientRefusal(400, fmt.Sprintf(`{"error":{"message":"This model's maximum context length is %d tokens"}}`, k.context))
		}
		n = k.context
	}
	if gjson.Get(body, "input").Exists() {
		return clientWhole(200, "", fmt.Sprintf(`{"data":[{"embedding":[1]}],"model":"m","usage":{"prompt_tokens":%d}}`, n))
	}
	output, finish := int(gjson.Get(body, maxTokens).Int()), "length"
	if k.short > 0 && output > k.short {
		output, finish = k.short, "stop"
	}
	usage := clientUsage(n, output)
	if k.noUsage {
		usage = ""
	}
	return clientSSE(clientAfter(20*ms, clientText("a"), strings.ReplaceAll(clientStop, "stop", finish), usage, clientDone))
}

func clientLearn(t *testing.T, k clientCounting, detected string, change func(*ClientConfig)) (l Learned, c *Client, server *clientServer) {
	t.Helper()
	server = &clientServer{answer: k.answer}
	synctest.Test(t, func(t *testing.T) {
		cfg := ClientConfig{Spec: clientSpec(), Detected: detected, MaxConns: 1, Dial: server.dial, Salt: "01J9"}
		cfg.Spec.InputTokens = experiment.Tokens(1000)
		if change != nil {
			change(&cfg)
		}
		var err error
		if c, err = NewClient(cfg); err != nil {
			t.Fatal(err)
		}
		if l, err = c.Learn(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		server.running.Wait()
	})
	return l, c, server
}

func TestLearn(t *testing.T) {
	count := func(n int) string { return fmt.Sprintf(`{"count":%d,"max_model_len":8192,"tokens":null}`, n) }
	list := func(n int) string {
		return `{"tokens":[` + strings.TrimSuffix(strings.Repeat("7,", n), ",") + `]}`
	}
	for _, tt := range []struct {
		name     string
		server   clientCounting
		dialect  string
		change   func(*ClientConfig)
		within   float64 // of the count, at 200 and 1,000 tokens
		how      string
		requests int
		context  int
		full     string // known and full
		warning  string // a part; empty = none
	}{
		{"usage, one token a word", clientCounting{perToken: 4, overhead: 20}, "generic", nil, 0.005, "usage.prompt_tokens of 7 probes", 8, 0, "true true", ""},
		{"few characters a token", clientCounting{perToken: 1.8, overhead: 40}, "generic", nil, 0.005, "usage.prompt_tokens of 7 probes", 8, 0, "true true", ""},
		{"counts that scatter are asked for more often", clientCounting{perToken: 2, overhead: 20, scatter: 6}, "generic", nil, 0.02, "usage.prompt_tokens of 16 probes", 17, 0, "true true", ""},
		{"vLLM's tokenizer", clientCounting{perToken: 4, overhead: 20, tokenizer: count}, "vllm", nil, 0.005, "POST /tokenize of 7 probes", 8, 0, "true true", ""},
		{"llama.cpp's tokenizer knows no chat", clientCounting{perToken: 4, overhead: 20, tokenizer: list}, "llama.cpp", nil, 0.005, "usage.prompt_tokens of 7 probes", 8, 0, "true true", ""},
		{"llama.cpp's tokenizer", clientCounting{perToken: 5, overhead: 1, tokenizer: list}, "llama.cpp",
			func(c *ClientConfig) { c.Spec.Endpoint = experiment.Completions }, 0.005, "POST /tokenize of 7 probes", 8, 0, "true true", ""},
		{"TGI's tokenizer", clientCounting{perToken: 5, overhead: 1, tokenizer: func(n int) string { return gjson.Get(list(n), "tokens").Raw }}, "tgi",
			func(c *ClientConfig) { c.Spec.Endpoint = experiment.Completions }, 0.005, "POST /tokenize of 7 probes", 8, 0, "true true", ""},
		{"no tokenizer after all", clientCounting{perToken: 4, overhead: 20}, "vllm", nil, 0.005, "usage.prompt_tokens of 7 probes", 9, 0, "true true", ""},
		{"embeddings", clientCounting{perToken: 4, overhead: 2}, "generic", func(c *ClientConfig) { c.Spec.Endpoint = experiment.Embeddings }, 0.005, "usage.prompt_tokens of 7 probes", 7, 0, "false false", ""},
		{"no usage", clientCounting{perToken: 4, noUsage: true}, "generic", nil, 1, "a guess of 4 characters a token", 2, 0, "true true", "without usage.prompt_tokens"},
		{"long prompts are cut", clientCounting{perToken: 4, overhead: 20, context: 2048}, "ollama", func(c *ClientConfig) { c.Spec.InputTokens = experiment.Tokens(6000) },
			0.005, "usage.prompt_tokens of 5 probes", 8, 2048, "true true", "silently cuts prompts at 2048 tokens"},
		{"prompts are cut soon", clientCounting{perToken: 4, overhead: 20, context: 300}, "ollama", nil, 0.02, "usage.prompt_tokens of 7 probes", 15, 300, "true true", "silently cuts prompts at 300 tokens"},
		{"long prompts are refused", clientCounting{perToken: 4, overhead: 20, context: 1000, refuses: true}, "vllm", nil, 0.005, "usage.prompt_tokens of 5 probes", 8, 0, "true true", "maximum context length"},
		{"the context is known", clientCounting{perToken: 4, overhead: 20, context: 512, refuses: true}, "generic", func(c *ClientConfig) { c.MaxModelLen = 512 }, 0.01, "usage.prompt_tokens of 7 probes", 8, 0, "true true", ""},
		{"the fields change nothing", clientCounting{perToken: 4, overhead: 20, short: 2}, "llama.cpp", nil, 0.005, "usage.prompt_tokens of 7 probes", 8, 0, "true false",
			"the server takes ignore_eos and ended an answer after 2 of 32 tokens all the same: outputs will be shorter than asked"},
		{"there are no fields", clientCounting{perToken: 4, overhead: 20, short: 2}, "ollama", nil, 0.005, "usage.prompt_tokens of 7 probes", 8, 0, "true false",
			"nothing forces the length of an answer, and one ended after 2 of 32 tokens: outputs will be shorter than asked"},
		{"the length is left to the model", clientCounting{perToken: 4, overhead: 20, short: 2}, "vllm", func(c *ClientConfig) { c.Spec.IgnoreEOS = "off" }, 0.005, "usage.prompt_tokens of 7 probes", 8, 0, "false false", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, c, server := clientLearn(t, tt.server, tt.dialect, tt.change)
			if l.How != tt.how || l.Requests != tt.requests || len(server.requests) != tt.requests || l.Context != tt.context || l.Fit.Learned != (tt.within < 1) {
				t.Errorf("%s after %d requests (%d came), context %d, %+v", l.How, l.Requests, len(server.requests), l.Context, l.Fit)
			}
			if got := fmt.Sprint(l.FullLengthKnown, l.FullLength); got != tt.full {
				t.Errorf("full length known, and full: %s", got)
			}
			if got := strings.Join(l.Warnings, "\n"); tt.warning == "" && got != "" || !strings.Contains(got, tt.warning) {
				t.Errorf("warnings %q, want %q", got, tt.warning)
			}
			for _, want := range []int{200, 1000} {
				chars := (float64(want) - l.Fit.Overhead) * l.Fit.CharsPerToken
				got := float64(tt.server.overhead) + chars/tt.server.perToken
				if off := math.Abs(got/float64(want) - 1); off > tt.within {
					t.Errorf("a prompt of %d tokens counts %.1f", want, got)
				}
			}
			for i, h := range server.headers {
				if id := h.Get("X-Request-Id"); id != fmt.Sprintf("01J9-learn-%d", i) {
					t.Errorf("request %d is called %q", i, id)
				}
			}
			if short := strings.Contains(c.OutputControl(), "without effect"); short != strings.Contains(tt.warning, "the server takes") {
				t.Errorf("control: %s", c.OutputControl())
			}
		})
	}
}

// The probes share no beginning that a cache could keep.
func TestLearnTexts(t *testing.T) {
	_, _, server := clientLearn(t, clientCounting{perToken: 4}, "generic", nil)
	seen := map[string]bool{}
	for _, body := range server.requests {
		text := gjson.Get(body, "messages.0.content").Str
		if len(text) < 8 || seen[text[:8]] {
			t.Errorf("%.20q begins as another does", text)
		}
		seen[text[:min(len(text), 8)]] = true
	}
}

// A server that is down leaves a guess and a warning; a person who stops it, an error.
func TestLearnNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientNew(t, clientAlways(clientPiece{hangup: true}), clientSpec())
		l, err := c.Learn(t.Context())
		if err != nil || l.Fit != work.DefaultFit || l.Requests != 1 || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "closed the connection before it answered") {
			t.Errorf("%+v, %v", l, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if l, err := c.Learn(ctx); err != context.Canceled || l.Fit != work.DefaultFit {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

// A prompt that the server cut is an outcome of its own, where its length is known.
func TestCut(t *testing.T) {
	learned := work.Fit{CharsPerToken: 4, Learned: true}
	for _, tt := range []struct {
		name           string
		fit            work.Fit
		asked, counted int
		change         func(*Request)
		want           experiment.Outcome
	}{
		{"far fewer", learned, 6000, 2048, nil, experiment.Cut},
		{"a tenth fewer is within the fit", learned, 1000, 900, nil, experiment.OK},
		{"a little more than a tenth", learned, 1000, 899, nil, experiment.Cut},
		{"a guess may be off by more", work.DefaultFit, 1000, 600, nil, experiment.OK},
		{"but not by that much", work.DefaultFit, 1000, 599, nil, experiment.Cut},
		{"a short prompt is mostly template", learned, 31, 9, nil, experiment.OK},
		{"nobody asked for a length", learned, experiment.Unknown, 9, nil, experiment.OK},
		{"a conversation has no such length", learned, 6000, 9, func(r *Request) { r.History = append(r.History, clientHistory) }, experiment.OK},
		{"a body of its own neither", learned, 6000, 9, func(r *Request) { r.Body = []byte(`{}`) }, experiment.OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := clientAlways(clientSSE(clientAfter(20*ms, clientText("a"), clientStop, clientUsage(tt.counted, 1), clientDone))...)
			synctest.Test(t, func(t *testing.T) {
				c := clientNew(t, server, clientSpec())
				c.UseFit(tt.fit)
				r := clientRequest()
				r.Sample.PromptAsked = tt.asked
				if tt.change != nil {
					tt.change(&r)
				}
				s := c.Do(t.Context(), time.Now(), r)
				if s.Outcome != tt.want {
					t.Errorf("%s: %s", s.Outcome, s.Error)
				}
				if s.Outcome == experiment.Cut && !strings.Contains(s.Error, fmt.Sprintf("%d tokens were asked for and the server counted %d", tt.asked, tt.counted)) {
					t.Error(s.Error)
				}
			})
		})
	}
	t.Run("without usage nothing is known", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := clientNew(t, clientAlways(clientOK()...), clientSpec())
			r := clientRequest()
			r.Sample.PromptAsked = 6000
			if s := c.Do(t.Context(), time.Now(), r); s.Outcome != experiment.OK {
				t.Errorf("%s: %s", s.Outcome, s.Error)
			}
		})
	})
}
