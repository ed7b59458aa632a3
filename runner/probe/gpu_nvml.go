//go:build linux && cgo

package probe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// readGPUs asks NVIDIA's management library, which comes with the driver. It is
// loaded when asked for, so a machine without it runs the same program.
func readGPUs() gpuFacts {
	lib := nvml.New()
	if lib.Init() != nvml.SUCCESS {
		return gpuFacts{}
	}
	defer lib.Shutdown()
	var g gpuFacts
	if driver, ret := lib.SystemGetDriverVersion(); ret == nvml.SUCCESS {
		g.driver = driver
	}
	count, ret := lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return g
	}
	g.count = strconv.Itoa(count)
	var models, limits, memories []string
	for i := range count {
		d, ret := lib.DeviceGetHandleByIndex(i)
		if ret != nvml.SUCCESS {
			continue
		}
		if name, ret := d.GetName(); ret == nvml.SUCCESS {
			models = append(models, name)
		}
		if milliwatts, ret := d.GetEnforcedPowerLimit(); ret == nvml.SUCCESS {
			limits = append(limits, fmt.Sprintf("%.0f W", float64(milliwatts)/1000))
		}
		if m, ret := d.GetMemoryInfo(); ret == nvml.SUCCESS {
			memories = append(memories, fmt.Sprintf("%.1f GiB", float64(m.Total)/gib))
		}
	}
	g.model, g.powerLimit, g.memory = distinct(models), distinct(limits), distinct(memories)
	return g
}

// distinct joins the different values, in the order of the devices.
func distinct(values []string) string {
	var out []string
	for _, v := range values {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return strings.Join(out, ", ")
}
