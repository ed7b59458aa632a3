package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) demoCommand() *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "from nothing to a notebook, a curve, a cost and a report, in two minutes",
		UsageText: examples("inferbook demo", "inferbook demo my-first-notebook"),
		Description: "It runs the commands that it prints, so that you can type them yourself afterwards. The engine is simulated;\n" +
			"the first experiments run over HTTP in real time, the others in virtual time.",
		Flags:  []cli.Flag{&cli.StringFlag{Name: "example", Hidden: true, Usage: "make the example notebook, in virtual time, as this FILE"}},
		Action: p.demoAction,
	}
}

// step is one command of the demo, and why it comes now.
type step struct {
	why  string
	args []string
}

// runStep is a step that records an experiment.
func runStep(why, name, flags string, more ...string) step {
	return step{why, append(append([]string{"run", "--name", name}, strings.Fields(flags)...), more...)}
}

// The prices of the demo are real ones with their dates and sources. A reader
// puts their own in their place.
var demoPrices = []string{
	"--price=2.95|--price-date=2026-05-20|--price-source=median over 37 cloud providers, AIMultiple",
	"--price=1.39|--price-date=2026-03-01|--price-source=RunPod list price for an A100 80 GB SXM",
}

// demoSteps is the five-step path of the reading list, on simulated hardware.
func demoSteps(folder string) []step {
	in := func(name string) string { return filepath.Join(folder, name) }
	price := func(i int) []string { return strings.Split(demoPrices[i], "|") }
	return []step{
		runStep("Step 1: one request at a time, no streaming.", "synchronous", "--gpu h100-sxm -n 6"),
		runStep("Step 2: the same, streamed: now the first token has a time of its own.", "streaming", "--gpu h100-sxm -n 6 --stream"),
		runStep("Step 3: concurrency. Throughput rises with load, and so does latency.", "h100 sweep",
			"--gpu h100-sxm --stream --concurrency 1,2,4,8,16,32,64 --duration 6s", "-m", "how does an 8B model on one H100 answer to load?"),
		runStep("Step 5: another GPU, in virtual time.", "a100 sweep", "--gpu a100-80-sxm --virtual --stream --concurrency 1,2,4,8,16,32,64 -n 320"),
		runStep("And another runtime: a static batch, as plain Hugging Face code does it.", "a100 static batches",
			"--gpu a100-80-sxm --runtime hf-static --virtual --stream --concurrency 1,2,4,8,16,32 -n 160"),
		runStep("A small GPU: past its KV cache users queue, and streams that run lose their blocks.", "a10g sweep",
			"--gpu a10g --virtual --stream --input-tokens 1000 --output-tokens 500 --concurrency 1,2,4,8,12,14,16,20,24 -n 80"),
		{"", []string{"curve", "exp-6", "-o", in("small-gpu.svg")}},
		{"Can it be believed, and why is it as it is?", []string{"why", "exp-6"}},
		{"Is continuous batching really faster, and by how much?", []string{"diff", "exp-5", "exp-4"}},
		{"What a million tokens cost, from a dated price.", append([]string{"cost", "exp-3"}, price(0)...)},
		{"", append([]string{"cost", "exp-4", "exp-5"}, price(1)...)},
		{"What you saw, linked to what you have read.", []string{"note", "exp-2", "--reading", "nvidia-fundamental-concepts", "-m",
			"The time to the first token is a small part of the whole answer, so a reader who streams waits far less than one who does not."}},
		{"", []string{"note", "exp-3", "--reading", "nvidia-genai-perf-nim", "--reading", "cheng-inference-benchmarking", "-m",
			"One number is not the result, the curve is: each added user brings less throughput than the one before and makes every token slower."}},
		{"", []string{"note", "exp-5", "--reading", "vllm-pagedattention", "-m",
			"With static batches nobody joins a batch that is under way: the wait for the next batch is the TTFT, and a GPU that is busy is not a GPU that is used."}},
		{"", []string{"note", "exp-6", "--reading", "vllm-pagedattention", "--at", "12", "-m",
			"Twelve users fit this GPU until their answers have grown. Then the server preempts, and with fourteen it gives less than with twelve."}},
		{"What if: how many of these GPUs does a published chat load of 50 requests a second take?", []string{"sim", "capacity", "--gpu", "h100-sxm", "--gpu", "a100-80-sxm",
			"--preset", "azure-chat", "--slo", "ttft.p95<500ms tpot.p95<40ms", "--demand", "50", "--seeds", "3"}},
		{"The curve.", []string{"curve", "exp-3", "exp-4", "exp-5", "-o", in("curve.svg")}},
		{"Which of the points no other beats.", []string{"curve", "--pareto", "exp-3", "exp-4", "exp-5", "-o", in("pareto.svg")}},
		{"The report, and its page.", []string{"report", "new", "exp-3", "exp-4", "exp-5", "-o", in("report.md"), "--title", "One GPU for an 8B chat model"}},
		{"", []string{"report", "html", in("report.md")}},
	}
}

func (p *program) demoAction(c *cli.Context) error {
	if out := c.String("example"); out != "" {
		return p.makeExample(c.Context, out)
	}
	if c.NArg() > 1 {
		return usage("demo takes one folder and was given %d arguments", c.NArg())
	}
	folder := c.Args().First()
	if folder == "" {
		folder = "inferbook-demo"
	}
	folder = unusedFolder(folder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the demo's folder: %w", err)
	}
	db := filepath.Join(folder, defaultNotebook)
	if err := p.runSteps(c.Context, demoSteps(folder), db); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "\nYours now:\n  notebook  %s\n  curve     %s\n  report    %s\n  page      %s\n",
		db, filepath.Join(folder, "curve.svg"), filepath.Join(folder, "report.md"), filepath.Join(folder, "report.html"))
	p.hint("next: cd %s && inferbook ls", folder)
	return nil
}

