package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

// defaultPriceRatio is the convention of NVIDIA's article on cost.
const defaultPriceRatio = 3

func (p *program) costCommand() *cli.Command {
	return &cli.Command{
		Name: "cost", Usage: "what a million tokens cost at each load, from a dated price",
		UsageText: examples(
			"inferbook cost exp-3 --price 2.95 --price-date 2026-05-20 --price-source \"invoice 118\"",
			"inferbook cost exp-3 exp-4                     with the prices stored before",
			"inferbook cost exp-3 --utilisation 0.3         the GPU is busy for 30 % of the hours you pay"),
		Description: "A price is per GPU and hour, and is stored in the notebook under the experiment's GPU. There is no default:\n" +
			"for one GPU in one month prices differ by a factor of three, and without a price there is no cost.",
		Flags: []cli.Flag{
			&cli.Float64Flag{Name: "price", Usage: "`USD` per GPU-hour", DefaultText: "the newest in the notebook for this GPU"},
			&cli.StringFlag{Name: "price-date", Usage: "the `DAY` on which that price was true, as 2026-05-20"},
			&cli.StringFlag{Name: "price-source", Usage: "`WHERE` the price comes from: an invoice, a quote, a URL"},
			&cli.IntFlag{Name: "gpus", Usage: "`N` GPUs are paid for", DefaultText: "those recorded"},
			&cli.Float64Flag{Name: "utilisation", Usage: "`SHARE` of the paid hours spent at that load, above 0 and up to 1", Value: 1},
			&cli.Float64Flag{Name: "price-ratio", Usage: "an output token bears `X` times the price of an input token, in the allocated cost", Value: defaultPriceRatio},
			jsonFlag(), dbFlag(),
		},
		Action: p.costAction,
	}
}

func (p *program) costAction(c *cli.Context) error {
	priced := c.IsSet("price") || c.IsSet("price-date") || c.IsSet("price-source")
	opening := p.look
	if priced {
		opening = p.open
	}
	nb, err := opening(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	views, err := p.views(c, nb)
	if err != nil {
		return err
	}
	if priced {
		if err := addPrice(c, nb, views); err != nil {
			return err
		}
	}
	all := map[string][]analysis.Cost{}
	for i, v := range views {
		costs, err := costsOf(c.Context, nb, v, c.Int("gpus"), c.Float64("utilisation"), c.Float64("price-ratio"))
		if err != nil {
			return usage("%s: %w", v.Experiment.Alias(), err)
		}
		all[v.Experiment.Alias()] = costs
		if !c.Bool("json") {
			if i > 0 {
				fmt.Fprintln(p.out)
			}
			p.printCosts(v, costs)
		}
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Costs map[string][]analysis.Cost `json:"costs"`
		}{document{"inferbook.cost/1"}, all})
	}
	p.printBetween(views)
	return nil
}

// addPrice stores the price that the flags give, for the hardware of the experiments.
func addPrice(c *cli.Context, nb *store.Notebook, views []*view) error {
	for _, name := range []string{"price", "price-date", "price-source"} {
		if !c.IsSet(name) {
			return usage("a price needs --price, --price-date and --price-source together; --%s is missing", name)
		}
	}
	date, err := time.Parse(time.DateOnly, c.String("price-date"))
	if err != nil {
		return usage("--price-date is %q; write a day such as 2026-05-20", c.String("price-date"))
	}
	seen := map[string]bool{}
	for _, v := range views {
		gpu := v.Experiment.Environment.Get(experiment.KeyGPUModel)
		if gpu.Source == experiment.UnknownValue {
			return usage("%s does not know its GPU, so a price cannot be stored for it; record runs with --gpu NAME", v.Experiment.Alias())
		}
		if seen[gpu.Value] {
			continue
		}
		seen[gpu.Value] = true
		price := experiment.Price{Hardware: gpu.Value, USDHour: c.Float64("price"), Date: date, Source: c.String("price-source")}
		if err := nb.AddPrice(c.Context, &price); err != nil {
			return &exitError{exitUsage, err}
		}
	}
	return nil
}

