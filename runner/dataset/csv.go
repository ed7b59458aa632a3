package dataset

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// table reads a CSV file with a header.
type table struct {
	*gathering
	csv    *csv.Reader
	limit  *limited
	places []int
	names  []string
	fields []string
	header []string
	// line is that of the last record, from 1.
	line int
}

// limited refuses a record that is too long: an unclosed quote would take in the
// whole file.
type limited struct {
	in        io.Reader
	read, max int64
}

var errTooLong = errors.New("too long")

func (l *limited) Read(p []byte) (int, error) {
	if l.read > l.max {
		return 0, errTooLong
	}
	n, err := l.in.Read(p)
	l.read += int64(n)
	return n, err
}

// newTable reads the header and finds the columns in it, whatever their case and order.
func newTable(g *gathering, in *bufio.Reader, names ...string) (*table, error) {
	t := &table{gathering: g, limit: &limited{in: in}, names: names}
	t.csv = csv.NewReader(t.limit)
	t.csv.ReuseRecord = true
	t.csv.FieldsPerRecord = -1
	t.csv.TrimLeadingSpace = true
	if err := t.next(); err == io.EOF {
		return nil, g.malformed(1, "a header with "+strings.Join(names, ", "), "no header")
	} else if err != nil {
		return nil, err
	}
	t.header = append(t.header, t.fields...)
	columns := columnsOf(t.header)
	for _, name := range names {
		place, ok := columns[strings.ToLower(name)]
		if !ok {
			return nil, g.malformed(t.line, "a header with "+strings.Join(names, ", "), "no column %s in %q", name, excerpt(strings.Join(t.header, ",")))
		}
		t.places = append(t.places, place)
	}
	return t, nil
}

// next reads the next record that is not blank; io.EOF after the last.
func (t *table) next() error {
	for {
		t.limit.max = t.csv.InputOffset() + int64(t.longest)
		fields, err := t.csv.Read()
		var parse *csv.ParseError
		switch {
		case err == io.EOF:
			return io.EOF
		case errors.Is(err, errTooLong):
			return t.tooLong(max(t.line, 1), "the record that follows, or an unclosed quote in it,")
		case errors.As(err, &parse):
			return t.malformed(parse.StartLine, "fields between commas, each plain or in closed quotes", "a quote out of place (%v)", parse.Err)
		case err != nil:
			return fmt.Errorf("reading %s: %w", t.file, err)
		}
		for _, field := range fields {
			if strings.TrimSpace(field) != "" {
				t.fields = fields
				t.line, _ = t.csv.FieldPos(0)
				return nil
			}
		}
	}
}

// field gives the text of the i-th column that was asked for.
func (t *table) field(i int) (string, error) {
	if t.places[i] >= len(t.fields) {
		return "", t.malformed(t.line, fmt.Sprintf("%d columns, of which number %d is %s", len(t.header), t.places[i]+1, t.names[i]),
			"%d columns in %q", len(t.fields), excerpt(strings.Join(t.fields, ",")))
	}
	return strings.TrimSpace(t.fields[t.places[i]]), nil
}

// tokens gives the i-th column as a number of tokens.
func (t *table) tokens(i int) (int, error) {
	text, err := t.field(i)
	if err != nil {
		return 0, err
	}
	n, ok := wholeNumber(text)
	if !ok {
		return 0, t.malformed(t.line, wholeForm, "%s is %q", t.names[i], excerpt(text))
	}
	return n, nil
}

const wholeForm = "a whole number from 1 to 100000000"

// wholeNumber reads a number of tokens, also as 472.0, which is how a table with a
// missing value is often saved. A 0 is read, for rows that failed.
func wholeNumber(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	if err != nil {
		v, ferr := strconv.ParseFloat(text, 64)
		if ferr != nil || !(v >= 0 && v <= MaxTokens) || v != math.Trunc(v) {
			return 0, false
		}
		n = int(v)
	}
	return n, n >= 0 && n <= MaxTokens
}

// maxSeconds bounds a number of seconds, so that one in milliseconds since 1970 is
// not taken for seconds and every time fits a [time.Duration].
const maxSeconds = 9e9

// seconds reads a time in units of the given length, from 0.
func seconds(text string, unit time.Duration) (time.Duration, bool) {
	v, err := strconv.ParseFloat(text, 64)
	v *= unit.Seconds()
	if err != nil || !(v >= 0 && v <= maxSeconds) {
		return 0, false
	}
	return time.Duration(math.Round(v * 1e9)), true
}

// calendar reads a date with a time, from 1970 to 2199, as the time since 1970.
// Without a zone it is taken as UTC.
func calendar(text string) (time.Duration, bool) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			year := t.UTC().Year()
			return time.Duration(t.UnixNano()), year >= 1970 && year < 2200
		}
	}
	return 0, false
}

// readAzure reads the Azure LLM inference traces: TIMESTAMP is a date with a time to
// 100 ns, in 2024's files with a zone.
func readAzure(g *gathering, in *bufio.Reader) error {
	return readTrace(g, in, calendar, "a time such as 2023-11-16 18:15:46.6805900", "TIMESTAMP", "ContextTokens", "GeneratedTokens")
}

// readBurstGPT reads the BurstGPT traces: Timestamp is in seconds. Each row is a
// request of its own, also in the files with a Session ID.
func readBurstGPT(g *gathering, in *bufio.Reader) error {
	read := func(text string) (time.Duration, bool) { return seconds(text, time.Second) }
	return readTrace(g, in, read, "seconds from 0", "Timestamp", "Request tokens", "Response tokens")
}

func readTrace(g *gathering, in *bufio.Reader, clock func(string) (time.Duration, bool), clockForm string, names ...string) error {
	t, err := newTable(g, in, names...)
	if err != nil {
		return err
	}
	model, models := columnsOf(t.header)["model"]
	for {
		if err := t.next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		text, err := t.field(0)
		if err != nil {
			return err
		}
		at, ok := clock(text)
		if !ok {
			return t.malformed(t.line, clockForm, "%s is %q", names[0], excerpt(text))
		}
		input, err := t.tokens(1)
		if err != nil {
			return err
		}
		output, err := t.tokens(2)
		if err != nil {
			return err
		}
		if g.addTraced(t.line, at, input, output) != nil && models && model < len(t.fields) {
			g.addModel(strings.TrimSpace(t.fields[model]))
		}
	}
}
