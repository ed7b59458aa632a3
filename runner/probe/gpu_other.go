//go:build !linux || !cgo

package probe

// readGPUs knows no way to ask on this platform.
func readGPUs() gpuFacts { return gpuFacts{} }
