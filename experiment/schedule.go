package experiment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Schedule is when the conversations of a point's open loops begin and what they
// ask. It is fixed before the first byte is sent and kept with the point, so that
// it can be replayed exactly. A closed loop has none: its requests follow from the
// seed, and their times from the answers.
type Schedule []Entry

// Entry is one arrival: a conversation, nearly always of one turn.
type Entry struct {
	// At is the time since the point's start, never less than that of the entry before.
	At time.Duration
	// Class is the index of the class in Spec.Classes; 0 where there are none.
	Class int
	// Item is the index of the item in the data file; −1 = synthetic.
	Item  int
	Turns []Turn
}

// Turn is one request of a conversation.
type Turn struct {
	// Prompt is the number of new tokens in the prompt, Output the limit of the answer.
	Prompt, Output int
	// Think is the pause between the end of the answer before and this request; 0 in a first turn.
	Think time.Duration
}

// maxEncoded bounds each number of an encoded schedule, so that the sum of two is
// an int64 or negative.
const maxEncoded = 1 << 62

// scheduleVersion begins an encoded schedule.
const scheduleVersion = 1

// MarshalBinary writes the schedule compactly: a version, the number of entries,
// then for each the varints of the time since the entry before in nanoseconds, the
// class, the item + 1, the number of turns and, a turn, prompt, output and think time.
func (s Schedule) MarshalBinary() ([]byte, error) {
	b := []byte{scheduleVersion}
	put := func(n int64) { b = binary.AppendUvarint(b, uint64(n)) }
	put(int64(len(s)))
	last := time.Duration(0)
	for i, e := range s {
		if e.At < last || e.At > maxEncoded || e.Class < 0 || e.Item < -1 {
			return nil, fmt.Errorf("encoding a schedule: entry %d at %s does not follow %s, or has a negative class or item", i, e.At, last)
		}
		put(int64(e.At - last))
		last = e.At
		put(int64(e.Class))
		put(int64(e.Item + 1))
		put(int64(len(e.Turns)))
		for _, t := range e.Turns {
			put(int64(max(t.Prompt, 0)))
			put(int64(max(t.Output, 0)))
			put(int64(max(t.Think, 0)))
		}
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (s *Schedule) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] != scheduleVersion {
		return errors.New("decoding a schedule: it is of an unknown version")
	}
	b = b[1:]
	broken := false
	take := func() int64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > maxEncoded {
			broken = true
			return 0
		}
		b = b[n:]
		return int64(v)
	}
	n := take()
	if n > int64(len(b)/4) { // an entry has four bytes at least
		broken = true
	}
	var out Schedule
	at := time.Duration(0)
	for i := int64(0); i < n && !broken; i++ {
		at += time.Duration(take())
		e := Entry{At: at, Class: int(take()), Item: int(take()) - 1}
		turns := take()
		if at < 0 || at > maxEncoded || turns > int64(len(b)/3) {
			broken = true
		}
		for t := int64(0); t < turns && !broken; t++ {
			e.Turns = append(e.Turns, Turn{Prompt: int(take()), Output: int(take()), Think: time.Duration(take())})
		}
		out = append(out, e)
	}
	if broken || len(b) > 0 {
		return errors.New("decoding a schedule: its bytes are cut or damaged")
	}
	*s = out
	return nil
}
