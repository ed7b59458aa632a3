// Package dataset reads the files that a run takes its requests from: prompts of
// one's own, conversations, and traces of arrival times and lengths. It believes
// that a file is either understood or refused: a line that cannot be read is named
// with file, line and what was expected, and the run does not start.
package dataset

import (
	"encoding/json"
	"time"
)

// Unknown is a count or time that the file does not give.
const Unknown = -1

// Item is one conversation of a file, nearly always of one turn.
type Item struct {
	// At is when it began, counted from the first item of the file; [Unknown] where
	// the file has no times. Items are in order of At.
	At    time.Duration
	Turns []Turn
	// Blocks are the hashes of the prompt's blocks of [BlockTokens] tokens, as
	// Mooncake's traces give them: prompts with equal first blocks have a prefix in common.
	Blocks []uint64
	// Body is a whole request body (OpenAI batch); nil = build one from the turns.
	Body json.RawMessage
}

// BlockTokens is the length of a block of [Item.Blocks].
const BlockTokens = 512

// Turn is one request of a conversation.
type Turn struct {
	// Messages are what the turn adds to the conversation, oldest first, the last
	// one the user's; empty = a synthetic prompt of Prompt tokens.
	Messages []Message
	// Prompt is the number of prompt tokens and Output that of the answer, as the
	// file says; [Unknown] where it does not.
	Prompt, Output int
	// Think is the pause before the turn; 0 in a first one and where the file has none.
	Think time.Duration
	// AnswerChars is the length, in characters, of the answer that the file itself holds;
	// 0 where it holds none. Divided by a server's characters per token it is a guess of Output.
	AnswerChars int
}

// Message is one message of a conversation.
type Message struct {
	Role    string // system, user or assistant
	Content string
}