// unusedFolder gives the folder, or folder-2, folder-3 … where it already holds
// a notebook: a demo writes over nobody's work.
func unusedFolder(folder string) string {
	name := folder
	for i := 2; ; i++ {
		if _, err := os.Stat(filepath.Join(name, defaultNotebook)); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d", folder, i)
	}
}

// runSteps prints and runs each command on the notebook, and stops at the first
// that fails.
func (p *program) runSteps(ctx context.Context, steps []step, db string) error {
	q := *p
	q.env = func(name string) string {
		switch name {
		case "INFERBOOK_DB":
			return db
		case "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY":
			return "" // the demo never sends anything to a real endpoint
		}
		return p.env(name)
	}
	for _, s := range steps {
		if s.why != "" {
			fmt.Fprintf(p.out, "\n%s\n", p.bold("# "+s.why))
		}
		fmt.Fprintf(p.out, "$ inferbook %s\n", quoted(s.args))
		if code := q.run(ctx, s.args); code != exitOK {
			return &exitError{code, fmt.Errorf("the demo stopped at: inferbook %s", quoted(s.args))}
		}
	}
	return nil
}

// quoted writes arguments as one would type them.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; strings.ContainsAny(a, " ;:,'") && !strings.ContainsAny(a, "/") {
			out[i] = fmt.Sprintf("%q", a)
		}
	}
	return strings.Join(out, " ")
}

// exampleStart is when the example notebook says that it began.
var exampleStart = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

// makeExample makes the example notebook: three GPUs, two runtimes, in virtual
// time. Its clock and its identities are fixed and it records nothing of this
// machine, so that the file is the same, byte for byte, wherever it is made again.
func (p *program) makeExample(ctx context.Context, out string) error {
	dir, err := os.MkdirTemp("", "inferbook-example-")
	if err != nil {
		return fmt.Errorf("making a folder for the example: %w", err)
	}
	defer os.RemoveAll(dir)
	db := filepath.Join(dir, defaultNotebook)
	q := *p
	at := exampleStart
	q.now = func() time.Time { return at }
	q.ids = experiment.NewSeededIDs(1, q.now)
	q.host = noHost
	for _, s := range exampleSteps() {
		if err := q.runSteps(ctx, []step{s}, db); err != nil {
			return err
		}
		at = at.Add(time.Hour)
	}
	nb, err := store.Open(ctx, db, q.options(store.Options{ReadOnly: true}))
	if err != nil {
		return err
	}
	defer nb.Close()
	// VACUUM INTO refuses to write over a file, so the old one goes first; it can
	// be made again at any time.
	if err := os.Remove(out); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("replacing the example: %w", err)
	}
	return nb.Backup(ctx, out)
}

// noHost leaves this machine out of the record.
func noHost(context.Context) []experiment.Fact { return nil }

// exampleSteps are the commands that the example notebook is made of.
func exampleSteps() []step {
	const sweep = " --virtual --stream --output-tokens 128 --concurrency 1,4,8,16,24 -n 56"
	price := func(i int) []string { return strings.Split(demoPrices[i], "|") }
	return []step{
		runStep("", "synchronous", "--gpu a10g --virtual -n 40 --tag path", "-m", "step 1: one request at a time"),
		runStep("", "streaming", "--gpu a10g --virtual --stream -n 40 --tag path", "-m", "step 2: when does the first token come?"),
		runStep("", "a10g sweep", "--gpu a10g --tag sweep --input-tokens 1000"+sweep, "-m", "where is the knee of a small GPU?"),
		runStep("", "a10g static batches", "--gpu a10g --runtime hf-static --tag sweep --input-tokens 1000"+sweep, "-m", "the same load without continuous batching"),
		runStep("", "a100 sweep", "--gpu a100-80-sxm --tag sweep"+sweep),
		runStep("", "h100 sweep", "--gpu h100-sxm --tag sweep --repeat 2"+sweep),
		runStep("", "h100 fp8 sweep", "--gpu h100-sxm --precision fp8 --tag sweep"+sweep, "-m", "does half the bytes mean half the time?"),
		{"", []string{"note", "exp-2", "--reading", "nvidia-fundamental-concepts", "-m", "TTFT is a few per cent of E2E here: streaming is what makes the wait short."}},
		{"", []string{"note", "exp-3", "--reading", "databricks-inference-performance", "--at", "24", "-m", "The KV cache of this GPU holds about fourteen of these requests. Past that, more users only wait longer: throughput stands still and TTFT explodes."}},
		{"", []string{"note", "exp-4", "--reading", "vllm-pagedattention", "-m", "A static batch throws away what continuous batching gains: nobody joins until the longest answer ends."}},
		{"", []string{"note", "exp-7", "--reading", "nvidia-tensorrt-llm-tuning", "-m", "FP8 halves the bytes of a step and does not halve its time: the fixed part of a step stays."}},
		{"", []string{"readings", "status", "vllm-pagedattention", "tested"}},
		{"", []string{"readings", "status", "databricks-inference-performance", "read"}},
		{"", append([]string{"cost", "exp-6", "exp-7"}, price(0)...)},
		{"", append([]string{"cost", "exp-5"}, price(1)...)},
	}
}
