package reports

import (
	"fmt"
	"math"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// costBody is what the tokens cost, with everything that a price per token
// cannot be compared without.
func costBody(m *Material) string {
	var b strings.Builder
	priced := false
	for _, s := range analysis.Between(curves(m)) {
		b.WriteString(inline(s) + "\n\n")
	}
	for i := range m.Experiments {
		it := &m.Experiments[i]
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(itemHeading(m, it))
		if len(it.Costs) == 0 {
			b.WriteString(noCost(it))
			continue
		}
		priced = true
		writeCosts(&b, it)
	}
	if priced {
		b.WriteString(costTerms)
	}
	return b.String()
}

func noCost(it *Item) string {
	why := sentence(it.NoCost)
	if why == "" {
		why = "No price is known for the hardware of this experiment, and none is guessed."
	}
	return why + " With a price, its day and where it was seen, there is a cost:\n\n" +
		fence("sh", fmt.Sprintf("inferbook cost %s --price USD_PER_GPU_HOUR --price-date YYYY-MM-DD --price-source WHERE_SEEN",
			it.Experiment.Alias()))
}

func writeCosts(b *strings.Builder, it *Item) {
	b.WriteString(row("Load", "Output-only, $/M output", "Total, $/M tokens", "Allocated, $/M prompt", "Allocated, $/M output",
		"$ per 1,000 requests", "TTFT p95", "TPOT p95", "Errors"))
	b.WriteString(rule("lrrrrrrrr"))
	for i := range it.Costs {
		c := &it.Costs[i]
		b.WriteString(row(it.load(c.Level), dollars.cell(c.OutputOnly), dollars.cell(c.Total), dollars.cell(c.AllocatedInput),
			dollars.cell(c.AllocatedOutput), dollars.cell(c.PerThousandRequests), latency(c.TTFTP95.Value).cell(c.TTFTP95),
			latency(c.TPOTP95.Value).cell(c.TPOTP95), percent.text(c.ErrorRate)))
	}
	b.WriteString("\n")
	var said []string // assumptions that hold for several levels are said once
	for i := range it.Costs {
		s := assumptions(&it.Costs[i])
		if len(said) == 0 || said[len(said)-1] != s {
			if said = append(said, s); len(said) > 1 {
				fmt.Fprintf(b, "From %s on:\n\n", it.Costs[i].Level)
			}
			b.WriteString(s)
		}
	}
	fmt.Fprintf(b, "- Lengths: %s.\n- Prefix cache: %s.\n", costLengths(it), cacheShare(it.Points))
}

// assumptions are what the price of a level's tokens cannot be compared without.
func assumptions(c *analysis.Cost) string {
	return fmt.Sprintf("- Price: %s per GPU-hour, as of %s, seen at: %s.\n", price(c.Price.USDHour), c.Price.Date.Format(day), source(c.Price.Source)) +
		fmt.Sprintf("- Hardware counted: %s, so %s an hour.\n", counted(c.GPUs, "GPU"), price(c.USDPerHour)) +
		fmt.Sprintf("- Utilisation: %s of the paid hours are spent at the load of the row.\n", share(c.Utilisation)) +
		fmt.Sprintf("- Allocation: an output token is charged r = %s times a prompt token.\n", exact(c.PriceRatio))
}

// costTerms says what holds for every cost in a report, and gives each column's
// name its arithmetic.
const costTerms = `
For every cost above:

- Service level: none stated. The money buys the latencies of its row, whoever may find them too long.
- Failed requests: they use the hardware's time and bring no tokens, so they raise the price of the others.
- Utilisation: a service is paid for its idle hours too. At half of the stated share every figure doubles.
- Allocation: r is a convention. With any r, the prompt's and the output's shares add up to the bill.
- Host, network, people and electricity are in it only as far as the price of the hour holds them.

| Name | Formula | Misleads when |
| --- | --- | --- |
| Output-only | USD/h × 10⁶ ÷ (3600 × output tok/s × utilisation) | prompts are long: their work is charged to the answer |
| Total | USD/h × 10⁶ ÷ (3600 × (prompt + output tok/s) × utilisation) | prompts are long: they look almost free |
| Allocated | prompt: USD/h × 10⁶ ÷ (3600 × utilisation × (prompt tok/s + r × output tok/s)); output: r times that | r is not the ratio of the work |
| Per 1,000 requests | USD/h × 1,000 ÷ (3600 × req/s × utilisation) | requests of another length are meant |

Each of these is the whole bill in another unit. They are never added to each other.
`

// costLengths tells the lengths that a cost holds for, over the levels that have any.
func costLengths(it *Item) string {
	var in, least, most float64
	at := ""
	for i := range it.Costs {
		c := &it.Costs[i]
		switch {
		case math.IsNaN(c.MeanPrompt) || math.IsNaN(c.MeanOutput):
		case at == "":
			in, least, most, at = c.MeanPrompt, c.MeanOutput, c.MeanOutput, it.load(c.Level)
		default:
			least, most = min(least, c.MeanOutput), max(most, c.MeanOutput)
		}
	}
	switch {
	case at == "":
		return "not known, since nobody counted the tokens of a successful request"
	case digits(least) == digits(most):
		return fmt.Sprintf("%s prompt and %s output tokens a request on average; another length has another cost", digits(in), digits(least))
	}
	return fmt.Sprintf("%s prompt tokens a request on average at %s, and %s to %s output tokens over the levels; another length has another cost",
		digits(in), at, digits(least), digits(most))
}

// cacheShare says what part of the prompts came out of a prefix cache.
func cacheShare(points []analysis.PointSummary) string {
	cached, prompt, silent := 0, 0, 0
	for i := range points {
		if points[i].CachedTokens == experiment.Unknown {
			silent++
			continue
		}
		cached += points[i].CachedTokens
		prompt += points[i].PromptTokens
	}
	switch {
	case prompt == 0:
		return "the server did not say how many prompt tokens came from it"
	case silent > 0:
		return fmt.Sprintf("%s of the prompt tokens came from it where the server said so, which it did not at %s",
			percent.text(float64(cached)/float64(prompt)), counted(silent, "point"))
	}
	return fmt.Sprintf("%s of the prompt tokens came from it", percent.text(float64(cached)/float64(prompt)))
}
