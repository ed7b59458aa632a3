package store

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

const shared = experiment.SameRead

func TestGapBlob(t *testing.T) {
	us := func(n int64) experiment.Gap { return experiment.Gap(n * microsecond) }
	for _, c := range []struct {
		name string
		gaps []experiment.Gap
		want []byte
	}{
		{"no events, or one", nil, nil},
		{"one gap is its own median", []experiment.Gap{us(5)}, []byte{5, 1}},
		{"around the median", []experiment.Gap{us(9), us(10), us(11)}, []byte{10, 2, 1, 3}},
		{"same read", []experiment.Gap{shared, us(10), shared}, []byte{10, 0, 1, 0}},
		{"only shared reads have no median", []experiment.Gap{shared, shared}, []byte{0, 0, 0}},
		{"a gap of 0 is not a shared read", []experiment.Gap{0, shared}, []byte{0, 1, 0}},
		{"halves add up instead of being lost: 0.5 + 0.5 = 1 µs", []experiment.Gap{500, 500}, []byte{0, 3, 1}},
	} {
		if diff := cmp.Diff(c.want, encodeGaps(c.gaps)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
}

func drawGaps(t *rapid.T) []experiment.Gap {
	gap := rapid.OneOf(
		rapid.Just(shared),
		rapid.Map(rapid.Int64Range(0, 2000), toGap),                    // a burst
		rapid.Map(rapid.Int64Range(9_000_000, 11_000_000), toGap),      // a steady stream
		rapid.Map(rapid.Int64Range(0, int64(24*time.Hour)), toGap),     // a stall
		rapid.Map(rapid.Int64Range(0, math.MaxInt64/1_000_000), toGap), // nonsense, but an instant
	)
	return rapid.SliceOfN(gap, 0, 300).Draw(t, "gaps")
}

func toGap(ns int64) experiment.Gap { return experiment.Gap(ns) }

func TestGapsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gaps := drawGaps(t)
		got, err := decodeGaps(encodeGaps(gaps))
		if err != nil || len(got) != len(gaps) {
			t.Fatalf("%d gaps, %v; want %d", len(got), err, len(gaps))
		}
		var want, sum time.Duration
		for i := range gaps {
			if got[i].Shared() != gaps[i].Shared() {
				t.Fatalf("gap %d: shared is %v, want %v", i, got[i].Shared(), gaps[i].Shared())
			}
			want, sum = want+gaps[i].Duration(), sum+got[i].Duration()
			if d := sum - want; d < -time.Microsecond/2 || d > time.Microsecond/2 {
				t.Fatalf("after gap %d the arrival is off by %v", i, d)
			}
		}
	})
}

// What has been rounded once is not rounded again, so that copying a notebook
// through values changes nothing.
func TestGapsSettle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once, err := decodeGaps(encodeGaps(drawGaps(t)))
		if err != nil {
			t.Fatal(err)
		}
		twice, err := decodeGaps(encodeGaps(once))
		if err != nil || !slices.Equal(once, twice) {
			t.Fatalf("%v\n%v, %v", once, twice, err)
		}
	})
}

func TestTokenBlob(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens []int32
		size   int
	}{
		{"not told", nil, 0},
		{"one event", []int32{3}, 2},
		{"one token in each of 100 events is a run", slices.Repeat([]int32{1}, 100), 2},
		{"speculative decoding", []int32{4, 1, 3, 4, 2}, 6},
		{"a run longer than a decoder believes is written out", slices.Repeat([]int32{1}, maxRun+1), maxRun + 1 + 3},
	} {
		blob := encodeTokens(c.tokens)
		if len(blob) != c.size {
			t.Errorf("%s: %d bytes, want %d", c.name, len(blob), c.size)
		}
		if got, err := decodeTokens(blob); err != nil || !slices.Equal(got, c.tokens) {
			t.Errorf("%s: decoded %d tokens, %v", c.name, len(got), err)
		}
	}
}

func TestTokensRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.OneOf(rapid.Just(int32(1)), rapid.Int32())
		tokens := rapid.SliceOf(token).Draw(t, "tokens")
		got, err := decodeTokens(encodeTokens(tokens))
		if err != nil || !slices.Equal(got, tokens) {
			t.Fatalf("%v, %v; want %v", got, err, tokens)
		}
	})
}

func TestMalformedBlobs(t *testing.T) {
	for name, blob := range map[string][]byte{
		"median cut":                      {0x80},
		"median beyond any instant":       {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1},
		"entry cut":                       {10, 1, 0x80},
		"entry longer than 64 bits":       {10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"gap below zero":                  {10, 1 + 21}, // 10 − 11 µs
		"arrivals beyond any instant":     {0, 1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"arrivals add up beyond instants": append([]byte{0xff, 0xd9, 0xb2, 0xba, 0xe3, 0xa7, 0xb2, 0x0f}, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
	} {
		if got, err := decodeGaps(blob); err == nil {
			t.Errorf("gaps, %s: decoded as %v", name, got)
		}
	}
	for name, blob := range map[string][]byte{
		"count cut":            {0x80},
		"no values":            {3},
		"a count of nothing":   {0, 2},
		"fewer than the count": {3, 2, 2},
		"more than the count":  {1, 2, 2},
		"a run of 2^34":        {0x80, 0x80, 0x80, 0x80, 0x40, 2},
		"beyond 32 bits":       {1, 0xff, 0xff, 0xff, 0xff, 0x7f},
	} {
		if got, err := decodeTokens(blob); err == nil {
			t.Errorf("tokens, %s: decoded %d", name, len(got))
		}
	}
}

// The decoders meet whatever a damaged or hand-made file holds.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{10, 2, 1, 0, 3})
	f.Add([]byte{5, 2})
	f.Add(encodeGaps([]experiment.Gap{10_000_400, 9_999_800, shared, 42}))
	f.Add(encodeTokens([]int32{1, 2, -3}))
	f.Fuzz(func(t *testing.T, blob []byte) {
		if gaps, err := decodeGaps(blob); err == nil {
			if len(gaps) > len(blob) {
				t.Errorf("%d gaps from %d bytes", len(gaps), len(blob))
			}
			again, err := decodeGaps(encodeGaps(gaps))
			if err != nil || !slices.Equal(gaps, again) {
				t.Errorf("%v became %v, %v", gaps, again, err)
			}
		}
		if tokens, err := decodeTokens(blob); err == nil {
			if len(tokens) > max(len(blob), maxRun) {
				t.Errorf("%d tokens from %d bytes", len(tokens), len(blob))
			}
			again, err := decodeTokens(encodeTokens(tokens))
			if err != nil || !slices.Equal(tokens, again) {
				t.Errorf("%v became %v, %v", tokens, again, err)
			}
		}
	})
}
