package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// whole sends a body with headers and gives the status, the headers and the whole answer.
func (l *lab) whole(t *testing.T, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequest("POST", "http://sim"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := l.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		text = append(text, " ERROR "+err.Error()...)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// get decodes what a path answers.
func (l *lab) get(t *testing.T, path string, to any) {
	t.Helper()
	resp, err := l.client.Get("http://sim" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(to); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", path, resp.StatusCode, err)
	}
}

// The text of an answer is the same however it is sent, and a stop text ends it.
func TestStoppedAnswer(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, l *lab) {
		text := ChatContent([]Message{{Role: "user", Text: "hi"}}).Answer(0, 40)
		stop := text[50:54]
		body := func(stream bool) string {
			return fmt.Sprintf(`{"messages":[{"role":"user","content":"hi"}],"max_tokens":40,"ignore_eos":true,"stop":%q,"stream":%v}`, stop, stream)
		}
		want := text[:strings.Index(text, stop)]
		_, head, whole := l.whole(t, "/v1/chat/completions", body(false))
		var got struct {
			Choices []struct {
				Message      struct{ Content string }
				FinishReason string `json:"finish_reason"`
			}
			Sim Account
		}
		if err := json.Unmarshal([]byte(whole), &got); err != nil {
			t.Fatal(err)
		}
		if c := got.Choices[0]; c.Message.Content != want || c.FinishReason != FinishStop {
			t.Errorf("the answer is %q and ends with %s, want %q", c.Message.Content, c.FinishReason, want)
		}
		for name, d := range map[string]time.Duration{"X-Sim-Queue-Ms": got.Sim.Queue, "X-Sim-Prefill-Ms": got.Sim.Prefill, "X-Sim-TTFT-Ms": got.Sim.TTFT} {
			var ms float64
			if _, err := fmt.Sscan(head.Get(name), &ms); err != nil || math.Abs(ms*1e6-float64(d)) > .5 {
				t.Errorf("%s is %q, and the account says %s", name, head.Get(name), d)
			}
		}
		_, _, streamed := l.whole(t, "/v1/chat/completions", body(true))
		var joined strings.Builder
		for _, line := range strings.Split(streamed, "\n") {
			var event struct {
				Choices []struct{ Delta struct{ Content string } }
			}
			if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &event) == nil && len(event.Choices) > 0 {
				joined.WriteString(event.Choices[0].Delta.Content)
			}
		}
		if joined.String() != want || !strings.Contains(streamed, `"finish_reason":"stop"`) {
			t.Errorf("the stream says %q, want %q", joined.String(), want)
		}
	})
}

// The log has each step once, in order, and can be asked for what is new.
func TestStepLog(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, l *lab) {
		if _, err := l.stream("a", chatBody(100, 20)); err != nil {
			t.Fatal(err)
		}
		type page struct {
			Total int    `json:"steps_total"`
			Steps []Step `json:"steps"`
		}
		var all, late page
		l.get(t, "/sim/steps", &all)
		if all.Total != 20 || len(all.Steps) != 20 {
			t.Fatalf("%d steps of %d for 20 tokens", len(all.Steps), all.Total)
		}
		if first := all.Steps[0]; first.Tokens != 100 || first.Sequences != 1 || first.Running != 1 || first.Limit == "" || first.Start != 2*time.Millisecond {
			t.Errorf("the first step is %+v", first)
		}
		for i := 1; i < 20; i++ {
			if before := all.Steps[i-1]; all.Steps[i].Start != before.Start+before.Took || all.Steps[i].Tokens != 1 {
				t.Errorf("step %d is %+v after %+v", i, all.Steps[i], before)
			}
		}
		l.get(t, fmt.Sprintf("/sim/steps?since=%.9f", all.Steps[15].Start.Seconds()), &late)
		if diff := cmp.Diff(all.Steps[15:], late.Steps); diff != "" {
			t.Error(diff)
		}
		var pace Pace
		l.get(t, "/sim/pace", &pace)
		if pace.Steps != 20 || pace.LatenessP99 != 0 || pace.Unreliable || pace.Verdict != "timing reliable" {
			t.Errorf("in a bubble the pace is %+v", pace)
		}
		if half := all.Steps[10].Took; pace.StepP50 < half*97/100 || pace.StepP50 > half*103/100 {
			t.Errorf("the median step is %s, want about %s", pace.StepP50, half)
		}
		_, _, before := l.whole(t, "/sim/pace", "")
		if l.get(t, "/sim/pace", &pace); !strings.Contains(before, `"steps":20,`) || pace.Steps != 0 || pace.Verdict != "no step yet" {
			t.Errorf("after a pace of %s begins that of %+v", before, pace)
		}
		resp, err := l.client.Get("http://sim/sim/steps?since=x")
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d for a time that is none", resp.StatusCode)
		}
	})
}

