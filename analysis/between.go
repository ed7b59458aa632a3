package analysis

import (
	"fmt"
	"strings"
)

// Between says what keeps curves from being compared side by side, in whole
// sentences; nothing for a single curve and for curves that can be.
func Between(curves []Curve) []string {
	var out, asked []string
	workloads := map[string]bool{}
	simulated := 0
	for _, c := range curves {
		workloads[c.Workload] = true
		asked = append(asked, c.Title+" "+c.Workload)
		if c.Simulated {
			simulated++
		}
	}
	if len(workloads) > 1 {
		out = append(out, fmt.Sprintf("The prompts and answers differ in length (%s): throughput, latency and cost depend on it, "+
			"so side by side they rank the workloads as much as the servers.", strings.Join(asked, "; ")))
	}
	if simulated > 0 && simulated < len(curves) {
		out = append(out, "Some are simulated and others were measured: what lies between the two may be the simulator's error.")
	}
	return out
}
