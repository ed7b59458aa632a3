package runner

import (
	"fmt"
	"net/http"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Pauses after errors, see the package comment.
const (
	pauseFirst = 100 * time.Millisecond
	pauseMax   = 5 * time.Second
	retryMax   = time.Minute
)

// pause is how long a worker waits after its n-th error in a row, n from 1.
// A server's own Retry-After goes first.
func pause(n int, retryAfter time.Duration) time.Duration {
	if retryAfter > 0 {
		return min(retryAfter, retryMax)
	}
	if n > 6 { // 100 ms · 2⁶ is above the maximum
		return pauseMax
	}
	return min(pauseFirst<<(n-1), pauseMax)
}

// UnusableError ends a run whose endpoint does not serve what was asked. Each of
// the first max(10, 2C) requests of a point, or all of them where there were
// fewer, was refused or answered with 401, 403 or 404, so that the requests still
// to come would only repeat it.
type UnusableError struct {
	Requests int               // how many were tried in the point
	Last     experiment.Sample // the last of them
}

// Error carries the cause as the last request met it.
func (e *UnusableError) Error() string {
	cause := e.Last.Error
	if cause == "" {
		cause = fmt.Sprintf("%s, HTTP status %d", e.Last.Outcome, e.Last.HTTPStatus)
	}
	if e.Requests == 1 {
		return "the only request failed: " + cause
	}
	return fmt.Sprintf("all of the first %d requests failed, the last with: %s", e.Requests, cause)
}

// unusable reports whether the outcome says that the endpoint, the key or the
// model is wrong rather than that the server is busy.
func unusable(s *experiment.Sample) bool {
	switch s.Outcome {
	case experiment.Refused:
		return true
	case experiment.HTTPError:
		return s.HTTPStatus == http.StatusUnauthorized || s.HTTPStatus == http.StatusForbidden || s.HTTPStatus == http.StatusNotFound
	default:
		return false
	}
}
