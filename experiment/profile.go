package experiment

import "time"

// Profile is rows of the simulated engine's catalogue that were fitted to
// experiments.
type Profile struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Rows is YAML, as the simulated engine reads it.
	Rows string `json:"rows"`
	// Fit is JSON: the points, their residuals and the errors.
	Fit     string    `json:"fit"`
	Created time.Time `json:"created"`
}
