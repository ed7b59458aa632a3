package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/inferbook/inferbook/analysis/sentence"
)

// Record is how good the guesses of a group have been.
type Record struct {
	Group     string `json:"group"` // a metric such as "ttft", or "all"
	Guesses   int    `json:"guesses"`
	Held      int    `json:"held"`
	Missed    int    `json:"missed"`
	Undecided int    `json:"undecided"` // the interval straddled the bound, or there was no figure
	// HitRate is held ÷ (held + missed), with its exact binomial interval
	// (Clopper and Pearson 1934).
	HitRate Estimate `json:"hit_rate"`
	// Factor is the geometric mean of value ÷ bound, with the 95 % interval of Student's t on
	// the logarithms (infinite for fewer than three), and Spread their geometric standard
	// deviation: 2 = two in three outcomes lie within twice and half of Factor. Above 1 the
	// outcomes are higher than the bounds. Undecided guesses with a value count.
	Factor Estimate `json:"factor"`
	Spread float64  `json:"spread"` // NaN for fewer than two
}

// MarshalJSON writes what is not known as null.
func (r Record) MarshalJSON() ([]byte, error) { return marshalFinite(r) }

// Band is the guesses that were made with about one confidence.
type Band struct {
	From, To float64 // the lowest and the highest of these confidences, 0–1
	Mean     float64 // confidence
	Held     int
	HitRate  Estimate // of the decided guesses
}

// MarshalJSON names the fields.
func (b Band) MarshalJSON() ([]byte, error) {
	return marshalFinite(struct {
		From    float64  `json:"confidence_from"`
		To      float64  `json:"confidence_to"`
		Mean    float64  `json:"confidence_mean"`
		Guesses int      `json:"guesses"`
		Held    int      `json:"held"`
		HitRate Estimate `json:"hit_rate"`
	}{b.From, b.To, b.Mean, b.HitRate.N, b.Held, b.HitRate})
}

// Calibration is how good a person's guesses have been.
type Calibration struct {
	All     Record   `json:"all"`
	Metrics []Record `json:"metrics"` // by name
	Bands   []Band   `json:"bands"`   // by rising confidence, each ten points wide; of decided guesses alone
	// Brier is the mean of (confidence − outcome)² over the Sure decided guesses with a
	// confidence (Brier 1950): 0 is perfect, and always saying 50 % gives 0.25.
	Brier float64 `json:"brier"`
	Sure  int     `json:"brier_guesses"`
	// Recent is the last ten guesses, Before those before them; without guesses where
	// there are no more than ten.
	Recent Record `json:"recent"`
	Before Record `json:"before"`
	// Sentences say what the figures come to.
	Sentences []string `json:"sentences"`
}

// MarshalJSON writes what is not known as null.
func (c Calibration) MarshalJSON() ([]byte, error) { return marshalFinite(c) }

// recent is how many of the last guesses a trend is of.
const recent = 10

// Calibrate looks back at scores in the order in which the guesses were made.
func Calibrate(scores []Score) Calibration {
	c := Calibration{All: recordOf("all", scores), Brier: math.NaN(), Recent: recordOf("the last ten", nil), Before: recordOf("before", nil)}
	by := map[string][]Score{}
	for _, s := range scores {
		metric, _, _ := strings.Cut(s.Figure, ".")
		metric = cmp.Or(metric, "unreadable")
		by[metric] = append(by[metric], s)
	}
	for metric, of := range by {
		c.Metrics = append(c.Metrics, recordOf(metric, of))
	}
	slices.SortFunc(c.Metrics, func(a, b Record) int { return cmp.Compare(a.Group, b.Group) })
	c.confidence(scores)
	if n := len(scores) - recent; n > 0 {
		c.Recent, c.Before = recordOf("the last ten", scores[n:]), recordOf("before", scores[:n])
	}
	c.say()
	return c
}

