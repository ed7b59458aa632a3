//go:build !race

package published

const raceEnabled = false
