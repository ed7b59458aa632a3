package sim

import "math"

// link is how the GPUs of one server are joined.
type link int

const (
	noLink  link = iota // no published all-reduce times: one GPU only
	pcie                // PCIe 4.0 x16
	nvlink3             // A100
	nvlink4             // H100, H200
	nvlink5             // B200
)

// maxCount is the GPUs of one server; links between servers are not modelled.
const maxCount = 8

// reduceSizes are the message sizes of the tables below in bytes.
var reduceSizes = [...]float64{16 << 10, 128 << 10, 512 << 10, 2 << 20, 16 << 20, 128 << 20}

// Measured all-reduce times in µs (aiconfigurator, custom_allreduce, vLLM under
// CUDA graphs).
var (
	reduceH100x2 = [...]float64{4.5, 4.8, 6.3, 12.4, 81, 469}
	reduceH100x8 = [...]float64{5.3, 7.9, 12.0, 19.4, 92, 577}
	reduceA100x8 = [...]float64{6.5, 11.4, 18.9, 27.9, 214, 1161}
	reduceB200x8 = [...]float64{8.1, 9.4, 26.1, 20.7, 63, 442}
)

// PCIe has no measured table. The ring formula takes 32 GB/s one way
// (aiconfigurator, systems l4 and l40s) and a guessed 10 µs to start.
const (
	pcieStart     = 10.0 // µs
	pcieBandwidth = 32e9 // B/s
)

// reduce is the time in µs of an all-reduce of so many bytes over n GPUs.
func (l link) reduce(n int, bytes float64) float64 {
	if n < 2 || bytes <= 0 {
		return 0
	}
	switch l {
	case pcie:
		return pcieStart + 2*float64(n-1)/float64(n)*bytes/pcieBandwidth*1e6
	case nvlink3:
		// Only the table over 8 was read; fewer GPUs take H100's share of it.
		return lookUp(&reduceA100x8, bytes) * overH100(n, bytes) / lookUp(&reduceH100x8, bytes)
	case nvlink5:
		return lookUp(&reduceB200x8, bytes) * overH100(n, bytes) / lookUp(&reduceH100x8, bytes)
	default:
		return overH100(n, bytes)
	}
}

// overH100 interpolates between the tables over 2 and over 8 GPUs, linearly in
// the logarithm of n.
func overH100(n int, bytes float64) float64 {
	share := math.Log2(float64(n)/2) / 2
	return (1-share)*lookUp(&reduceH100x2, bytes) + share*lookUp(&reduceH100x8, bytes)
}

// lookUp interpolates linearly in both logarithms. Under the smallest size the
// time is the smallest one's; above the largest it grows with the size.
func lookUp(table *[len(reduceSizes)]float64, bytes float64) float64 {
	last := len(reduceSizes) - 1
	if bytes <= reduceSizes[0] {
		return table[0]
	}
	if bytes >= reduceSizes[last] {
		return table[last] * bytes / reduceSizes[last]
	}
	i := 1
	for reduceSizes[i] < bytes {
		i++
	}
	share := math.Log(bytes/reduceSizes[i-1]) / math.Log(reduceSizes[i]/reduceSizes[i-1])
	return math.Exp((1-share)*math.Log(table[i-1]) + share*math.Log(table[i]))
}
