package analysis

import (
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

func TestPreemptionIsWhatTheServerSays(t *testing.T) {
	for _, tc := range []struct {
		account string
		times   int
		said    bool
	}{
		{`{"simulated":true,"id":"7","preemptions":2,"arrival_ns":5}`, 2, true},
		{`{"simulated":true,"id":"7","preemptions":0}`, 0, true},
		{`{"total_duration":17}`, 0, false},
		{`{"preemptions":`, 0, false},
		{`{"preemptions":"two"}`, 0, false},
		{``, 0, false},
	} {
		if times, said := preempted(tc.account); times != tc.times || said != tc.said {
			t.Errorf("%s: %d, %t; want %d, %t", tc.account, times, said, tc.times, tc.said)
		}
	}

	summary := func(users int, accounts ...string) PointSummary {
		c := NewCollector(point(users, 1e9))
		for i, a := range accounts {
			s := stream(float64(i), 50, 10, 5)
			s.Seq, s.Server = i, a
			c.Add(&s)
		}
		return c.Summary()
	}
	none, some, silent := summary(8, `{"preemptions":0}`), summary(14, `{"preemptions":0}`, `{"preemptions":3}`), summary(16, "")
	if none.Preempted != 0 || some.Preempted != 1 || silent.Preempted != experiment.Unknown {
		t.Errorf("preempted: %d, %d, %d; want 0, 1 and unknown", none.Preempted, some.Preempted, silent.Preempted)
	}
	c := NewCurve(&experiment.Experiment{}, []PointSummary{none, some})
	if m := c.Preemption; m == nil || m.Load.Concurrency != 14 || m.Value != .5 || !strings.Contains(m.Because, "1 of 2 requests") {
		t.Errorf("the landmark is %+v", c.Preemption)
	}
	if c := NewCurve(&experiment.Experiment{}, []PointSummary{none, silent}); c.Preemption != nil {
		t.Errorf("nobody spoke of preemption: %+v", c.Preemption)
	}
}
