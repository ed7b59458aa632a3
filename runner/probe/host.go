package probe

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/inferbook/inferbook/experiment"
)

const gib = 1 << 30

// Host tells what machine and program the client is. What the machine does not
// tell is an unknown fact.
func Host(ctx context.Context) []experiment.Fact {
	var system, processor, memory string
	if info, err := host.InfoWithContext(ctx); err == nil {
		system = strings.TrimSpace(info.Platform + " " + info.PlatformVersion)
		system += fmt.Sprintf(" (%s %s)", info.OS, info.KernelVersion)
	}
	if infos, err := cpu.InfoWithContext(ctx); err == nil && len(infos) > 0 {
		processor = strings.TrimSpace(infos[0].ModelName)
	}
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		memory = fmt.Sprintf("%.1f GiB", float64(m.Total)/gib)
	}
	version := ""
	if build, ok := debug.ReadBuildInfo(); ok {
		version = buildVersion(build)
	}
	return []experiment.Fact{
		detected(KeyClientArch, runtime.GOARCH),
		detected(KeyClientCores, strconv.Itoa(runtime.NumCPU())),
		detected(KeyClientCPU, processor),
		detected(KeyClientGo, runtime.Version()),
		detected(KeyClientMemory, memory),
		detected(KeyClientOS, system),
		detected(KeyClientVersion, version),
	}
}

// buildVersion gives the module's version, the revision it was built from, and
// whether files were changed on top of it: "(devel) 0123456789ab dirty".
func buildVersion(build *debug.BuildInfo) string {
	parts := []string{build.Main.Version}
	if build.Main.Version == "" {
		parts[0] = "(devel)"
	}
	for _, s := range build.Settings {
		switch {
		case s.Key == "vcs.revision":
			parts = append(parts, s.Value[:min(12, len(s.Value))])
		case s.Key == "vcs.modified" && s.Value == "true":
			parts = append(parts, "dirty")
		}
	}
	return strings.Join(parts, " ")
}