// recordOf sums up some scores.
func recordOf(group string, scores []Score) Record {
	r := Record{Group: group, Guesses: len(scores), Factor: unknown(), Spread: math.NaN()}
	var logs []float64
	for i := range scores {
		switch scores[i].Ruling {
		case Holds:
			r.Held++
		case Misses:
			r.Missed++
		default:
			r.Undecided++
		}
		if finite(scores[i].Factor) {
			logs = append(logs, math.Log(scores[i].Factor))
		}
	}
	r.HitRate = shareOf(r.Held, r.Held+r.Missed)
	n := float64(len(logs))
	if n == 0 {
		return r
	}
	r.Factor = single(math.Exp(mean(logs)), len(logs))
	r.Factor.Low, r.Factor.High = math.Inf(-1), math.Inf(1)
	sd := stat.StdDev(logs, nil) // NaN of one
	r.Spread = math.Exp(sd)
	if n > 2 {
		half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(1-tail) * sd / math.Sqrt(n)
		r.Factor.Low, r.Factor.High = r.Factor.Value*math.Exp(-half), r.Factor.Value*math.Exp(half)
	}
	return r
}

// confidence holds what was said against what came of it.
func (c *Calibration) confidence(scores []Score) {
	const width = 10 // points of confidence
	bands := map[int][]Score{}
	sum := 0.0
	for _, s := range scores {
		if math.IsNaN(s.Confidence) || s.Ruling == Unsure {
			continue
		}
		outcome := 0.0
		if s.Ruling == Holds {
			outcome = 1
		}
		sum += (s.Confidence - outcome) * (s.Confidence - outcome)
		c.Sure++
		i := int(math.Floor(s.Confidence*100/width + 1e-9))
		bands[i] = append(bands[i], s)
	}
	c.Brier = ratio(sum, float64(c.Sure))
	for _, of := range bands {
		b := Band{From: 1}
		for _, s := range of {
			b.From, b.To = min(b.From, s.Confidence), max(b.To, s.Confidence)
			b.Mean += s.Confidence / float64(len(of))
			if s.Ruling == Holds {
				b.Held++
			}
		}
		b.HitRate = shareOf(b.Held, len(of))
		c.Bands = append(c.Bands, b)
	}
	slices.SortFunc(c.Bands, func(a, b Band) int { return cmp.Compare(a.From, b.From) })
}

// say writes what the figures come to. A direction is claimed only where its interval
// leaves one out.
func (c *Calibration) say() {
	add := func(format string, a ...any) { c.Sentences = append(c.Sentences, fmt.Sprintf(format, a...)) }
	for _, r := range c.Metrics {
		if e := r.Factor; e.Bounded() && e.Low > 1 {
			add("For %s the outcomes are on average %s × your bounds: they come out higher.", r.Group, sentence.Short(e.Value))
		} else if e.Bounded() && e.High < 1 {
			add("For %s the outcomes are on average %s × your bounds: they come out lower.", r.Group, sentence.Short(e.Value))
		}
	}
	for _, b := range c.Bands {
		said := sentence.Percent(b.From)
		if b.To > b.From {
			said = fmt.Sprintf("%.3g to %s", 100*b.From, sentence.Percent(b.To))
		}
		text := fmt.Sprintf("Of %s made with %s, %d held: %s [%s, %s]", counted(b.HitRate.N, "guess", "guesses"), said, b.Held,
			sentence.Percent(b.HitRate.Value), sentence.Short(100*b.HitRate.Low), sentence.Short(100*b.HitRate.High))
		switch {
		case b.HitRate.High < b.Mean:
			text += ", so you are too sure of these"
		case b.HitRate.Low > b.Mean:
			text += ", so you may be surer of these"
		}
		add("%s.", text)
	}
	if c.Sure > 0 {
		add("The Brier score is %s over %s with a confidence: 0 is perfect, and always saying 50 %% gives 0.25.", sentence.Short(c.Brier), counted(c.Sure, "decided guess", "decided guesses"))
	}
	if c.Before.HitRate.N > 0 && c.Recent.HitRate.N > 0 {
		add("Of the last %d guesses %d of %d decided held; before that %d of %d.", recent, c.Recent.Held, c.Recent.HitRate.N, c.Before.Held, c.Before.HitRate.N)
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
