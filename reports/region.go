package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A region stands between two lines of its own:
//
//	<!-- inferbook:begin curve v1 sha256:0123456789abcdef -->
//	<!-- inferbook:end curve -->
//
// The number is the version of what wrote the region, and the hash is of the
// lines between the markers, so that an edit by hand shows. A marker starts in
// the first column; an indented one is text, so that a report can show one.
const (
	markerPrefix = "<!-- inferbook:"
	hashDigits   = 16 // of the SHA-256: an edit shows, and the line stays readable
)

var (
	beginMarker = regexp.MustCompile(`^<!-- inferbook:begin ([a-z]+) v([1-9][0-9]{0,3}) sha256:([0-9a-f]{16}) -->$`)
	endMarker   = regexp.MustCompile(`^<!-- inferbook:end ([a-z]+) -->$`)
)

// segment is a stretch of a report: the person's text, or one region.
type segment struct {
	raw    []byte // with its markers and line ends; all segments together are the file
	region string // the region's name; empty = the person's text

	// Of a region:
	body    []byte // between the markers
	version int
	hash    string // as the marker has it
	line    int    // of the begin marker, from 1
	newline string // the line end of the begin marker
}

// edited reports whether the region is not as it was generated.
func (s *segment) edited() bool { return bodyHash(string(s.body)) != s.hash }

// bodyHash is over the lines of a region. Line ends do not count: a checkout
// that turns them into CR LF is no edit.
func bodyHash(body string) string {
	sum := sha256.Sum256([]byte(unixLines(body)))
	return hex.EncodeToString(sum[:])[:hashDigits]
}

func unixLines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// renderRegion writes a region with its markers. The body ends in a newline.
func renderRegion(name string, version int, body, newline string) string {
	s := fmt.Sprintf("<!-- inferbook:begin %s v%d sha256:%s -->\n%s<!-- inferbook:end %s -->\n",
		name, version, bodyHash(body), body, name)
	if newline == "\n" {
		return s
	}
	return strings.ReplaceAll(s, "\n", newline)
}

// parseRegions cuts a report into the person's text and the regions. It is
// strict: a marker that is malformed, unknown, repeated, nested or without its
// counterpart is an error that names the line.
func parseRegions(doc []byte) ([]segment, error) {
	var out []segment
	text := segment{}        // the person's text so far
	var region *segment      // the region that is open
	seen := map[string]int{} // region → line of its begin marker
	number := 0
	for line := range bytes.Lines(doc) {
		number++
		bare := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if !strings.HasPrefix(bare, markerPrefix) {
			if region != nil {
				region.raw = append(region.raw, line...)
				region.body = append(region.body, line...)
			} else {
				text.raw = append(text.raw, line...)
			}
			continue
		}
		if begin := beginMarker.FindStringSubmatch(bare); begin != nil {
			next, err := openRegion(begin, number, seen, region)
			if err != nil {
				return nil, err
			}
			next.raw = bytes.Clone(line)
			next.newline = strings.TrimPrefix(string(line), bare)
			if len(text.raw) > 0 {
				out, text = append(out, text), segment{}
			}
			region = next
			continue
		}
		end := endMarker.FindStringSubmatch(bare)
		if end == nil {
			return nil, fmt.Errorf("line %d: %q is not a region marker that inferbook writes; restore or remove the line", number, bare)
		}
		if region == nil || region.region != end[1] {
			return nil, fmt.Errorf("line %d: region %s ends here and was not begun before", number, end[1])
		}
		region.raw = append(region.raw, line...)
		out, region = append(out, *region), nil
	}
	if region != nil {
		return nil, fmt.Errorf("line %d: region %s is begun here and never ended", region.line, region.region)
	}
	if len(text.raw) > 0 {
		out = append(out, text)
	}
	return out, nil
}

// openRegion checks a begin marker against what has been seen so far.
func openRegion(begin []string, number int, seen map[string]int, open *segment) (*segment, error) {
	name := begin[1]
	if open != nil {
		return nil, fmt.Errorf("line %d: region %s begins inside region %s, which was begun in line %d", number, name, open.region, open.line)
	}
	s, ok := sectionNamed(name)
	if !ok {
		return nil, fmt.Errorf("line %d: there is no region %s", number, name)
	}
	if first, ok := seen[name]; ok {
		return nil, fmt.Errorf("line %d: region %s is there twice, first in line %d", number, name, first)
	}
	version, err := strconv.Atoi(begin[2])
	if err != nil {
		return nil, fmt.Errorf("line %d: reading the version of region %s: %w", number, name, err)
	}
	if version > s.version {
		return nil, fmt.Errorf("line %d: region %s is of version %d, and this inferbook writes version %d; use a newer inferbook", number, name, version, s.version)
	}
	seen[name] = number
	return &segment{region: name, version: version, hash: begin[3], line: number}, nil
}