// costsOf computes the cost of every level with the newest price in the notebook
// for the experiment's hardware. Without one it is an error.
func costsOf(ctx context.Context, nb *store.Notebook, v *view, gpus int, utilisation, ratio float64) ([]analysis.Cost, error) {
	env := v.Experiment.Environment
	gpu := env.Get(experiment.KeyGPUModel)
	if gpu.Source == experiment.UnknownValue {
		return nil, fmt.Errorf("its GPU is unknown, so no price applies; record the run with --gpu NAME")
	}
	prices, err := nb.Prices(ctx, gpu.Value)
	if err != nil {
		return nil, err
	}
	if len(prices) == 0 {
		return nil, fmt.Errorf("there is no price for %s in the notebook; add --price USD_PER_GPU_HOUR --price-date YYYY-MM-DD --price-source WHERE", gpu.Value)
	}
	if gpus == 0 {
		if gpus, err = strconv.Atoi(env.Get(experiment.KeyGPUCount).Value); err != nil {
			return nil, fmt.Errorf("how many GPUs it used is unknown; give --gpus")
		}
	}
	return analysis.Costs(v.Curve, &prices[0], gpus, utilisation, ratio)
}

// printCosts prints the table, with every assumption above it.
func (p *program) printCosts(v *view, costs []analysis.Cost) {
	fmt.Fprintf(p.out, "%s  %s\n", p.bold(v.Experiment.Title()), v.Experiment.Environment.Label())
	if len(costs) == 0 {
		fmt.Fprintln(p.out, "no level has a throughput, so there is no cost")
		return
	}
	one := costs[0]
	fmt.Fprintf(p.out, "$%.2f per GPU-hour × %d GPU on %s (%s) · busy %.0f %% of paid hours · %s tokens in and %s out a request\n",
		one.Price.USDHour, one.GPUs, one.Price.Date.Format(time.DateOnly), one.Price.Source, one.Utilisation*100, tokens(one.MeanPrompt), tokens(one.MeanOutput))
	fmt.Fprintf(p.out, "USD per million tokens; allocated: an output token bears %g times an input token; failed requests cost time and yield nothing\n\n", one.PriceRatio)
	var rows [][]any
	load, level := loadColumn(v.Curve)
	for _, cost := range costs {
		rows = append(rows, []any{level(cost.Level), interval(cost.OutputOnly, usd), usd(cost.Total.Value), usd(cost.AllocatedInput.Value),
			usd(cost.AllocatedOutput.Value), usd(cost.PerThousandRequests.Value), ms(cost.TTFTP95.Value), ms(cost.TPOTP95.Value)})
	}
	outputOnly := "output only"
	switch repeats := mostRepeats(v.Curve); {
	case repeats >= analysis.RepeatsForInterval:
		outputOnly += " [95 % between repeats]"
	case repeats > 1:
		outputOnly += " (min–max over repeats)"
	}
	p.fit([]any{load, outputOnly, "total", "allocated in", "allocated out", "per 1,000 requests", "TTFT p95", "TPOT p95"}, rows,
		"TPOT p95", "TTFT p95", "per 1,000 requests")
	var warnings []string
	for _, cost := range costs {
		warnings = append(warnings, cost.Warnings...)
	}
	for _, w := range unique(warnings) {
		fmt.Fprintf(p.out, "  · %s\n", w)
	}
}

// tokens writes a mean number of tokens, whole.
func tokens(mean float64) string {
	if math.IsNaN(mean) {
		return "an unknown number of"
	}
	return thousands(int64(math.Round(mean)))
}

// usd writes an amount of money with three significant digits, to the cent from
// one dollar and in whole dollars from a hundred.
func usd(v float64) string {
	if s := num(v); s == "–" || s == "∞" {
		return s
	}
	switch {
	case v >= 100:
		return fmt.Sprintf("$%.0f", v)
	case v >= 1 || v <= 0:
		return fmt.Sprintf("$%.2f", v)
	}
	return fmt.Sprintf("$%.*f", 2-int(math.Floor(math.Log10(v))), v)
}
