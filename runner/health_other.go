//go:build !unix

package runner

import "time"

// cpuTime is unknown on this platform.
func cpuTime() time.Duration { return -1 }
