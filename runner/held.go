package runner

import (
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// held counts the measured requests that the cap on concurrency held back.
type held struct {
	n       int
	longest time.Duration
}

func (h *held) add(phase experiment.Phase, waited time.Duration) {
	if phase == experiment.Measured && waited > 0 {
		h.n++
		h.longest = max(h.longest, waited)
	}
}

func (h *held) addTo(health *experiment.Health) {
	health.HeldBack, health.HeldMax = h.n, int64(h.longest)
}
