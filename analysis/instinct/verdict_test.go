package instinct

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// What a rule needs and is not there makes it not evaluable, and never silent.
func TestNotEvaluable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		from   func() *subject
		change func(*subject)
		want   map[string]string // rule: what is missing
	}{
		{"no event", loop, each(func(s *experiment.Sample) { whole(s); s.Outcome = experiment.OK }), map[string]string{
			"I02": "No answer came in events.", "I14": "No answer came in events.", "V08": "No answer came in events.", "V09": "No answer came in events.",
			"I03": "There is no second token count.", "I05": "There is no TTFT.", "I08": "It needs throughput, TTFT and TPOT, and one of them is not known."}},
		{"one token each", loop, each(func(s *experiment.Sample) {
			s.Gaps, s.OutputTokens, s.OutputAsked, s.Events, s.Reads, s.LastContent = nil, 1, 1, 1, 1, s.FirstContent
		}), map[string]string{"I01": "No streamed answer was long enough to tell.", "V08": "There is no gap between events.", "V09": "No streamed answer has both a TTFT and a TPOT."}},
		{"no count of prompt tokens", loop, each(func(s *experiment.Sample) { s.PromptTokens = experiment.Unknown }), map[string]string{"V04": "The server did not count the prompt tokens."}},
		{"no length asked for and none counted", loop, each(func(s *experiment.Sample) {
			s.OutputAsked, s.OutputTokens, s.Counted = experiment.Unknown, experiment.Unknown, experiment.CountedNone
		}), map[string]string{"I02": nobodyKnows, "I04": "Nobody counted the output tokens."}},
		{"several tokens an event", loop, each(func(s *experiment.Sample) { s.OutputTokens, s.OutputAsked = 23, 23 }), map[string]string{"I03": "There is no second token count."}},
		{"no word on the cache, no hash", loop, each(func(s *experiment.Sample) { s.CachedTokens, s.PromptHash = experiment.Unknown, "" }), map[string]string{
			"V05": "The server does not say how many prompt tokens came from its cache.", "V06": "The prompts were not hashed."}},
		{"a client that says nothing of itself", loop, ofPoint(func(p *experiment.Point) {
			p.Health = experiment.Health{SendLagP99: experiment.Unknown, CPUShare: -1}
		}), map[string]string{"I09": "The client's CPU share was not recorded.", "V13": "The client kept no record of itself."}},
		{"read times of unknown lateness", loop, ofPoint(func(p *experiment.Point) {
			p.Health.StampSource, p.Health.WakeLagP99, p.Health.ReadLagP99 = "read", experiment.Unknown, experiment.Unknown
		}), map[string]string{"V13": "How late the client read was not recorded."}},
		{"failures", loop, first(20, func(s *experiment.Sample) { s.Outcome = experiment.Timeout }), map[string]string{"I08": manyFailed, "I09": manyFailed, "V10": manyFailed}},
		{"a few requests", loop, func(c *subject) { c.keep(3) }, map[string]string{"I05": "There are no requests after the first 2 to compare them with.",
			"I06": "3 requests ended within the window, too few to tell its halves apart.", "V07": "3 successful requests are fewer than ten a third."}},
		{"one arrival", openLoop, func(c *subject) { c.keep(1) }, map[string]string{
			"V03": "The rate of the schedule or that of the sends is not known."}},
		{"a window before the first answer", openLoop, ofPoint(func(p *experiment.Point) { p.Window.SendEnd = ms(10) }), map[string]string{
			"I06": "The throughput of the window's halves is not known.", "V10": "It needs a request rate, a mean latency and the requests in flight, and one of them is not known."}},
		{"a window of three latencies", openLoop, func(c *subject) {
			c.keep(30)
			each(func(s *experiment.Sample) {
				for _, at := range []*experiment.Instant{&s.FirstEvent, &s.FirstContent, &s.LastContent, &s.End} {
					*at += ms(400)
				}
			})(c)
			c.point.Window.SendEnd = c.samples[29].Sent
		}, map[string]string{"V10": "The window of 1.45 s holds 3.22 mean latencies, and up to 9 requests were in flight at once: those that its edges cut in two can account for 36 %, and rate × latency is off by 16 %."}},
		{"an engine without an account", loop, func(c *subject) {
			c.exp.Environment.Set(experiment.KeyRuntime, "vllm-like", experiment.Simulated)
		}, map[string]string{"V14": "The simulated engine's own account of its lateness was not recorded."}},
		{"nothing succeeded", loop, each(func(s *experiment.Sample) { s.Outcome = experiment.Refused }), map[string]string{
			"I01": noSuccess, "I07": noSuccess, "I11": noSuccess, "I13": noSuccess, "V10": noSuccess, "V12": noSuccess}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.from()
			tt.change(c)
			findings := Validate(&Case{Experiment: &c.exp, Curves: analysis.NewCurves(&c.exp, []analysis.PointSummary{c.summary()})})
			for rule, want := range tt.want {
				i := slices.IndexFunc(findings, func(f Finding) bool { return f.Rule == rule })
				if f := findings[i]; f.State != NotEvaluable || f.Sentence != want {
					t.Errorf("%s is %s and says %q, want %q", rule, f.State, f.Sentence, want)
				}
			}
		})
	}
	// Without any level each rule says what it needs, and nothing has been shown.
	none := Validate(&Case{})
	for _, f := range none {
		if f.State != NotEvaluable || !strings.HasPrefix(f.Sentence, "It needs ") {
			t.Errorf("%s of nothing is %s: %q", f.Rule, f.State, f.Sentence)
		}
	}
	if v := Judge(none, nil); v != Limited {
		t.Errorf("the verdict on nothing is %q", v)
	}
}

