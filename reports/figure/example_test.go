package figure_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/reports/figure"
)

var update = flag.Bool("update", false, "write the golden figures instead of comparing with them")

// golden compares a figure with the one of its name under testdata, and prints
// in one line how they compare. Look at what it wrote before committing it.
func golden(f *figure.Figure) {
	path := filepath.Join("testdata", f.Name+".svg")
	if *update {
		if err := f.Save(path); err != nil {
			fmt.Println(err)
			return
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	var got bytes.Buffer
	if err := f.Write(&got, figure.SVG); err != nil {
		fmt.Println(err)
		return
	}
	for i, line := range bytes.Split(got.Bytes(), []byte("\n")) {
		was, rest, _ := bytes.Cut(want, []byte("\n"))
		if want = rest; !bytes.Equal(line, was) {
			fmt.Printf("%s differs from line %d on:\n\thas  %s\n\twant %s\n", path, i+1, line, was)
			return
		}
	}
	fmt.Println(filepath.ToSlash(path), "as expected")
}

func ExampleThroughputVsTTFT() {
	f, err := figure.ThroughputVsTTFT([]analysis.Curve{
		simulated("exp-1 baseline", "h100-sxm", 1),
		simulated("exp-2 newer runtime", "h100-sxm", 1.06),
		simulated("exp-3", "a100-80gb", 0.6),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	golden(f)
	fmt.Println(f.Caption)
	// Output:
	// testdata/curve-ttft.svg as expected
	// Up is more work done, left is a shorter wait. Where a curve turns flat, more load buys waiting and no throughput. Each point is a level of load, labelled with it where there is room (c = concurrency); the line joins neighbours and is not a measurement.
}

func ExampleThroughputVsInteractivity() {
	f, err := figure.ThroughputVsInteractivity([]analysis.Curve{explained(saturated())})
	if err != nil {
		fmt.Println(err)
		return
	}
	golden(f)
	fmt.Println(f.Alt)
	// Output:
	// testdata/curve-interactivity.svg as expected
	// Output throughput against interactivity. exp-7 nim-70b: 51.7 tok/s at interactivity 53.8 tok/s/user (c=1) to 920 tok/s at 10.7 tok/s/user (c=250).
}

// The hardware that serves two curves of three is known, and so is how many GPUs there are: the third is left out.
func ExamplePareto() {
	f, err := figure.Pareto([]analysis.Curve{explained(saturated()), explained(simulated("exp-1", "2× h100-sxm", 0.2)), simulated("exp-3", "unknown GPU", 0.6)})
	if err != nil {
		fmt.Println(err)
		return
	}
	golden(f)
	fmt.Println(f.Caption)
	fmt.Println(f.Alt)
	// Output:
	// testdata/pareto.svg as expected
	// Up is more work of each GPU, right is a faster stream for each user. What lies on the line cannot be beaten in one without losing in the other; points on the frontier are labelled with their load (c = concurrency). exp-3 is left out: how many GPUs it used is not known, so there is no throughput of one.
	// Pareto frontier of 18 points: 53.8 tok/s/user and 25.8 tok/s of a GPU (exp-7 nim-70b, c=1); 45.8 tok/s/user and 109 tok/s of a GPU (exp-7 nim-70b, c=5); 25.8 tok/s/user and 312 tok/s of a GPU (exp-7 nim-70b, c=25); 17.2 tok/s/user and 424 tok/s of a GPU (exp-1, c=50); 12.9 tok/s/user and 632 tok/s of a GPU (exp-1, c=100); 10.1 tok/s/user and 738 tok/s of a GPU (exp-1, c=150); 8.26 tok/s/user and 804 tok/s of a GPU (exp-1, c=200); 6.9 tok/s/user and 836 tok/s of a GPU (exp-1, c=250). 10 points are beaten.
}

func ExampleLatencyVsLoad() {
	f, err := figure.LatencyVsLoad(explained(saturated()))
	if err != nil {
		fmt.Println(err)
		return
	}
	golden(f)
	fmt.Println(f.Caption)
	// Output:
	// testdata/latency-load.svg as expected
	// How long a user waits for the first token (TTFT) and for each further one (TPOT) as load rises. Lines join measured levels; the distance from p50 to p99 is what differs between requests of one level. Thin line: TPOT ≈ 17.69 ms [17.50, 17.89] + 0.841 ms [0.834, 0.848] × C, fitted to the medians of 4 levels, with its 95 % band. Dashed: what a step would take if reading the weights and all keys and values once, at full memory bandwidth, were all that it did, with as many requests as decoded at once there. Knee c = 50: from c=50 to c=100 a user brings 2.1 tok/s, under half of the 51.7 at c=1. Plateau c = 100: from c=100 to c=150 load rises by 50 % and throughput by 0.4 %. Admission limit 85.5: output throughput × TPOT stays at 85.2 to 85.8 from c=100 on.
}

func ExampleTTFTECDF() {
	f, err := figure.TTFTECDF("Time to first token at three loads", "llama-3.1-8b · vllm-like · h100-sxm · SIMULATED", []figure.Series{
		{Name: "c=1", Values: waits(1, 40, 13, 0.1)}, // too few for p95: its point is hollow
		{Name: "c=10", Values: waits(2, 80, 47, 0.25)},
		{Name: "c=100", Values: append(waits(3, 80, 313, 0.4), 0)}, // a zero has no place on the axis
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	golden(f)
	fmt.Println(f.Caption)
	fmt.Println(f.Alt)
	// Output:
	// testdata/ecdf-ttft.svg as expected
	// Read across at a height: that share of the requests had a first token within the time below. A line farther left is faster; a long foot to the right is the tail. 1 value is left out: not a number, or not above zero.
	// Time to first token at three loads. c=1: n = 40, p50 12.6 ms, p95 14.7 ms. c=10: n = 80, p50 47.6 ms, p95 63.4 ms. c=100: n = 80, p50 302 ms, p95 507 ms.
}

func ExampleTimeline() {
	samples, window := requests(32, 4, true)
	f, err := figure.Timeline("exp-3, c=4: 32 requests", "llama-3.1-8b · vllm-like · h100-sxm · SIMULATED", samples, window)
	if err != nil {
		fmt.Println(err)
		return
	}
	golden(f)
	fmt.Println(f.Caption)
	// Output:
	// testdata/timeline.svg as expected
	// One bar a request, the earliest at the top. Bars that begin their decode together were prefilled together; a wait that grows from row to row is a queue. 2 requests failed; each has a cross where it ended.
}
