package dataset

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// numbered begins a message about the n-th of several things, n from 0.
func numbered(thing string, n int) string { return fmt.Sprintf("%s %d: ", thing, n+1) }

// orNone shows a JSON value, or says that there is none.
func orNone(value gjson.Result) string {
	if !value.Exists() {
		return "missing"
	}
	return excerpt(value.Raw)
}

// elements splits a JSON list, or objects after one another, into its elements. It
// follows only brackets and quotes, so that a file of any size is read a conversation at a time.
type elements struct {
	*gathering
	in *bufio.Reader
	// line is that of the next byte, from 1.
	line   int
	list   bool
	ended  bool
	count  int
	buffer []byte
}

func (e *elements) readByte() (byte, error) {
	c, err := e.in.ReadByte()
	if c == '\n' && err == nil {
		e.line++
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("reading line %d of %s: %w", e.line, e.file, err)
	}
	return c, err
}

// next gives the next object and the line where it begins; io.EOF after the last.
func (e *elements) next() (raw []byte, line int, err error) {
	comma := false
	for {
		c, err := e.readByte()
		if err == io.EOF && e.list && !e.ended {
			return nil, 0, e.malformed(e.line, "] after the last conversation", "the file ends within the list")
		} else if err != nil {
			return nil, 0, err
		}
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case e.ended:
			return nil, 0, e.malformed(e.line, "nothing", "%q after the end of the list", c)
		case c == '[' && !e.list && e.count == 0:
			e.list = true
		case c == ']' && e.list && !comma:
			e.ended = true
		case c == ',' && e.list && e.count > 0 && !comma:
			comma = true
		case c == '{' && (!e.list || comma == (e.count > 0)):
			e.count++
			line := e.line
			raw, err := e.rest()
			return raw, line, err
		default:
			return nil, 0, e.malformed(e.line, `conversations such as {"conversations": […]}, with commas between them in a list`, "%q after %d conversations", c, e.count)
		}
	}
}

// rest reads an object to its end after its first bracket.
func (e *elements) rest() ([]byte, error) {
	start := e.line
	e.buffer = append(e.buffer[:0], '{')
	quoted := false
	for depth := 1; depth > 0; {
		c, err := e.readByte()
		if err == io.EOF {
			return nil, e.malformed(start, "its end", "the file ends within conversation %d, which begins here", e.count)
		} else if err != nil {
			return nil, err
		}
		if e.buffer = append(e.buffer, c); len(e.buffer) > e.longest {
			return nil, e.tooLong(start, fmt.Sprintf("conversation %d", e.count))
		}
		switch {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			if c, err = e.readByte(); err == nil {
				e.buffer = append(e.buffer, c)
			} else if err != io.EOF {
				return nil, err
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return e.buffer, nil
}

// speakers are the names for who speaks in ShareGPT's files.
var speakers = map[string]string{
	"human": "user", "user": "user",
	"gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
	"system": "system",
}

// readShareGPT reads conversations: a list of objects, or an object a line. The file's
// answers are not sent; a server's own take their place, so that only their length is kept.
func readShareGPT(g *gathering, in *bufio.Reader) error {
	e := &elements{gathering: g, in: in, line: 1}
	unasked := 0
	for {
		raw, line, err := e.next()
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		value, err := g.parse(line, raw)
		if err != nil {
			return err
		}
		turns, err := g.conversation(value, line, numbered("conversation", e.count-1))
		if err != nil {
			return err
		}
		g.rows++
		if len(turns) == 0 {
			unasked++
			continue
		}
		g.addItem(line, Item{At: Unknown, Turns: turns})
	}
	if unasked > 0 {
		g.warn("%d of %s left out: nothing is asked", unasked, count(g.rows, "conversation"))
	}
	return nil
}

// conversation gives the turns of one object: each ends where an answer follows. An
// answer to nothing is passed over, and so is an empty message.
func (g *gathering) conversation(value gjson.Result, start int, where string) ([]Turn, error) {
	list := value.Get("conversations")
	if !list.IsArray() {
		return nil, g.malformed(start, `a list such as [{"from": "human", "value": "…"}]`, "%sconversations is %s", where, orNone(list))
	}
	var turns []Turn
	var pending []Message
	var err error
	n := 0
	list.ForEach(func(_, m gjson.Result) bool {
		from, text := m.Get("from"), m.Get("value")
		role := speakers[from.Str]
		if !m.IsObject() || from.Type != gjson.String || role == "" || text.Type != gjson.String && text.Type != gjson.Null {
			err = g.message(m, start+lineBreaks(value.Raw[:m.Index]), where+numbered("message", n))
			return false
		}
		n++
		switch {
		case role == "assistant":
			before := len(turns)
			if turns, pending = closeTurn(turns, pending); len(turns) > before {
				turns[before].AnswerChars = utf8.RuneCountInString(text.Str)
			}
		case strings.TrimSpace(text.Str) != "":
			pending = append(pending, Message{Role: role, Content: strings.Clone(text.Str)})
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	turns, _ = closeTurn(turns, pending)
	return turns, nil
}

// message says what is wrong with a message.
func (g *gathering) message(m gjson.Result, line int, where string) error {
	from, text := m.Get("from"), m.Get("value")
	switch {
	case !m.IsObject():
		return g.malformed(line, `{"from": …, "value": …}`, "%s%s", where, excerpt(m.Raw))
	case from.Type != gjson.String || speakers[from.Str] == "":
		return g.malformed(line, "human, gpt or system", "%sfrom is %s", where, orNone(from))
	default:
		return g.malformed(line, "a text", "%svalue is %s", where, orNone(text))
	}
}

// closeTurn makes a turn of what was said up to the user's last message; what comes
// after that one belongs to the next turn.
func closeTurn(turns []Turn, pending []Message) ([]Turn, []Message) {
	for i := len(pending) - 1; i >= 0; i-- {
		if pending[i].Role == "user" {
			t := Turn{Messages: pending[: i+1 : i+1], Prompt: Unknown, Output: Unknown}
			return append(turns, t), append([]Message(nil), pending[i+1:]...)
		}
	}
	return turns, pending
}
