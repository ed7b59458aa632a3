package experiment

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// LengthKind names a distribution of token counts.
type LengthKind string

// The distributions of a [Length], by the word that begins their text.
const (
	FixedLength       LengthKind = ""            // 500
	UniformLength     LengthKind = "uniform"     // uniform:100-900
	NormalLength      LengthKind = "normal"      // normal:500,100 (mean, standard deviation)
	LognormalLength   LengthKind = "lognormal"   // lognormal:1155,1200 (mean, standard deviation of the length itself)
	ExponentialLength LengthKind = "exponential" // exponential:200 (mean)
	HistogramLength   LengthKind = "histogram"   // histogram:10*28,100*4 (length*weight)
	QuantileLength    LengthKind = "quantiles"   // quantiles:2,29,181,… at QuantileLevels, straight lines between them
)

// QuantileLevels are the shares at which a quantiles table gives its lengths.
var QuantileLevels = []float64{0, 0.01, 0.05, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95, 0.99, 1}

// MaxLength is the longest length that a distribution may give, in tokens.
const MaxLength = 100_000_000

// Length is a distribution of token counts. The zero value means that none was
// given. Its text is a number for a fixed length, and kind:parameters for the others.
type Length struct {
	Kind LengthKind
	// Mean is the fixed length, or the mean of a normal, lognormal or exponential one.
	Mean float64
	// Spread is the standard deviation of a normal or lognormal length.
	Spread float64
	// Low and High bound a uniform length, both included.
	Low, High float64
	// Values are the lengths of a histogram or a table of quantiles; Weights those of a histogram.
	Values, Weights []float64
}

// Tokens is a fixed length.
func Tokens(n int) Length { return Length{Mean: float64(n)} }

// IsZero reports whether no length was given.
func (l Length) IsZero() bool { return l.Kind == FixedLength && l.Mean == 0 }

// Fixed gives the length of a fixed distribution.
func (l Length) Fixed() (int, bool) { return int(l.Mean), l.Kind == FixedLength }

// Average is the mean of the distribution in tokens, before rounding and before
// lengths below 1 are raised to 1.
func (l Length) Average() float64 {
	switch l.Kind {
	case UniformLength:
		return (l.Low + l.High) / 2
	case HistogramLength:
		sum, weight := 0.0, 0.0
		for i, v := range l.Values {
			sum, weight = sum+v*l.Weights[i], weight+l.Weights[i]
		}
		return sum / weight
	case QuantileLength:
		sum := 0.0
		for i := 1; i < len(l.Values); i++ {
			sum += (QuantileLevels[i] - QuantileLevels[i-1]) * (l.Values[i] + l.Values[i-1]) / 2
		}
		return sum
	default:
		return l.Mean
	}
}

// Nominal is the mean of the distribution as a whole number of tokens.
func (l Length) Nominal() int { return int(math.Round(l.Average())) }

// Quantile is the inverse of the distribution function: the length that a share p
// of requests, 0 ≤ p < 1, stays under. A request's length is drawn as Quantile of a
// uniform number. The result is a whole number from 1 to [MaxLength].
func (l Length) Quantile(p float64) int {
	var v float64
	switch l.Kind {
	case UniformLength:
		v = min(math.Floor(l.Low+p*(l.High-l.Low+1)), l.High) // the sum may be rounded up
	case NormalLength:
		v = l.Mean + l.Spread*standardNormal(p)
	case LognormalLength:
		mu, sigma := l.logParameters()
		v = math.Exp(mu + sigma*standardNormal(p))
	case ExponentialLength:
		v = -l.Mean * math.Log1p(-p)
	case HistogramLength:
		v = l.histogramQuantile(p)
	case QuantileLength:
		i := max(1, min(len(QuantileLevels)-1, slices.IndexFunc(QuantileLevels, func(q float64) bool { return q > p })))
		if p >= 1 {
			i = len(QuantileLevels) - 1
		}
		share := (p - QuantileLevels[i-1]) / (QuantileLevels[i] - QuantileLevels[i-1])
		v = l.Values[i-1] + share*(l.Values[i]-l.Values[i-1])
	default:
		v = l.Mean
	}
	if !(v >= 1) { // NaN too
		return 1
	}
	return int(min(math.Round(v), MaxLength))
}

// Longest is the length that hardly a request exceeds: the maximum where there is
// one, else the 99.9 % quantile.
func (l Length) Longest() int {
	switch l.Kind {
	case NormalLength, LognormalLength, ExponentialLength:
		return l.Quantile(0.999)
	default:
		return l.Quantile(math.Nextafter(1, 0))
	}
}

// logParameters gives µ and σ of the logarithm of a lognormal length:
// σ² = ln(1 + sd²/mean²), µ = ln(mean) − σ²/2.
func (l Length) logParameters() (mu, sigma float64) {
	variance := math.Log1p(l.Spread * l.Spread / (l.Mean * l.Mean))
	return math.Log(l.Mean) - variance/2, math.Sqrt(variance)
}

