package experiment

import "time"

// Expectation is what the person expected of a run, recorded before its first byte.
// Whether it came true is computed from the samples each time it is shown.
type Expectation struct {
	ID           string `json:"id"` // ULID
	ExperimentID string `json:"experiment_id"`
	// Text is as it was typed: "ttft.p95<300ms".
	Text string `json:"text"`
	// Confidence is how sure the person was, 0–1 without the ends; 0 = did not say.
	Confidence float64   `json:"confidence,omitempty"`
	Created    time.Time `json:"created"`
}

// RuleSetting is what the person changed about a rule. The newest one of a rule and
// threshold counts.
type RuleSetting struct {
	ID   string `json:"id"`   // ULID
	Rule string `json:"rule"` // "I25"
	// Threshold names the rule's threshold that Value replaces; empty = the setting
	// says whether the rule is muted.
	Threshold string  `json:"threshold,omitempty"`
	Value     float64 `json:"value"`
	Muted     bool    `json:"muted,omitempty"`
	// Reset takes the setting back: the rule's own threshold counts again.
	Reset   bool      `json:"reset,omitempty"`
	Why     string    `json:"why,omitempty"`
	Created time.Time `json:"created"`
}

// Noise is how far runs of one configuration on one host lie apart by themselves.
type Noise struct {
	ID     string `json:"id"`     // ULID
	Host   string `json:"host"`   // the machine that measured
	Config string `json:"config"` // what was measured
	Metric string `json:"metric"` // "ttft.p95"
	// Floor is the difference, as a share of the value, under which two runs are not told apart.
	Floor       float64   `json:"floor"`
	Runs        int       `json:"runs"` // that it rests on, at least 2
	Experiments []string  `json:"experiments"`
	Created     time.Time `json:"created"`
}