func TestStepLogIsBounded(t *testing.T) {
	var l trail
	for i := range maxSteps + 10 {
		l.add(Step{Start: time.Duration(i)})
	}
	all := l.since(0)
	if len(all) != maxSteps || all[0].Start != 10 || all[maxSteps-1].Start != maxSteps+9 {
		t.Errorf("%d steps from %d", len(all), all[0].Start)
	}
}

// Beyond the limit of the queue requests are refused at once, and others are served.
func TestQueueLimit(t *testing.T) {
	inBubbleServing(t, Serving{MaxQueue: 3}, Config{MaxSeqs: 2}, func(t *testing.T, l *lab) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for range 2 {
			wg.Go(func() {
				status, _, _ := l.whole(t, "/v1/chat/completions", chatBody(100, 50))
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
			})
		}
		time.Sleep(100 * time.Millisecond) // both run
		for range 5 {
			wg.Go(func() {
				status, head, text := l.whole(t, "/v1/chat/completions", chatBody(100, 50))
				if status == http.StatusTooManyRequests && (head.Get("Retry-After") != "1" || !strings.Contains(text, "3 requests wait already")) {
					t.Errorf("the refusal is %q after %q", text, head.Get("Retry-After"))
				}
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
			})
		}
		wg.Wait()
		if diff := cmp.Diff(map[int]int{200: 5, 429: 2}, statuses); diff != "" {
			t.Errorf("statuses (−want +got):\n%s", diff)
		}
	})
}

// A scaled clock changes when things are seen, and nothing that the engine knows.
func TestScaledClock(t *testing.T) {
	requests := func(scale float64) []Truth {
		var truths []Truth
		inBubbleServing(t, Serving{TimeScale: scale}, Config{}, func(t *testing.T, l *lab) {
			var wg sync.WaitGroup
			for i := range 6 {
				wg.Go(func() {
					// The engine's 40 ms, to the nanosecond, at either scale.
					time.Sleep(time.Duration(float64(i*40*int(time.Millisecond)) / scale))
					got, err := l.stream(fmt.Sprint(i), chatBody(100+30*i, 20+i))
					if err != nil {
						t.Error(err)
						return
					}
					if a := got.account; scale != 1 && a.TimeScale != scale {
						t.Errorf("the account has the scale %g", a.TimeScale)
					}
					real := time.Duration(float64(got.account.E2E) / scale)
					if seen := got.end - got.sent; seen < real-2 || seen > real+2 {
						t.Errorf("at %g: a request of %s took %s, want %s", scale, got.account.E2E, seen, real)
					}
				})
			}
			wg.Wait()
			resp, err := l.client.Get("http://sim/v1/models")
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprintf(`"time_scale":%g`, scale); !strings.Contains(string(text), want) || resp.Header.Get("X-Inferbook-Time-Scale") != fmt.Sprint(scale) {
				t.Errorf("the models are %s with %q", text, resp.Header)
			}
			truths = l.server.Truths()
		})
		return truths
	}
	// As chatBody has it.
	content := func(tokens int) *Content {
		return ChatContent([]Message{{Role: "user", Text: strings.Repeat("abcd", tokens-messageTokens-answerTokens)}})
	}
	virtual := NewLoop(resolve(t, Config{}), 0, 0)
	for i := range 6 {
		r := Request{ID: fmt.Sprint(i), Arrive: time.Duration(i) * 40 * time.Millisecond, Content: content(100 + 30*i), MaxTokens: 20 + i, OutputTokens: 20 + i}
		if err := virtual.Submit(r); err != nil {
			t.Fatal(err)
		}
	}
	looped := map[string]Truth{}
	if err := virtual.Run(func(tr Truth) { looped[tr.ID] = tr }); err != nil {
		t.Fatal(err)
	}
	for _, scale := range []float64{1, .1, 4, 20} {
		for _, tr := range requests(scale) {
			if diff := cmp.Diff(looped[tr.ID], tr); diff != "" {
				t.Errorf("at a scale of %g (−virtual +served):\n%s", scale, diff)
			}
		}
	}
}

