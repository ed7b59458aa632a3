package experiment

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Claim is what the text of an [Expectation] says: that a figure lies within bounds, at
// one load level or at all of them. Its text is a figure, a comparison and a bound,
// then what it is limited to and how sure the person is, in any order:
//
//	ttft.p95<300ms    output_throughput>=1000 @c=8    knee=16..32 @80%
//
// Which figures there are, and in which units, is for whoever scores the claim.
type Claim struct {
	// Metric names what is measured, in lower case. "ttft/e2e" is read as
	// ttft_over_e2e, as that metric is called.
	Metric string
	// Statistic is "mean" or a quantile such as "p95"; empty = the metric has one value.
	Statistic string
	// Low and High are the bounds; the one that is not there is infinite. A time is
	// in milliseconds, a share is 0–1.
	Low, High float64
	// Strict says that a figure equal to the bound is outside of it, as for < and >.
	Strict bool
	// Unit of the bounds: "ms" for each unit of time, "%" for a share of 1 that was
	// written in percent, another as it was written; empty = none was.
	Unit string
	// At is the level, by its concurrency or its rate alone; zero = every level.
	At Load
	// Confidence is how sure the person is, 0–1 without the ends; 0 = did not say.
	Confidence float64
}

// Figure gives metric and statistic as they are written: "ttft.p95".
func (c Claim) Figure() string {
	if c.Statistic == "" {
		return c.Metric
	}
	return c.Metric + "." + c.Statistic
}

var claimForm = regexp.MustCompile(`^([a-z_0-9]+(?:/[a-z_0-9]+)?)(?:\.(mean|p[0-9.]+))?(<=|<|>=|>|=)(.+)$`)

// boundForm is a number with its unit.
var boundForm = regexp.MustCompile(`^([-+]?[0-9][0-9.]*(?:e[-+]?[0-9]+)?)(.*)$`)

// claimUnits are the units of a bound: which one it is kept in, and the factor to it.
var claimUnits = map[string]struct {
	unit   string
	factor float64
}{
	"": {"", 1}, "us": {"ms", 1e-3}, "µs": {"ms", 1e-3}, "ms": {"ms", 1}, "s": {"ms", 1e3}, "min": {"ms", 60e3},
	"%": {"%", 0.01}, "tok": {"tok", 1}, "tok/s": {"tok/s", 1}, "req/s": {"req/s", 1}, "tok/s/user": {"tok/s/user", 1}, "requests": {"requests", 1},
}

// ParseClaim reads the text of a claim.
func ParseClaim(text string) (Claim, error) {
	parts := strings.Split(strings.ToLower(strings.Join(strings.Fields(text), "")), "@")
	c, err := parseBounds(parts[0])
	for _, suffix := range parts[1:] {
		if err == nil {
			err = c.limit(suffix)
		}
	}
	if err != nil {
		return Claim{}, fmt.Errorf("%q is not an expectation: %w; write one such as ttft.p95<300ms, output_throughput>1000, errors<1%% or knee=16..32, "+
			"with @c=8 or @rate=2 for one level alone, and @80%% for how sure you are", text, err)
	}
	return c, nil
}

// parseBounds reads the part before the first @.
func parseBounds(text string) (Claim, error) {
	m := claimForm.FindStringSubmatch(text)
	if m == nil {
		return Claim{}, errors.New("it has no figure, comparison and bound")
	}
	c := Claim{Metric: strings.Replace(m[1], "/", "_over_", 1), Low: math.Inf(-1), High: math.Inf(1), Strict: m[3] == "<" || m[3] == ">"}
	if q, ok := strings.CutPrefix(m[2], "p"); ok {
		v, err := strconv.ParseFloat(q, 64)
		if err != nil || !(v > 0 && v < 100) {
			return Claim{}, errors.New("a quantile lies between p0 and p100")
		}
		c.Statistic = "p" + strconv.FormatFloat(v, 'f', -1, 64)
	} else {
		c.Statistic = m[2]
	}
	low, high, ranged := strings.Cut(m[4], "..")
	if ranged && m[3] != "=" {
		return Claim{}, errors.New("a range is written with =, as in knee=16..32")
	}
	if !ranged {
		high = low
	}
	top, unit, err := parseBound(high)
	if err != nil {
		return Claim{}, err
	}
	bottom := top
	if ranged {
		if boundForm.ReplaceAllString(low, "$2") == "" { // as in 200..300ms
			low += boundForm.ReplaceAllString(high, "$2")
		}
		var other string
		if bottom, other, err = parseBound(low); err != nil {
			return Claim{}, err
		}
		if other != unit || bottom > top {
			return Claim{}, errors.New("a range goes from the smaller to the larger value of one unit")
		}
	}
	c.Unit = unit
	if m[3][0] != '<' {
		c.Low = bottom
	}
	if m[3][0] != '>' {
		c.High = top
	}
	return c, nil
}

// parseBound reads a number and its unit, and gives it in the unit it is kept in.
func parseBound(text string) (float64, string, error) {
	m := boundForm.FindStringSubmatch(text)
	if m == nil {
		return 0, "", fmt.Errorf("its bound %q is no number", text)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil || math.IsInf(v, 0) || v < 0 {
		return 0, "", fmt.Errorf("its bound %q is no number from 0 up", m[1])
	}
	u, ok := claimUnits[m[2]]
	if !ok {
		return 0, "", fmt.Errorf("%q is no unit of ms, s, %%, tok/s or req/s", m[2])
	}
	if u.unit == "%" {
		v, u.factor = fromPercent(v), 1
	}
	return v * u.factor, u.unit, nil
}

// limit takes what stands after an @: the level, or the confidence.
func (c *Claim) limit(text string) error {
	name, value, found := strings.Cut(text, "=")
	switch {
	case strings.HasSuffix(text, "%") && c.Confidence == 0:
		v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if err != nil || !(v > 0 && v < 100) {
			return fmt.Errorf("the confidence @%s does not lie over 0 %% and under 100 %%", text)
		}
		c.Confidence = fromPercent(v)
		return nil
	case c.At != Load{} || !found:
	case name == "c":
		if v, err := strconv.Atoi(value); err == nil && v > 0 {
			c.At.Concurrency = v
			return nil
		}
	case name == "rate":
		if v, err := strconv.ParseFloat(value, 64); err == nil && v > 0 && v <= MaxRate {
			c.At.Rate = v
			return nil
		}
	}
	return fmt.Errorf("@%s is neither the one level nor the one confidence of it", text)
}