// A rule that asks about another kind of run does not apply, which is not the same as silent.
func TestNotApplicable(t *testing.T) {
	states := func(c *subject) map[string]State {
		out := map[string]State{}
		for _, f := range Validate(&Case{Experiment: &c.exp, Curves: analysis.NewCurves(&c.exp, []analysis.PointSummary{c.summary()})}) {
			out[f.Rule] = f.State
		}
		return out
	}
	of := func(c *subject, rules ...string) {
		t.Helper()
		got := states(c)
		for _, r := range rules {
			if got[r] != NotApplicable {
				t.Errorf("%s is %s", r, got[r])
			}
		}
	}
	of(loop(), "I10", "V03", "V10", "V11", "V14")
	of(openLoop(), "I08")
	over := openLoop()
	over.point.Ended = experiment.EndOversaturated
	of(over, "I05", "I06", "I07", "V07", "V10")
	plain := loop()
	plain.exp.Spec.Stream = false
	each(whole)(plain)
	of(plain, "I01", "I02", "I14", "V08", "V09")
}

// Whatever is muted is said once and not asked, whatever the letters of its name, and the others
// say what they said; taking it back brings it back.
func TestMuted(t *testing.T) {
	c := loop()
	first(60, func(s *experiment.Sample) { s.Outcome = experiment.Timeout })(c)
	of := &Case{Experiment: &c.exp, Curves: analysis.NewCurves(&c.exp, []analysis.PointSummary{c.summary()})}
	all := Validate(of)
	for _, r := range validityRules {
		mute := experiment.RuleSetting{Rule: strings.ToLower(r.ID), Muted: true, Why: "We know."}
		of.Settings = Settings{mute}
		got := Validate(of)
		i := slices.IndexFunc(got, func(f Finding) bool { return f.Rule == r.ID })
		if got[i].State != Muted || got[i].Sentence != "Muted. We know." {
			t.Errorf("%s is %s: %q", r.ID, got[i].State, got[i].Sentence)
		}
		others := func(list []Finding) []Finding {
			return slices.DeleteFunc(slices.Clone(list), func(f Finding) bool { return f.Rule == r.ID })
		}
		if diff := cmp.Diff(others(all), others(got)); diff != "" {
			t.Errorf("others changed: %s", diff)
		}
		mute.Muted, mute.Reset = false, true
		of.Settings = append(of.Settings, mute)
		if diff := cmp.Diff(all, Validate(of)); diff != "" {
			t.Errorf("after a reset: %s", diff)
		}
	}
	of.Settings = Settings{{Rule: "I13", Muted: true, Why: "It sheds on purpose."}, {Rule: "I11", Threshold: "beyond", Value: 5}}
	got := Validate(of)
	want := []string{"I11 (Percentile without samples) counts from beyond 5 on, by your own setting; by itself it would from 10.",
		"I13 (Errors and survivorship) is muted and was not asked. It sheds on purpose."}
	if diff := cmp.Diff(want, Altered(got)); diff != "" {
		t.Error(diff)
	}
	if before, after := Judge(all, nil), Judge(got, nil); before != DoNotQuote || after != Sound {
		t.Errorf("with I13 muted %q becomes %q", before, after)
	}
}

