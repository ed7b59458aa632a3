package workload

import (
	"math"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
)

// Content makes the request that a turn of the entry at a place sends. The entry is
// what [Generator.Entry] gave for the place, or a schedule that was kept.
//
// A synthetic prompt has exactly (tokens − Fit.Overhead)·Fit.CharsPerToken characters,
// rounded, and a later turn, whose template is the first one's, tokens·CharsPerToken.
// The number depends on nothing else, so that the same plan run again is as long. A
// first turn is never shorter than its shared prefix and the eight words that make it
// unlike any other; where that raises it, PromptTokens is the length that it has.
//
// A conversation stays with its model and its replica.
func (g *Generator) Content(p Place, e experiment.Entry, turn int) Content {
	k, asked := g.kinds[e.Class], e.Turns[turn]
	c := Content{Model: k.model, OutputTokens: max(1, asked.Output), PromptTokens: experiment.Unknown}
	if models := g.config.Spec.Models; c.Model == "" && len(models) > 0 {
		c.Model = models[g.models.pick(g.draw(p, forModel).Float64())].Model
	}
	if len(g.replicas) > 0 {
		c.Replica = g.replicas.pick(g.draw(p, forReplica).Float64())
	}
	if g.config.Spec.Prompt != "" {
		c.Prompt = g.config.Spec.Prompt
		return c
	}
	if asked.Prompt > 0 {
		c.PromptTokens = asked.Prompt
	}
	if e.Item >= 0 {
		item := g.config.Items[e.Item]
		c.Body = item.Body
		if m := item.Turns[turn].Messages; len(m) > 0 {
			c.History, c.Prompt = m[:len(m)-1:len(m)-1], m[len(m)-1].Content
			return c
		}
		if c.Body != nil {
			return c
		}
		if turn == 0 && len(item.Blocks) > 0 {
			c.Prompt = g.blocks(p, item, asked.Prompt)
			return c
		}
	}
	if turn > 0 {
		c.Prompt = g.later(p, turn, asked.Prompt)
		return c
	}
	c.Prompt = g.first(p, k, asked.Prompt)
	if want := g.config.Fit.chars(asked.Prompt); len(c.Prompt) > want {
		c.PromptTokens = g.config.Fit.tokens(len(c.Prompt))
	}
	return c
}

// first writes a synthetic prompt that begins a conversation.
func (g *Generator) first(p Place, k kind, tokens int) string {
	var s script
	room := g.config.Fit.chars(tokens) + 1
	if group := g.group(p, k); group >= 0 {
		s.begin("%s/%d/prefix/%d/%d", g.config.Salt, g.config.Seed, k.prefix.owner, group)
		s.words(max(2, g.extent(k.prefix.Tokens))) // a word of one letter, at least
	}
	shared := len(s.text)
	g.beginOwn(&s, p, 0)
	s.ask(max(room-shared, nonceRoom))
	return s.String()
}

// later writes a synthetic prompt that goes on with a conversation.
func (g *Generator) later(p Place, turn, tokens int) string {
	var s script
	g.beginOwn(&s, p, turn)
	s.ask(g.extent(tokens) + 1)
	return s.String()
}

// blocks writes a prompt block by block, each a function of its hash, so that prompts
// with equal first hashes begin alike. What the hashes do not reach is its own text.
func (g *Generator) blocks(p Place, item dataset.Item, tokens int) string {
	var s script
	room := max(2, g.config.Fit.chars(tokens)+1)
	for i, hash := range item.Blocks {
		end := min(g.extent((i+1)*dataset.BlockTokens), room)
		if end <= len(s.text) {
			break
		}
		s.begin("%s/%d/block/%d", g.config.Salt, g.config.Seed, hash)
		s.words(end - len(s.text))
	}
	if rest := room - len(s.text); rest > 0 {
		g.beginOwn(&s, p, 0)
		s.own(rest)
	}
	return s.String()
}

// beginOwn makes what follows a text that no other conversation and no other turn has.
func (g *Generator) beginOwn(s *script, p Place, turn int) {
	s.begin("%s/%d/%d/%d/%d/%d", g.config.Salt, g.config.Seed, p.Class, p.Worker, p.K, turn)
}

// extent is how many characters so many tokens take where no template is counted,
// from 1.
func (g *Generator) extent(tokens int) int {
	return max(1, int(math.Round(float64(tokens)*g.config.Fit.CharsPerToken)))
}