func (l Length) histogramQuantile(p float64) float64 {
	total := 0.0
	for _, w := range l.Weights {
		total += w
	}
	left := p * total
	for i, w := range l.Weights {
		if left -= w; left < 0 {
			return l.Values[i]
		}
	}
	return l.Values[len(l.Values)-1]
}

// standardNormal is the quantile function of the standard normal distribution,
// finite at 0 too.
func standardNormal(p float64) float64 {
	return math.Sqrt2 * math.Erfinv(2*max(p, 1e-16)-1)
}

// String gives the text that ParseLength reads.
func (l Length) String() string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	switch l.Kind {
	case UniformLength:
		return fmt.Sprintf("uniform:%s-%s", number(l.Low), number(l.High))
	case NormalLength, LognormalLength:
		return fmt.Sprintf("%s:%s,%s", l.Kind, number(l.Mean), number(l.Spread))
	case ExponentialLength:
		return "exponential:" + number(l.Mean)
	case HistogramLength, QuantileLength:
		var parts []string
		for i, v := range l.Values {
			part := number(v)
			if l.Kind == HistogramLength {
				part += "*" + number(l.Weights[i])
			}
			parts = append(parts, part)
		}
		return string(l.Kind) + ":" + strings.Join(parts, ",")
	default:
		return number(l.Mean)
	}
}

const lengthForms = "write a number such as 500, or uniform:100-900, normal:500,100, lognormal:1155,1200, exponential:200, histogram:10*28,100*4"

// ParseLength reads the text of a distribution: a whole number, or one of the
// forms at the constants of [LengthKind].
func ParseLength(text string) (Length, error) {
	kind, rest, parameters := strings.Cut(strings.TrimSpace(text), ":")
	l := Length{Kind: LengthKind(strings.ToLower(kind))}
	wrong := func() (Length, error) {
		return Length{}, fmt.Errorf("%q is not a length; %s", text, lengthForms)
	}
	if !parameters {
		n, err := strconv.Atoi(strings.ReplaceAll(kind, "_", ""))
		if err != nil || n < 1 || n > MaxLength {
			return wrong()
		}
		return Tokens(n), nil
	}
	var ok bool
	switch l.Kind {
	case UniformLength:
		low, high, found := strings.Cut(rest, "-")
		var a, b bool
		l.Low, a = wholeLength(low)
		l.High, b = wholeLength(high)
		ok = found && a && b && l.Low <= l.High
	case NormalLength, LognormalLength:
		mean, sd, found := strings.Cut(rest, ",")
		var a, b bool
		l.Mean, a = positive(mean)
		l.Spread, b = positive(sd)
		ok = found && a && b
	case ExponentialLength:
		l.Mean, ok = positive(rest)
	case HistogramLength, QuantileLength:
		ok = l.parseTable(rest)
	}
	if !ok {
		return wrong()
	}
	return l, nil
}

func (l *Length) parseTable(text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		value, weight, weighted := strings.Cut(part, "*")
		v, ok := wholeLength(value)
		w, heavy := 1.0, true
		if weighted {
			w, heavy = positive(weight)
		}
		if !ok || !heavy || weighted && l.Kind == QuantileLength {
			return false
		}
		l.Values = append(l.Values, v)
		if l.Kind == HistogramLength {
			l.Weights = append(l.Weights, w)
		}
	}
	return l.Kind == HistogramLength || len(l.Values) == len(QuantileLevels) && slices.IsSorted(l.Values)
}

func positive(s string) (float64, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return v, err == nil && v > 0 && v <= MaxLength
}

func wholeLength(s string) (float64, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	return float64(n), err == nil && n >= 1 && n <= MaxLength
}

// MarshalJSON writes a fixed length as a number, any other as its text.
func (l Length) MarshalJSON() ([]byte, error) {
	if n, ok := l.Fixed(); ok {
		return strconv.AppendInt(nil, int64(n), 10), nil
	}
	return json.Marshal(l.String())
}

// UnmarshalJSON reads a number or the text of a distribution. A null changes nothing.
func (l *Length) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b)
	}
	return l.UnmarshalText([]byte(text))
}

// MarshalYAML writes a fixed length as a number, any other as its text.
func (l Length) MarshalYAML() (any, error) {
	if n, ok := l.Fixed(); ok {
		return n, nil
	}
	return l.String(), nil
}

// UnmarshalText reads the text of a distribution. A 0 is the length that was not given.
func (l *Length) UnmarshalText(b []byte) error {
	if string(b) == "0" {
		*l = Length{}
		return nil
	}
	v, err := ParseLength(string(b))
	if err == nil {
		*l = v
	}
	return err
}
