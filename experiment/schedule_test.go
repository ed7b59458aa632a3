package experiment_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func drawSchedule(t *rapid.T) experiment.Schedule {
	var s experiment.Schedule
	at := int64(0)
	tokens := rapid.IntRange(0, experiment.MaxLength)
	for range rapid.IntRange(0, 50).Draw(t, "entries") {
		at += rapid.Int64Range(0, 1e15).Draw(t, "gap")
		e := experiment.Entry{At: time.Duration(at), Class: rapid.IntRange(0, 10).Draw(t, "class"), Item: rapid.IntRange(-1, 1e9).Draw(t, "item")}
		for range rapid.IntRange(0, 4).Draw(t, "turns") {
			e.Turns = append(e.Turns, experiment.Turn{Prompt: tokens.Draw(t, "prompt"), Output: tokens.Draw(t, "output"),
				Think: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "think"))})
		}
		s = append(s, e)
	}
	return s
}

func TestScheduleRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawSchedule(t)
		b, err := want.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got experiment.Schedule
		if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
		// What is cut is refused, wherever it is cut, and leaves the schedule as it was.
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if err := got.UnmarshalBinary(b[:cut]); err == nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%d of %d bytes: %v, %v", cut, len(b), got, err)
		}
	})
}

// TestScheduleSize keeps an arrival of one turn under a dozen bytes at 10 requests per second.
func TestScheduleSize(t *testing.T) {
	var s experiment.Schedule
	for i := range 10_000 {
		s = append(s, experiment.Entry{At: time.Duration(i) * 100 * time.Millisecond, Item: -1, Turns: []experiment.Turn{{Prompt: 1155, Output: 211}}})
	}
	b, err := s.MarshalBinary()
	if err != nil || len(b) > 12*len(s) {
		t.Errorf("%d bytes for %d arrivals, %v", len(b), len(s), err)
	}
}

func TestScheduleRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		s    experiment.Schedule
	}{
		{"before the one before", experiment.Schedule{{At: 2}, {At: 1}}},
		{"before the start", experiment.Schedule{{At: -1}}},
		{"a negative class", experiment.Schedule{{Class: -1}}},
		{"a negative item", experiment.Schedule{{Item: -2}}},
		{"a time that cannot be read again", experiment.Schedule{{At: math.MaxInt64}}},
	} {
		if _, err := c.s.MarshalBinary(); err == nil || !strings.Contains(err.Error(), "encoding a schedule: entry") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	many := binary.AppendUvarint([]byte{1}, 1<<40)
	big := append([]byte{1, 1}, bytes.Repeat([]byte{0xff}, 8)...)
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "unknown version"},
		{"another version", []byte{2, 0}, "unknown version"},
		{"no count", []byte{1}, "cut or damaged"},
		{"more entries than bytes", many, "cut or damaged"},
		{"more turns than bytes", []byte{1, 1, 0, 0, 0, 100}, "cut or damaged"},
		{"bytes after the end", []byte{1, 0, 0}, "cut or damaged"},
		{"a time above 2⁶²", append(big, 0x7f, 0, 0, 0, 0), "cut or damaged"},
		{"a number of more than 64 bits", append(big, 0xff, 0xff, 0xff, 0x01), "cut or damaged"},
	} {
		var s experiment.Schedule
		if err := s.UnmarshalBinary(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzSchedule(f *testing.F) {
	good, err := experiment.Schedule{{At: 5, Item: -1, Turns: []experiment.Turn{{Prompt: 300, Output: 20}}}, {At: 7, Class: 1}}.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{good, {1, 0}, {1, 0xff, 0xff, 0xff, 0xff, 0x0f}, {1, 1, 0, 0, 0, 0xff, 0x7f}, nil} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again experiment.Schedule
		if s.UnmarshalBinary(b) != nil {
			return
		}
		turns := 0
		for _, e := range s {
			turns += len(e.Turns)
		}
		if 4*len(s)+3*turns > len(b) {
			t.Fatalf("%d bytes became %d entries with %d turns", len(b), len(s), turns)
		}
		out, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalBinary(out); err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%v became %v, %v", s, again, err)
		}
	})
}
