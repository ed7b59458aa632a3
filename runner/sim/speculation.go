package sim

import "fmt"

// Speculation is speculative decoding: a draft proposes tokens and the model
// verifies them in one step. A step then yields one token and as many drafted ones
// as are accepted before the first that is not.
type Speculation struct {
	// Tokens is the number of draft tokens of each sequence and step; 0 = off.
	Tokens int `json:"tokens"`
	// Acceptance is the chance that a draft token is accepted once all before it
	// were, 0 to 1. The engine knows no text, so this is an assumption.
	Acceptance float64 `json:"acceptance"`
	// DraftShare is the draft model's size as a share of the weights that a token of
	// the model meets, 0 to 1; 0 = drafts cost nothing, as n-gram look-up and a
	// prediction head nearly do. The fixed times of the draft's kernels are left out.
	DraftShare float64 `json:"draft_share"`
}

func (s Speculation) check() error {
	switch {
	case s.Tokens < 0 || s.Tokens > 32:
		return fmt.Errorf("%d draft tokens; give 0 to 32", s.Tokens)
	case !(s.Acceptance >= 0 && s.Acceptance <= 1):
		return fmt.Errorf("the acceptance of drafts is %g; give a share from 0 to 1, such as 0.7", s.Acceptance)
	case !(s.DraftShare >= 0 && s.DraftShare <= 1):
		return fmt.Errorf("the draft model's share is %g; give a share from 0 to 1, such as 0.1", s.DraftShare)
	}
	return nil
}

// Routers of several replicas.
const (
	RoundRobin       = "round-robin"       // each in its turn
	LeastOutstanding = "least-outstanding" // the one with the fewest requests that are not finished
	PrefixAffinity   = "prefix-affinity"   // the one that last served the longest part of the prompt's beginning
)

// Routers lists the names that a Router may have.
func Routers() []string { return []string{RoundRobin, LeastOutstanding, PrefixAffinity} }
