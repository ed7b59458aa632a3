package experiment

import (
	"crypto/rand"
	"io"
	mrand "math/rand/v2"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// IDs gives out ULIDs: the time in milliseconds and 80 random bits.
type IDs struct {
	mu      sync.Mutex
	now     func() time.Time
	entropy io.Reader
}

// NewIDs returns the ordinary source: the clock and the system's randomness.
func NewIDs() *IDs { return &IDs{now: time.Now, entropy: ulid.Monotonic(rand.Reader, 0)} }

// NewSeededIDs returns a source that gives the same IDs for the same seed and
// clock, for notebooks that must be byte-identical when made again.
func NewSeededIDs(seed uint64, now func() time.Time) *IDs {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return &IDs{now: now, entropy: ulid.Monotonic(mrand.NewChaCha8(key), 0)}
}

// New gives the next ULID, greater than every one before it from this source
// as long as the clock does not step back.
func (s *IDs) New() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ulid.MustNew(ulid.Timestamp(s.now()), s.entropy).String()
}
