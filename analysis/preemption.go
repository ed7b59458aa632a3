package analysis

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// preempted reads from a server's own account of a request how often the request lost
// its keys and values to others. It reports false where the account does not say, as
// that of any server but the simulated engine.
func preempted(account string) (times int, said bool) {
	_, rest, found := strings.Cut(account, `"preemptions":`)
	if !found {
		return 0, false
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	times, err := strconv.Atoi(rest[:max(end, 0)])
	return times, err == nil
}

// addAccount counts what the server says of a successful request.
func (c *Collector) addAccount(s *experiment.Sample) {
	times, said := preempted(s.Server)
	if !said {
		return
	}
	c.seen.Preempted = max(c.seen.Preempted, 0)
	if times > 0 {
		c.seen.Preempted++
	}
}

// preemption is the lowest load at which the server took the keys and values of
// running requests away.
func preemption(levels []Level) *Landmark {
	for i := range levels {
		l, hit, ok := &levels[i], 0, 0
		for j := range l.Points {
			hit, ok = hit+max(l.Points[j].Preempted, 0), ok+l.Points[j].OK
		}
		if hit == 0 {
			continue
		}
		return &Landmark{
			Load: l.Load, Level: l.Load.Level(), Value: float64(hit) / float64(ok),
			Because: fmt.Sprintf("At %s the server says that it took the KV blocks of %d of %d requests away while they ran, and computed their tokens again: "+
				"what runs at once does not fit its pool, and a stream that loses its blocks stands still.", l.Load, hit, ok),
			Reading: "vllm-pagedattention",
		}
	}
	return nil
}
