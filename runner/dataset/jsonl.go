package dataset

import (
	"bufio"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// ownRequests reads one's own requests, an object a line:
//
//	{"prompt": "…"}                           one user's message
//	{"messages": [{"role": …, "content": …}]} a chat that ends with the user's message
//	{"input_tokens": 500}                     a synthetic prompt
//	{"turns": [{…}, {…}]}                     a conversation of those
//
// with output_tokens or max_tokens, timestamp or at (seconds, or a date), think_time
// (seconds before a later turn) and session. Lines of one session are the turns of one
// item, which stands where its first line does.
type ownRequests struct {
	*gathering
	// sessions are the places of the items of each session.
	sessions map[string]int
	// timed is the first line, by which all others do or do not have times, of the kind dated.
	timedLine    int
	timed, dated bool
	// hasty counts the first turns with a think time, and retimed the later ones with a time.
	hasty, retimed int
}

func readJSONL(g *gathering, in *bufio.Reader) error {
	r := &ownRequests{gathering: g, sessions: map[string]int{}}
	if err := g.eachObject(in, r.take); err != nil {
		return err
	}
	if r.hasty > 0 {
		g.warn("%s with a think_time, which is left out: only a later turn can have one", count(r.hasty, "first turn"))
	}
	if r.retimed > 0 {
		g.warn("%s with a time, which is left out: a turn of a session follows the answer before it", count(r.retimed, "later turn"))
	}
	return nil
}

func ownField(name string) bool {
	switch name {
	case "prompt", "messages", "input_tokens", "turns", "output_tokens", "max_tokens", "timestamp", "at", "think_time", "session":
		return true
	}
	return false
}

func (r *ownRequests) take(o *object) error {
	o.ignoreBut(ownField)
	session := o.fields["session"]
	if session.Exists() && session.Type != gjson.String && session.Type != gjson.Number {
		return o.malformed("a name or a number", "session is %s", excerpt(session.Raw))
	}
	place, later := r.sessions[session.String()]
	later = later && session.Exists()
	at, err := r.when(o, later)
	if err != nil {
		return err
	}
	turns, err := r.turns(o)
	if err != nil {
		return err
	}
	if later {
		item := &r.set.Items[place]
		item.Turns = append(item.Turns, turns...)
		return nil
	}
	if turns[0].Think != 0 {
		r.hasty++
		turns[0].Think = 0
	}
	if session.Exists() {
		r.sessions[strings.Clone(session.String())] = len(r.set.Items)
	}
	r.addItem(o.line, Item{At: at, Turns: turns})
	return nil
}

// when gives the time of an item. Either all items have one or none.
func (r *ownRequests) when(o *object, later bool) (time.Duration, error) {
	name := "timestamp"
	_, given := o.fields[name]
	if _, at := o.fields["at"]; at {
		if given {
			return 0, o.malformed("one of them", "both timestamp and at")
		}
		name, given = "at", true
	}
	if later {
		if given {
			r.retimed++
		}
		return Unknown, nil
	}
	at, dated := time.Duration(Unknown), false
	if given {
		var err error
		if at, dated, err = o.time(name, time.Second, true); err != nil {
			return 0, err
		}
	}
	switch {
	case r.timedLine == 0:
		r.timedLine, r.timed, r.dated = o.line, given, dated
	case given && !r.timed:
		return 0, o.malformed("none, or one in every line", "%s is given and line %d has no time", name, r.timedLine)
	case !given && r.timed:
		return 0, o.malformed("a time in every line, or in none", "no timestamp, while line %d has a time", r.timedLine)
	case given && dated != r.dated:
		return 0, o.malformed("either seconds or dates in every line", "%s is %s, and line %d has the other kind of time", name, excerpt(o.fields[name].Raw), r.timedLine)
	}
	return at, nil
}

// turns reads a line's turn, or its list of them.
func (r *ownRequests) turns(o *object) ([]Turn, error) {
	list, ok := o.fields["turns"]
	if !ok {
		turn, err := r.turn(o)
		return []Turn{turn}, err
	}
	for _, name := range []string{"prompt", "messages", "input_tokens", "output_tokens", "max_tokens"} {
		if _, both := o.fields[name]; both {
			return nil, o.malformed("it within the turns", "%s beside turns", name)
		}
	}
	const form = `a list of turns such as [{"prompt": "…"}, {"prompt": "…", "think_time": 5}]`
	var turns []Turn
	var err error
	if list.IsArray() {
		list.ForEach(func(_, value gjson.Result) bool {
			inner := &object{gathering: r.gathering, line: o.line, where: numbered("turn", len(turns)), fields: map[string]gjson.Result{}}
			if err = inner.open(value); err != nil {
				return false
			}
			var turn Turn
			turn, err = r.turn(inner)
			turns = append(turns, turn)
			return err == nil
		})
	}
	if err == nil && len(turns) == 0 {
		err = o.malformed(form, "turns is %s", excerpt(list.Raw))
	}
	if err == nil {
		if _, ok := o.fields["think_time"]; ok {
			turns[0].Think, _, err = o.time("think_time", time.Second, false)
		}
	}
	return turns, err
}

const contentForm = `one of prompt, messages, turns and input_tokens, such as {"prompt": "…"}`

// turn reads what one request asks.
func (r *ownRequests) turn(o *object) (Turn, error) {
	var t Turn
	var err error
	prompt, hasPrompt := o.fields["prompt"]
	messages, hasMessages := o.fields["messages"]
	if t.Prompt, err = o.tokens("input_tokens", 1); err != nil {
		return t, err
	}
	switch {
	case hasPrompt && hasMessages:
		return t, o.malformed("one of them", "both prompt and messages")
	case hasPrompt && (prompt.Type != gjson.String || prompt.Str == ""):
		return t, o.malformed("a text", "prompt is %s", excerpt(prompt.Raw))
	case hasPrompt:
		t.Messages = []Message{{Role: "user", Content: strings.Clone(prompt.Str)}}
	case hasMessages:
		if t.Messages, err = o.chat(messages); err != nil {
			return t, err
		}
	case t.Prompt == Unknown:
		return t, o.malformed(contentForm, "nothing to ask")
	}
	if t.Output, err = o.tokens("output_tokens", 1); err != nil {
		return t, err
	}
	limit, err := o.tokens("max_tokens", 1)
	if err != nil {
		return t, err
	}
	if t.Output != Unknown && limit != Unknown && t.Output != limit {
		return t, o.malformed("one of them, or the same number", "output_tokens is %d and max_tokens %d", t.Output, limit)
	}
	t.Output = max(t.Output, limit)
	if _, ok := o.fields["think_time"]; ok {
		t.Think, _, err = o.time("think_time", time.Second, false)
	}
	return t, err
}

// chat reads a list of messages.
func (o *object) chat(list gjson.Result) ([]Message, error) {
	var messages []Message
	var err error
	if list.IsArray() {
		list.ForEach(func(_, m gjson.Result) bool {
			role, content := m.Get("role"), m.Get("content")
			at := numbered("message", len(messages))
			switch {
			case !m.IsObject():
				err = o.malformed(`{"role": …, "content": …}`, "%s%s", at, excerpt(m.Raw))
			case role.Type != gjson.String || role.Str != "system" && role.Str != "user" && role.Str != "assistant":
				err = o.malformed("system, user or assistant", "%srole is %s", at, orNone(role))
			case content.Type != gjson.String:
				err = o.malformed("a text", "%scontent is %s", at, orNone(content))
			}
			messages = append(messages, Message{Role: strings.Clone(role.Str), Content: strings.Clone(content.Str)})
			return err == nil
		})
	}
	switch {
	case err != nil:
		return nil, err
	case len(messages) == 0:
		return nil, o.malformed(`a list such as [{"role": "user", "content": "…"}]`, "messages is %s", excerpt(list.Raw))
	case messages[len(messages)-1].Role != "user" || messages[len(messages)-1].Content == "":
		last := messages[len(messages)-1]
		return nil, o.malformed("a text of the user's at the end", "the last message is %q by the %s", excerpt(last.Content), last.Role)
	}
	return messages, nil
}
