package dataset

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Set is what one file holds.
type Set struct {
	// Format is one of the names in [Formats].
	Format string
	// Items has at least one item.
	Items []Item
	// Endpoint is the path that all requests of an OpenAI batch ask, such as
	// /v1/chat/completions; empty in other formats.
	Endpoint string
	// Models are the models that a BurstGPT or OpenAI batch file names, in the order of
	// their first mention.
	Models []string
	// SHA256 is the hash in hex of the file's bytes, compressed where the file is.
	SHA256 string
	// Warnings say what was left out or changed, a sentence each.
	Warnings []string
}

// MaxLine is the longest line, record or conversation that is read, in bytes.
const MaxLine = 64 << 20

// MaxTokens is the highest number of tokens that a file may give.
const MaxTokens = 100_000_000

// Malformed is the error for a place in a file that cannot be read.
type Malformed struct {
	File string
	// Line is that of the fault, from 1.
	Line int
	// Found says what is there, with at most 80 characters of it, and Expected what
	// should be.
	Found, Expected string
}

// Error is one sentence: trace.jsonl:17: input_length is "abc"; expected a whole number from 1.
func (m *Malformed) Error() string {
	return fmt.Sprintf("%s:%d: %s; expected %s", m.File, m.Line, m.Found, m.Expected)
}

// excerpt is the beginning of a text in one line, of at most 80 characters.
func excerpt[T string | []byte](text T) string {
	const limit = 80
	s := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, string(text[:min(len(text), limit*utf8.UTFMax)]))
	n := 0
	for i := range s {
		if n++; n == limit && (i+1 < len(s) || len(s) < len(text)) {
			return s[:i] + "…"
		}
	}
	return s
}

// Open reads the file at path, plain or compressed by gzip. The format is one of
// [Formats]; "" and "auto" recognise it by the content. Its errors are [*Malformed] for
// a place in the file, else one sentence about the whole of it.
func Open(path, format string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s: %w", path, fs.ErrNotExist)
		}
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory; name a file in it", path)
	}
	return Read(f, path, format)
}

// Read reads a file's content as [Open] does. The name is for messages.
func Read(r io.Reader, name, format string) (*Set, error) {
	return read(r, name, format, MaxLine)
}

// read reads a file whose lines have at most a number of bytes.
func read(r io.Reader, name, format string, longest int) (*Set, error) {
	if format == "auto" {
		format = ""
	}
	if format != "" && !slices.Contains(Formats(), format) {
		return nil, fmt.Errorf("%q is not a format of data files; write auto, %s", format, strings.Join(Formats(), ", "))
	}
	hash := sha256.New()
	whole := io.TeeReader(r, hash)
	in, err := plainText(bufio.NewReaderSize(whole, 1<<16), name)
	if err != nil {
		return nil, err
	}
	g := &gathering{file: name, longest: longest}
	if format == "" {
		if format, in, err = sniff(in, name, longest); err != nil {
			return nil, err
		}
	}
	g.set.Format = format
	if err := readers[format].read(g, in); err != nil {
		return nil, err
	}
	if err := g.finish(); err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, whole); err != nil { // what a decompressor leaves unread
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	g.set.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return &g.set, nil
}

// plainText undoes compression, removes a byte order mark, and refuses what is no text.
func plainText(in *bufio.Reader, name string) (*bufio.Reader, error) {
	if head, _ := in.Peek(2); string(head) == "\x1f\x8b" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("decompressing %s: %w", name, err)
		}
		in = bufio.NewReaderSize(z, 1<<16)
	}
	head, err := in.Peek(4096)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	const lfs = "version https://git-lfs.github.com/"
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return nil, fmt.Errorf("%s is text in UTF-16; save it as UTF-8", name)
	case bytes.IndexByte(head, 0) >= 0:
		return nil, fmt.Errorf("%s is a binary file; expected CSV, JSON, or one JSON object a line, plain or in gzip", name)
	case bytes.HasPrefix(head, []byte(lfs)):
		return nil, fmt.Errorf("%s is a Git LFS pointer, not the data that it stands for; fetch that with git lfs pull", name)
	}
	if bytes.HasPrefix(head, []byte(byteOrderMark)) {
		if _, err := in.Discard(len(byteOrderMark)); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		head = head[len(byteOrderMark):]
	}
	if len(bytes.TrimSpace(head)) == 0 && err == io.EOF {
		return nil, fmt.Errorf("%s is empty; expected at least one request", name)
	}
	return in, nil
}

