// Package probe asks hosts, GPUs and servers what they are.
//
// It believes that what a run was made on is half of its result, and that a
// fact nobody could read is worth recording as unknown rather than guessing.
// So no probe fails a run: a machine without an NVIDIA driver, a server that
// answers nothing, a server that never ends its answer, each becomes an
// unknown fact or a warning, within a few seconds. And nothing secret becomes a
// fact: keys, tokens, passwords and the user part of a URL are removed from what
// a server says of itself before anybody else sees it.
package probe

import "github.com/inferbook/inferbook/experiment"

// Keys of the facts that this package finds, beside those of package experiment.
const (
	KeyClientOS      = "client.os"      // distribution and kernel
	KeyClientArch    = "client.arch"    // as Go names it
	KeyClientCPU     = "client.cpu"     // the processor's own name
	KeyClientCores   = "client.cores"   // logical processors
	KeyClientMemory  = "client.memory"  // GiB
	KeyClientGo      = "client.go"      // version of the Go toolchain
	KeyClientVersion = "client.version" // of inferbook, with revision and whether it was changed

	KeyGPUDriver     = "gpu.driver"
	KeyGPUPowerLimit = "gpu.power_limit" // W, as enforced now
	KeyGPUMemory     = "gpu.memory"      // GiB of one GPU

	// KeyServerConfig is what the server says of its own configuration: JSON, redacted.
	KeyServerConfig = "server.config"
	// KeySimulatorProfile names the simulated deployment in short.
	KeySimulatorProfile = "simulator.profile"
)

// detected is a fact that was read, or an unknown one for an empty value.
func detected(key, value string) experiment.Fact {
	if value == "" {
		return experiment.Fact{Key: key, Value: "unknown", Source: experiment.UnknownValue}
	}
	return experiment.Fact{Key: key, Value: value, Source: experiment.Detected}
}
