package sim

import (
	"sync"
	"testing"
	"time"
)

// An alarm is heard by the wait of now or the next, and by none after that is closed.
func TestAlarm(t *testing.T) {
	for name, a := range map[string]alarm{"channel": newChannelAlarm(), "thread": newThreadAlarm()} {
		t.Run(name, func(t *testing.T) {
			a.wait(0)
			a.wait(time.Microsecond)
			a.ring()
			a.ring()
			a.wait(-1) // would never end if it had not rung
			var ringers sync.WaitGroup
			for range 100 {
				ringers.Go(a.ring)
				a.wait(-1)
				ringers.Wait()
				a.wait(0) // takes a ring that came after the first was heard
			}
			a.ring()
			a.wait(time.Hour)
			a.close()
			a.ring()
		})
	}
}