const byteOrderMark = "\ufeff"

// gathering is a set that is being read.
type gathering struct {
	file string
	// longest is [MaxLine].
	longest int
	set     Set
	// turns is a block of turns that items of one turn share, for want of an
	// allocation each.
	turns []Turn
	// rows counts what the file gives, and unanswered those rows without input or output.
	rows, unanswered int
	// late is the line of the first item that comes after a later one; 0 = in order.
	late int
	// unread counts the lines with fields that have no meaning here, and unreadNames
	// are the first few.
	unread      int
	unreadNames []string
}

// malformed is the error for a line.
func (g *gathering) malformed(line int, expected, format string, args ...any) error {
	return &Malformed{File: g.file, Line: line, Found: fmt.Sprintf(format, args...), Expected: expected}
}

// add takes an item of one turn.
func (g *gathering) add(line int, at time.Duration, t Turn) *Item {
	if len(g.turns) == cap(g.turns) {
		g.turns = make([]Turn, 0, 512)
	}
	n := len(g.turns)
	g.turns = append(g.turns, t)
	return g.addItem(line, Item{At: at, Turns: g.turns[n : n+1 : n+1]})
}

// addItem takes an item with its time since any fixed moment.
func (g *gathering) addItem(line int, item Item) *Item {
	n := len(g.set.Items)
	if n > 0 && item.At < g.set.Items[n-1].At && g.late == 0 {
		g.late = line
	}
	g.set.Items = append(g.set.Items, item)
	return &g.set.Items[n]
}

// addTraced takes a row of a trace: a time and two lengths. Traces of production keep
// the requests that failed, with no output tokens; those are counted and left out.
func (g *gathering) addTraced(line int, at time.Duration, input, output int) *Item {
	g.rows++
	if input == 0 || output == 0 {
		g.unanswered++
		return nil
	}
	return g.add(line, at, Turn{Prompt: input, Output: output})
}

func (g *gathering) addModel(name string) {
	if name != "" && !slices.Contains(g.set.Models, name) {
		g.set.Models = append(g.set.Models, strings.Clone(name))
	}
}

// ignore counts a line with fields that are not read.
func (g *gathering) ignore(names []string) {
	if len(names) == 0 {
		return
	}
	g.unread++
	for _, name := range names {
		if len(g.unreadNames) < 8 && !slices.Contains(g.unreadNames, name) {
			g.unreadNames = append(g.unreadNames, strings.Clone(name))
		}
	}
}

func (g *gathering) warn(format string, args ...any) {
	g.set.Warnings = append(g.set.Warnings, fmt.Sprintf(format, args...))
}

// finish puts the items in order, counts their times from the first, and says what
// became of the rest.
func (g *gathering) finish() error {
	items := g.set.Items
	if len(items) == 0 {
		switch {
		case g.unanswered > 0:
			return fmt.Errorf("%s has no request to send: none of its rows (%d) has both input and output tokens", g.file, g.rows)
		case g.rows > 0:
			return fmt.Errorf("%s has no request to send: none of its conversations (%d) asks anything", g.file, g.rows)
		default:
			return fmt.Errorf("%s has no request to send; expected at least one", g.file)
		}
	}
	if g.unanswered > 0 {
		g.warn("%d of %s left out: 0 input or 0 output tokens", g.unanswered, count(g.rows, "row"))
	}
	if g.late > 0 {
		slices.SortStableFunc(items, func(a, b Item) int { return cmp.Compare(a.At, b.At) })
		g.warn("the times were not in order (line %d was the first that came late), so the items are sorted by time", g.late)
	}
	if g.unread > 0 {
		g.warn("%s with fields that are not read: %s", count(g.unread, "line"), strings.Join(g.unreadNames, ", "))
	}
	if start := items[0].At; start != Unknown {
		for i := range items {
			items[i].At -= start
		}
	}
	return nil
}