func TestServingErrors(t *testing.T) {
	for want, v := range map[string]Serving{
		"the time scale is 0.05":  {TimeScale: .05},
		"the time scale is 21":    {TimeScale: 21},
		"the time scale is NaN":   {TimeScale: math.NaN()},
		"max queue is -1; it can": {MaxQueue: -1},
	} {
		if _, err := v.NewServer(Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// The quantiles of a spread are those of the list within its classes' width.
func TestSpread(t *testing.T) {
	var s spread
	if s.quantile(.5) != 0 {
		t.Error("of nothing the median is", s.quantile(.5))
	}
	for i := range 10000 {
		s.add(time.Duration(i+1) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{.01: 100 * time.Microsecond, .5: 5 * time.Millisecond, .99: 9900 * time.Microsecond} {
		if got := s.quantile(q); float64(got) < .97*float64(want) || float64(got) > 1.03*float64(want) {
			t.Errorf("quantile %g is %s, want %s", q, got, want)
		}
	}
}

// An embedding is a unit vector, as numbers or as their bytes.
func TestEmbeddingVectors(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, l *lab) {
		_, _, one := l.whole(t, "/v1/embeddings", `{"input":[1,2,3]}`)
		var got struct {
			Data []struct{ Embedding []float64 }
		}
		if err := json.Unmarshal([]byte(one), &got); err != nil {
			t.Fatal(err)
		}
		norm := 0.0
		for _, x := range got.Data[0].Embedding {
			norm += x * x
		}
		if len(got.Data[0].Embedding) != embeddingSize || math.Abs(norm-1) > 1e-3 {
			t.Errorf("a vector of %d numbers and norm %g", len(got.Data[0].Embedding), norm)
		}
		if _, _, text := l.whole(t, "/v1/embeddings", `{"input":"a","encoding_format":"base64","dimensions":2}`); !strings.Contains(text, `"embedding":"`) {
			t.Errorf("not base64: %s", text)
		}
	})
}

// A client that leaves while its request is held back is not an arrival.
func TestHeldBack(t *testing.T) {
	slow, err := ParseFault("slow-start:2s")
	if err != nil {
		t.Fatal(err)
	}
	inBubbleServing(t, Serving{Faults: []Fault{slow}}, Config{}, func(t *testing.T, l *lab) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if resp, err := l.post(ctx, "/v1/chat/completions", "left", chatBody(100, 5)); err == nil {
			resp.Body.Close()
			t.Error("an answer before the start")
		}
		got, err := l.stream("stayed", chatBody(100, 5))
		if err != nil {
			t.Fatal(err)
		}
		if got.account.Arrival != 2*time.Second || len(l.server.Truths()) != 1 {
			t.Errorf("arrived at %s; %d requests", got.account.Arrival, len(l.server.Truths()))
		}
	})
	inBubble(t, Config{}, func(t *testing.T, l *lab) {
		_, _, text := l.whole(t, "/v1/chat/completions", chatBody(100, 5), faultHeader, "keep-alive:10ms; no-done")
		if !strings.Contains(text, ": keep-alive\n\n") || bytes.Contains([]byte(text), []byte("[DONE]")) {
			t.Error(text)
		}
	})
}

// A request arrives when all of it has been read, however slowly it was sent, and not
// before what the engine has done meanwhile.
func TestSlowBody(t *testing.T) {
	for path, body := range map[string]string{
		"chat/completions": chatBody(50, 5),
		"completions":      `{"prompt":["hello","you"],"max_tokens":2,"ignore_eos":true}`,
		"responses":        `{"input":"hello","max_output_tokens":20}`,
		"embeddings":       `{"input":["hello"]}`,
	} {
		inBubble(t, Config{}, func(t *testing.T, l *lab) {
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := l.stream("busy", chatBody(100, 200)); err != nil {
					t.Error(err)
				}
			})
			const slow = 700 * time.Millisecond
			r, w := io.Pipe()
			wg.Go(func() {
				fmt.Fprint(w, body[:10])
				time.Sleep(slow)
				fmt.Fprint(w, body[10:])
				w.Close()
			})
			req, err := http.NewRequest("POST", "http://sim/v1/"+path, r)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Request-Id", "slow")
			resp, err := l.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			wg.Wait()
			var got Account
			if l.get(t, "/sim/requests/slow", &got); got.Arrival != slow || got.Front != l.server.d.Runtime.Front {
				t.Errorf("%s: arrived at %s and spent %s in the front end, want %s and %s", path, got.Arrival, got.Front, slow, l.server.d.Runtime.Front)
			}
		})
	}
}

// The count of those that wait is that of a look at all of them, whoever is scheduled,
// preempted, finished, or gone.
func TestQueuedCounts(t *testing.T) {
	for _, cfg := range []Config{
		{OtherMemoryGB: 5.2, PrefixCaching: "off"}, // a pool that runs out
		{GPU: "a100-80-sxm", Runtime: "hf-static", MaxSeqs: 2},
		{Replicas: 3, MaxSeqs: 1},
	} {
		inBubble(t, cfg, func(t *testing.T, l *lab) {
			var wg sync.WaitGroup
			for i := range 30 {
				wg.Go(func() {
					time.Sleep(time.Duration(i%7) * 100 * time.Millisecond)
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i%5)*600*time.Millisecond)
					defer cancel()
					if resp, err := l.post(ctx, "/v1/chat/completions", "", chatBody(200+i, 30)); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
				})
			}
			most := 0
			for range 500 {
				time.Sleep(10 * time.Millisecond)
				l.server.mu.Lock()
				want := 0
				for _, seq := range l.server.live {
					if seq.truth.Scheduled == Never {
						want++
					}
				}
				got := l.server.queued()
				l.server.mu.Unlock()
				if most = max(most, got); got != want {
					t.Fatalf("%d are said to wait, and %d do", got, want)
				}
			}
			if wg.Wait(); most < 3 {
				t.Errorf("at most %d wait", most)
			}
		})
	}
}
