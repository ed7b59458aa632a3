//go:build race

package published

const raceEnabled = true
