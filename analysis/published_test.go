package analysis

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// within reports whether a value is within so much of another.
func nearTo(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

// Parameters of published models, in billions.
const (
	llama2of7, llama2of13, llama2of70 = 6.74, 13.02, 68.98
	llama3of8, llama3of70             = 8.03, 70.55
)

// device makes n GPUs alike of so many TB/s, TFLOP/s and GB that serve a dense model of so many billion parameters,
// with so many bytes a weight and so many bytes of keys and values a token.
func device(n int, bandwidth, peak, memory, billions, bytes, kv float64) *Machine {
	return &Machine{GPUs: n, Bandwidth: float64(n) * bandwidth * 1e12, Peak: float64(n) * peak * 1e12, Memory: float64(n) * memory * 1e9, MemoryShare: 0.9,
		Parameters: billions * 1e9, Active: billions * 1e9, WeightBytes: billions * bytes * 1e9, ActiveBytes: billions * bytes * 1e9, KVPerToken: kv}
}

// MBU of a lone request with weights alone, to the tenth of a percent that was published.
func TestPublishedMBU(t *testing.T) {
	for _, row := range []struct {
		name                             string
		billions, bytes, bandwidth, tpot float64
		want                             float64 // %
	}{
		{"7B, Databricks' worked example", 7, 2, 2, 14, 50}, // 1 TB/s of 2
		// TensorRT-LLM 0.9, static batch of one, 128 in and 128 out
		{"Llama2-7B A100-80 FP16", llama2of7, 2, 2.039, 10.167, 65.0},
		{"Llama2-7B H100 FP16", llama2of7, 2, 3.35, 6.762, 59.5},
		{"Llama2-7B H100 FP8", llama2of7, 1, 3.35, 4.098, 49.1},
		{"Llama2-7B H200 FP8", llama2of7, 1, 4.8, 3.609, 38.9},
		{"Llama2-7B L40S FP8", llama2of7, 1, 0.864, 11.54, 67.6},
		{"Llama2-7B L40 FP8", llama2of7, 1, 0.864, 12.228, 63.8},
		{"Llama2-13B A100-80 FP16", llama2of13, 2, 2.039, 18.549, 68.9},
		{"Llama2-13B H100 FP16", llama2of13, 2, 3.35, 11.427, 68.0},
		{"Llama2-13B H100 FP8", llama2of13, 1, 3.35, 6.714, 57.9},
	} {
		m := device(1, row.bandwidth, 0, 80, row.billions, row.bytes, 0)
		got := 100 * m.MBU(row.tpot, 1, 0)
		if !nearTo(got, row.want, 0.051) {
			t.Errorf("%s: MBU %.2f %%, published as %g %%", row.name, got, row.want)
		}
		if floor := m.Floor(1, 0); !nearTo(floor/row.tpot*100, got, 1e-9) {
			t.Errorf("%s: the floor is %.3f ms of %g ms", row.name, floor, row.tpot)
		}
	}
	// What the memory gives explains TPOT: A100 to H100, 8B FP16, alone.
	a100, h100 := device(1, 2.039, 312, 80, llama3of8, 2, 0), device(1, 3.35, 989, 80, llama3of8, 2, 0)
	if got := h100.Floor(1, 0) / a100.Floor(1, 0); !nearTo(got, 0.605, 0.02*0.605) {
		t.Errorf("the floors are as %.4f, and the measured TPOTs as 0.605", got)
	}
}

// MFU of prefill, to the percent that was published.
func TestPublishedMFU(t *testing.T) {
	for _, row := range []struct {
		name                   string
		n                      int
		billions, peak, prompt float64 // TFLOP/s of one, prompt tokens a second
		want                   float64 // %
	}{
		// Databricks: a prompt of 512 tokens alone, TTFT 46 and 154 ms
		{"MPT-7B on A100-40, 6.65 billion", 1, 6.65, 312, 512 / 0.046, 47},
		{"MPT-7B on A100-40, 7 billion", 1, 7, 312, 512 / 0.046, 50},
		{"Llama2-70B on 4×A100-40", 4, llama2of70, 312, 512 / 0.154, 37},
		// published maxima of 2,048 in and 128 out: prompt tokens are 16 times the output's
		{"8B FP8 on H100", 1, llama3of8, 1979, 3450 * 16, 45},
		{"70B FP8 on H200", 1, llama3of70, 1979, 442 * 16, 50},
		{"70B FP4 on B200", 1, llama3of70, 9000, 1339 * 16, 34},
	} {
		m := device(row.n, 2, row.peak, 80, row.billions, 2, 0)
		if got := 100 * m.MFU(row.prompt); !nearTo(got, row.want, 0.51) {
			t.Errorf("%s: MFU %.2f %%, published as %g %%", row.name, got, row.want)
		}
	}
}

// The intensity in FLOP a byte at which arithmetic takes over, dense and 16 bits wide.
func TestPublishedRidges(t *testing.T) {
	for _, row := range []struct {
		name                  string
		peak, bandwidth, want float64
	}{
		{"A10", 125, 0.600, 208}, {"L4", 121, 0.300, 403}, {"L40S", 362, 0.864, 419}, {"RTX 4090", 165.2, 1.008, 164}, {"RTX 5090", 209.5, 1.792, 117},
		{"A100 40 GB", 312, 1.555, 201}, {"A100 80 GB SXM", 312, 2.039, 153}, {"H100 PCIe", 756.5, 2.0, 378}, {"H100 SXM", 989, 3.35, 295},
		{"H200", 989, 4.8, 206}, {"B200", 2250, 8.0, 281}, {"GB200", 2500, 8.0, 312}, {"MI300X", 1307, 5.3, 247}, {"MI325X", 1307, 6.0, 218},
		{"MI355X", 2516, 8.0, 314}, {"TPU v5e", 197, 0.819, 241}, {"TPU v6e", 918, 1.638, 560}, {"Gaudi 3", 1835, 3.7, 496},
	} {
		// 312.5 was rounded to even.
		if got := device(4, row.bandwidth, row.peak, 80, 7, 2, 0).Ridge(); !nearTo(got, row.want, 0.501) {
			t.Errorf("%s: %.2f FLOP a byte, published as %g", row.name, got, row.want)
		}
	}
}

// What memory has room for, to the whole sequence that was computed from 80 GB a GPU, and what was seen to run at c=250: at the
// right width of keys and values memory explains each of them, and at twice the width none.
func TestPublishedCapacity(t *testing.T) {
	const kv8, kv70 = 131072, 327680 // bytes a token in 16 bits
	for _, row := range []struct {
		name                string
		n                   int
		billions, bytes, kv float64
		in, out             float64
		want, seen          float64 // seen 0 = not published
		by                  Limit
	}{
		{"8B H100", 1, llama3of8, 2, kv8, 7000, 1000, 53, 51, LimitMemory},
		{"8B H100", 1, llama3of8, 2, kv8, 2000, 2000, 107, 101, LimitMemory},
		{"8B H100", 1, llama3of8, 2, kv8, 200, 2000, 194, 185, LimitMemory},
		{"8B A100", 1, llama3of8, 2, kv8, 7000, 1000, 53, 46, LimitMemory},
		{"8B A100", 1, llama3of8, 2, kv8, 2000, 2000, 107, 101, LimitMemory},
		{"8B A100", 1, llama3of8, 2, kv8, 200, 2000, 194, 188, LimitMemory},
		{"8B 2×H100", 2, llama3of8, 2, kv8, 7000, 1000, 122, 115, LimitMemory},
		{"8B 2×A100", 2, llama3of8, 2, kv8, 7000, 1000, 122, 113, LimitMemory},
		{"70B 4×H100", 4, llama3of70, 2, kv70, 7000, 1000, 56, 45, LimitMemory},
		{"70B 4×H100", 4, llama3of70, 2, kv70, 2000, 2000, 112, 88, LimitMemory},
		{"70B 4×H100", 4, llama3of70, 2, kv70, 200, 2000, 204, 164, LimitMemory},
		{"70B 8×H100", 8, llama3of70, 2, kv70, 7000, 1000, 166, 120, LimitMemory},
		{"8B H100 FP8, KV in 16 bits", 1, llama3of8, 1, kv8, 7000, 1000, 61, 112, LimitTooMany},
		{"8B H100 FP8, KV in 8 bits", 1, llama3of8, 1, kv8 / 2, 7000, 1000, 122, 112, LimitMemory},
		{"70B 2×H100 FP8, KV in 16 bits", 2, llama3of70, 1, kv70, 5000, 500, 40.8, 85.5, LimitTooMany},
		{"70B 2×H100 FP8, KV in 8 bits", 2, llama3of70, 1, kv70 / 2, 5000, 500, 81.5, 85.5, LimitMemory},
	} {
		m := device(row.n, 3.35, 989, 80, row.billions, row.bytes, row.kv)
		tolerance := 0.5
		if row.want != math.Trunc(row.want) {
			tolerance = 0.06
		}
		if got := m.Sequences(row.in + row.out); !nearTo(got, row.want, tolerance) {
			t.Errorf("%s %g/%g: room for %.2f sequences, computed as %g", row.name, row.in, row.out, got, row.want)
		}
		// The limit is flat from 250 users on.
		c := NewCurve(testExperiment(), []PointSummary{
			summaryOf(250, 0, 1e4, 50, row.out, row.seen/0.05), summaryOf(300, 0, 2e4, 50, row.out, row.seen/0.05)})
		for i := range c.Levels {
			c.Levels[i].Points[0].MeanPrompt = row.in
		}
		if c.Explain(m); c.Physics.Capacity == nil || c.Physics.Capacity.By != row.by {
			t.Errorf("%s %g/%g: the limit of %g is explained as %+v, not by %q", row.name, row.in, row.out, row.seen, c.Physics.Capacity, row.by)
		}
	}
	// The OPT-13B of the paper: 12 GiB of 800 KiB a token, 15.7 thousand of them.
	opt := Machine{Memory: 12 << 30, MemoryShare: 1, KVPerToken: 800 << 10}
	if got := opt.Sequences(1); math.Round(got) != 15729 {
		t.Errorf("room for %.1f tokens", got)
	}
}

// identities are published tables of closed loops: X = C·N ÷ (TTFT + (N − 1)·ITL) to half a percent, as
// the table's own digits give it.
func TestPublishedIdentities(t *testing.T) {
	for _, r := range nim {
		s := summaryOf(r.users, 0, r.ttft, r.itl, 500, r.tok)
		if got := r.tok / identity(&s); !nearTo(math.Round(1000*got), 1000, 5) {
			t.Errorf("70B at c=%d: the throughput is %.4f of the identity's", r.users, got)
		}
	}
	for _, r := range llama8 {
		s := summaryOf(r.users, 0, r.ttft, r.itl, 1000, r.tok)
		if got := r.tok / identity(&s); !nearTo(got, 1, 0.005) {
			t.Errorf("8B at c=%d: the throughput is %.4f of the identity's", r.users, got)
		}
	}
	// Samples of single requests, with the TPOT that their tool printed, and throughputs of their runs.
	tpot, _ := MetricByName("tpot")
	for _, r := range []struct {
		name            string
		ttft, e2e, tpot float64 // ms
	}{
		{"trtllm-bench", 162.67, 1093.23, 7.3272},
		{"perf-overview", 52667.03, 75903.45, 182.964},
	} {
		s := experiment.NewSample(0)
		at := func(ms float64) experiment.Instant {
			return experiment.Instant(time.Duration(ms * float64(time.Millisecond)))
		}
		s.Sent, s.FirstContent, s.LastContent, s.End = 0, at(r.ttft), at(r.e2e), at(r.e2e)
		s.Outcome, s.Counted, s.OutputTokens = experiment.OK, experiment.CountedUsage, 128
		if got, ok := tpot.Of(&s); !ok || !nearTo(got, r.tpot, 0.0005) {
			t.Errorf("%s: TPOT %.4f ms, printed as %g", r.name, got, r.tpot)
		}
	}
	// 86.5373 requests of 128 tokens a second, 94.605 active: of 94.605 closed loops they would be all.
	s := summaryOf(1, 0, 162.67, 7.3272, 128, 11076.77)
	if got := 94.605 * identity(&s); !nearTo(got, 11076.77, 0.1) || !nearTo(s.RequestRate, 86.5373, 5e-4) {
		t.Errorf("trtllm-bench: %.2f tok/s and %.4f req/s", got, s.RequestRate)
	}
}

// The bill of a fleet over the requests of one of its servers is 4.8 times too high, as a published notebook has it ($0.436 a
// thousand requests); over the fleet's own it is what one server costs, however many there are.
func TestFleetCancels(t *testing.T) {
	const rate = 41.6                  // requests a second of one server
	hour := 119_000.0 / (365 * 24) * 5 // of five servers
	fleet := func(servers int, rate float64, recorded int) Cost {
		c := flatCurve(rate*200, rate*2200, rate)
		c.GPUs = recorded
		cost, err := CostOf(c, c8, testPrice(hour/5), servers, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		return cost
	}
	one, five, slip := fleet(1, rate, 1), fleet(5, 5*rate, 5), fleet(5, rate, 1)
	if !nearTo(five.PerThousandRequests.Value, one.PerThousandRequests.Value, 1e-12) || len(one.Warnings)+len(five.Warnings) > 0 {
		t.Errorf("five servers: $%.4f, one: $%.4f; %q", five.PerThousandRequests.Value, one.PerThousandRequests.Value, five.Warnings)
	}
	// 200 req/s take 4.81 servers; the notebook multiplies by that and divides by one server's rate.
	if wrong := one.PerThousandRequests.Value * 200 / rate; !nearTo(wrong, 0.436, 0.0005) {
		t.Errorf("the trap gives $%.4f", wrong)
	}
	if !strings.Contains(strings.Join(slip.Warnings, " "), "The bill is for 5 GPUs and the throughput is that of 1: this is 5 times what the tokens of 1 GPU cost.") {
		t.Errorf("the slip is not said: %q", slip.Warnings)
	}
}
