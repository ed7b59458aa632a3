package arrival_test

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestNothingArrivesInOff(t *testing.T) {
	const on, cycle = 2 * time.Second, 10 * time.Second
	for seed := range uint64(5) {
		at := times(t, "onoff:on=2s,off=8s", 5, 0, 1000*time.Second, seed)
		phases := map[time.Duration]int{}
		for _, x := range at {
			if x%cycle > on { // rounding may put the last of a phase on its end
				t.Fatalf("seed %d: %s falls into Off", seed, x)
			}
			phases[x/cycle]++
		}
		if len(at) != 5000 || len(phases) != 100 {
			t.Errorf("seed %d: %d arrivals in %d phases", seed, len(at), len(phases))
		}
	}
	// A phase that the time cuts counts for as long as it lasts: 1 s of 25 requests per second.
	if at := times(t, "onoff:on=2s,off=8s", 5, 0, 11*time.Second, 1); len(at) != 75 {
		t.Errorf("%d arrivals in a phase and a half, want 75", len(at))
	}
}

// TestVaryingRate counts in windows; 4 standard deviations of a count of 5,000 are 283.
func TestVaryingRate(t *testing.T) {
	for _, c := range []struct {
		name, text string
		n          int
		until      time.Duration
		at         []time.Duration // ends of windows
		want       []float64       // arrivals up to each
	}{
		{"a ramp from nothing, by quarters", "ramp:from=0,to=20", 0, 1000 * time.Second,
			[]time.Duration{250e9, 500e9, 750e9, 1000e9}, []float64{625, 2500, 5625, 10_000}},
		{"a ramp to nothing", "ramp:from=20,to=0", 0, 1000 * time.Second,
			[]time.Duration{250e9, 500e9, 750e9, 1000e9}, []float64{4375, 7500, 9375, 10_000}},
		{"a ramp lasts until n have arrived", "ramp:from=5,to=15", 10_000, 0,
			[]time.Duration{500e9, 1000e9}, []float64{3750, 10_000}},
		{"n cuts a ramp and leaves its slope", "ramp:from=0,to=20", 2500, 1000 * time.Second,
			[]time.Duration{250e9, 501e9}, []float64{625, 2500}},
		{"a level ramp", "ramp:from=10,to=10", 0, 1000 * time.Second,
			[]time.Duration{500e9, 1000e9}, []float64{5000, 10_000}},
		{"steps end by themselves", "steps:10x100s,0x50s,40x100s", 0, 0,
			[]time.Duration{100e9, 150e9, 200e9, 250e9}, []float64{1000, 1000, 3000, 5000}},
		{"a time cuts steps", "steps:10x100s,40x100s", 0, 150 * time.Second,
			[]time.Duration{100e9, 150e9}, []float64{1000, 3000}},
		{"a number cuts steps", "steps:10x100s,40x100s", 1500, 0,
			[]time.Duration{100e9, 115e9}, []float64{1000, 1500}},
		{"steps that begin and end with silence", "steps:0x10s,10x100s,0x10s", 0, 0,
			[]time.Duration{10e9, 110e9, 120e9}, []float64{0, 1000, 1000}},
	} {
		for seed := range uint64(5) {
			at := times(t, c.text, math.NaN(), c.n, c.until, seed)
			for i, end := range c.at {
				got, _ := slices.BinarySearch(at, end)
				slack := 4 * math.Sqrt(c.want[i]*(1-c.want[i]/c.want[len(c.want)-1]))
				if math.Abs(float64(got)-c.want[i]) > slack+1e-9 {
					t.Errorf("%s, seed %d: %d arrivals up to %s, want %g ± %.0f", c.name, seed, got, end, c.want[i], slack)
				}
			}
		}
	}
}
