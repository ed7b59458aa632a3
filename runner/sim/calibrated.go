package sim

// Arithmetic gives what matrix products of the feed-forward blocks reach in the
// deployment's precision.
func (d Deployment) Arithmetic() Kernels {
	_, u := d.units()
	return u.Kernels
}

// WithConstants gives the deployment with other constants of its runtime, and other
// shares of bandwidth and peak for the matrix products of its precision; 0 = as they are.
func (d Deployment) WithConstants(c Constants, memory, compute float64) Deployment {
	d.Runtime.setConstants(c)
	d.setShares(memory, compute)
	return d
}

// setShares sets the shares of bandwidth and peak of every precision that the GPU has
// a profile of, so that a precision's attention and blocks stay alike.
func (d *Deployment) setShares(memory, compute float64) {
	for _, k := range []*Kernels{&d.GPU.Kernels.BF16, &d.GPU.Kernels.FP8, &d.GPU.Kernels.FP4} {
		if *k == (Kernels{}) {
			continue
		}
		if memory > 0 {
			k.Memory = memory
		}
		if compute > 0 {
			k.Compute = compute
		}
	}
}
