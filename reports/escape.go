package reports

import (
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// inline makes one line of Markdown text out of anything a person or a server
// wrote: nothing in it is markup, ends a table cell or starts a block. Callers
// put words of their own before it, since the start of a line has a grammar of
// its own.
func inline(s string) string {
	runes := []rune(oneLine(s))
	var b strings.Builder
	for i, r := range runes {
		switch r {
		case '\\', '`', '*', '[', ']', '<', '>', '|', '~':
			b.WriteByte('\\')
		case '_': // within a word it is no emphasis, and max_tokens stays readable
			if i == 0 || i == len(runes)-1 || !isWord(runes[i-1]) || !isWord(runes[i+1]) {
				b.WriteByte('\\')
			}
		case '&': // an entity
			if i < len(runes)-1 && (runes[i+1] == '#' || isWord(runes[i+1])) {
				b.WriteByte('\\')
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// oneLine replaces line ends, control characters and runs of space by one space
// and drops the characters that turn the direction of writing, which can make a
// line read as what it is not.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0xfeff:
			return -1
		case unicode.IsControl(r), r == 0x2028, r == 0x2029:
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	return strings.Join(strings.Fields(s), " ")
}

// sentence is inline text with a capital at its start and a stop at its end;
// empty stays empty.
func sentence(s string) string {
	s = strings.TrimRight(oneLine(s), ".")
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return inline(string(unicode.ToUpper(first)) + s[size:] + ".")
}

// strong is inline text in bold; a text that is empty has no bold.
func strong(s string) string {
	if s = inline(s); s == "" {
		return "(no name)"
	}
	return "**" + s + "**"
}

// code is a code span. What a code span cannot hold within a table is shown as
// text instead.
func code(s string) string {
	s = oneLine(s)
	if s == "" || strings.ContainsAny(s, "`|\\") {
		return inline(s)
	}
	return "`" + s + "`"
}

// link shows text as a link where the address is one of the web, and as plain
// text otherwise.
func link(text, address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return inline(text)
	}
	return "[" + inline(text) + "](" + destination(u.String()) + ")"
}

// source shows where a price was seen: an address as a link, else as text.
func source(s string) string {
	if s = oneLine(s); s == "" {
		return "no source given"
	}
	return link(s, s)
}

// destination writes the characters that would end a link's address, or a
// table's cell, in percent form.
var destinationEscapes = strings.NewReplacer(
	" ", "%20", "(", "%28", ")", "%29", "<", "%3C", ">", "%3E", "|", "%7C",
	"\\", "%5C", "`", "%60", "[", "%5B", "]", "%5D", "\"", "%22")

func destination(address string) string { return destinationEscapes.Replace(oneLine(address)) }

// imagePath writes a relative path as an image's address.
func imagePath(p string) string {
	u := url.URL{Path: path.Clean(oneLine(p))}
	return destination(u.EscapedPath())
}

// quote writes Markdown as a block quotation, so that its headings, fences and
// region markers cannot reach the report around it.
func quote(markdown string) string {
	s := strings.ToValidUTF8(markdown, "\ufffd")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\ufffd").Replace(s)
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		if line = strings.TrimRight(line, " \t"); line == "" {
			b.WriteString(">\n")
			continue
		}
		b.WriteString("> " + line + "\n")
	}
	return b.String()
}

// fence writes a code block whose fence is longer than any run of backticks in
// it, so that the text cannot end it.
func fence(language, text string) string {
	longest, run := 2, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	ticks := strings.Repeat("`", longest+1)
	return ticks + language + "\n" + strings.TrimRight(text, "\n") + "\n" + ticks + "\n"
}

// row writes one line of a table. The cells are Markdown already.
func row(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// rule writes the line under a table's head: one letter a column, l or r.
func rule(align string) string {
	var cells []string
	for _, a := range align {
		if a == 'r' {
			cells = append(cells, "---:")
		} else {
			cells = append(cells, "---")
		}
	}
	return row(cells...)
}
