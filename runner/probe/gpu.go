package probe

import (
	"context"

	"github.com/inferbook/inferbook/experiment"
)

// gpuFacts is what a machine's GPUs are; the zero value is a machine that does not tell.
type gpuFacts struct {
	model      string // of the first; all of them where they differ
	count      string
	driver     string
	powerLimit string
	memory     string
}

// GPU tells what NVIDIA GPUs this machine has. They serve the run only where the
// endpoint is on this machine; that is for the caller to know. Without a driver,
// or if it does not answer before ctx is done, all facts are unknown.
func GPU(ctx context.Context) []experiment.Fact {
	found := make(chan gpuFacts, 1) // a driver that hangs must not keep this goroutine's end waiting
	go func() { found <- readGPUs() }()
	var g gpuFacts
	select {
	case g = <-found:
	case <-ctx.Done():
	}
	return []experiment.Fact{
		detected(experiment.KeyGPUCount, g.count),
		detected(KeyGPUDriver, g.driver),
		detected(KeyGPUMemory, g.memory),
		detected(experiment.KeyGPUModel, g.model),
		detected(KeyGPUPowerLimit, g.powerLimit),
	}
}