// level is a finding at some levels.
func level(rule string, severity Severity, state State, sentence string, users ...int) Finding {
	f := Finding{Rule: rule, State: state, Severity: severity, Sentence: sentence, Loads: []experiment.Load{}}
	for _, n := range users {
		f.Loads = append(f.Loads, experiment.Load{Concurrency: n})
	}
	return f
}

func TestVerdicts(t *testing.T) {
	findings := []Finding{
		level("I07", Warning, Silent, "", 1), level("I07", Warning, Fired, "Of 20 s.", 2), level("I07", Error, Fired, "Of 1 s.", 4),
		level("I11", Note, Fired, "p99 needs 1000 of 50.", 1), level("I11", Note, Fired, "p99 needs 1000 of 40.", 2), level("I11", Note, Fired, "p95 needs 200.", 4),
		level("I15", Error, Fired, "A cause is no matter of validity.", 1), level("I03", Warning, NotEvaluable, "There is no second count.", 1),
		level("I03", Warning, NotEvaluable, "There is no second count.", 2), level("I03", Warning, Silent, "", 4), level("I10", Warning, NotApplicable, "Closed.", 1),
		level("I06", Warning, NotEvaluable, "3 requests are few.", 1), level("V07", Warning, NotEvaluable, "2 requests are few.", 1), level("V12", Warning, NotEvaluable, "TTFT is missing.", 1),
	}
	findings[6].Section = Time
	at := func(n int) experiment.Load { return experiment.Load{Concurrency: n} }
	want := []LevelVerdict{{at(1), Sound, []string{}}, {at(2), Limited, []string{"I07"}}, {at(4), DoNotQuote, []string{"I07"}}}
	if diff := cmp.Diff(want, Verdicts(findings)); diff != "" {
		t.Error(diff)
	}
	var told []string
	for _, x := range Tell(findings[:6]) {
		told = append(told, x.Rule+" "+x.Sentence)
		if x.Sentence == "p99 needs 1000 of 50." && (len(x.Also) != 1 || x.Also[0] != at(2) || !x.Differ) {
			t.Errorf("told of %v too", x.Also)
		}
	}
	if diff := cmp.Diff([]string{"I07 Of 1 s.", "I07 Of 20 s.", "I11 p99 needs 1000 of 50.", "I11 p95 needs 200."}, told); diff != "" {
		t.Error(diff)
	}
	if got, want := Unevaluated(findings), "4 checks could not be evaluated: I03 at c=1 and c=2 (there is no second count), I06, V07 (3 requests are few), V12 (TTFT is missing)."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Unevaluated(findings[:6]); got != "" {
		t.Errorf("%q where all was evaluated", got)
	}
	// One level past the knee does not condemn the sweep; an error about all of it does.
	for _, tt := range []struct {
		more []Finding
		want Verdict
	}{
		{nil, Limited},
		{[]Finding{level("V14", Error, Fired, "Late.")}, DoNotQuote},
		{[]Finding{level("I13", Error, Fired, "Failed.", 1, 2)}, DoNotQuote},
	} {
		if got := Judge(append(slices.Clone(findings), tt.more...), nil); got != tt.want {
			t.Errorf("with %v the experiment is %q, want %q", tt.more, got, tt.want)
		}
	}
	if got := OfVariant([]Finding{level("I07", Error, Fired, "", 1), level("V15", Note, Fired, ""), {Loads: []experiment.Load{{Variant: "fp8"}}}}, "fp8"); len(got) != 2 {
		t.Errorf("%d findings of the variant", len(got))
	}
}

// Each rule is whole: whoever reads a finding can see why and go on. The readings are named where
// they are kept, which a test of the command holds them against.
func TestRulesAreWhole(t *testing.T) {
	for _, r := range validityRules {
		for what, text := range map[string]string{"title": r.Title, "need": r.Needs, "condition": r.Fires, "meaning": r.Means, "reading": r.Reading, "next step": r.Try} {
			if text == "" {
				t.Errorf("%s has no %s", r.ID, what)
			}
		}
		for _, x := range r.Thresholds {
			if x.Why == "" || !strings.Contains(r.Fires, "`"+x.Name+"`") {
				t.Errorf("%s: the threshold %s is not in %q, or has no reason", r.ID, x.Name, r.Fires)
			}
		}
		for _, text := range []string{r.Means, r.Try} {
			if !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q is no sentence", r.ID, text)
			}
		}
	}
}

// Each way to fail has words that follow a count.
func TestEndings(t *testing.T) {
	for _, o := range experiment.Outcomes[1:] {
		if ending[o] == "" {
			t.Errorf("%s has no words", o)
		}
	}
}
