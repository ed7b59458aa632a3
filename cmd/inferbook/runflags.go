package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// Headings of run's flags in its help, in the order in which they are printed.
const (
	aboutLoad     = "1 LOAD"
	aboutRequests = "2 REQUESTS"
	aboutRules    = "3 WHEN TO STOP"
	aboutServer   = "4 SERVER"
	aboutRecord   = "5 RECORD"
	aboutVLLM     = "6 AS IN vllm bench serve"
)

// runFlags are the flags of run; each one is a field of experiment.Spec unless
// its usage says otherwise.
func runFlags() []cli.Flag {
	d := experiment.DefaultSpec()
	flags := loadFlags(d)
	flags = append(flags, requestFlags(d)...)
	flags = append(flags, ruleFlags()...)
	flags = append(flags, serverFlags(d)...)
	flags = append(flags, vllmFlags()...)
	return append(flags,
		&cli.StringFlag{Name: "name", Category: aboutRecord, Usage: "a `NAME` for the experiment"},
		&cli.StringSliceFlag{Name: "tag", Category: aboutRecord, Usage: "a `TAG` (may be repeated)"},
		&cli.StringFlag{Name: "message", Aliases: []string{"m"}, Category: aboutRecord, Usage: "`WHY` you make this run"},
		expectFlag(),
		&cli.BoolFlag{Name: "keep-text", Category: aboutRecord, Usage: "store prompts and answers (otherwise only their hashes)"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Category: aboutRecord, Usage: "do not ask before sending load to another machine"},
		jsonFlag(), dbFlag(),
	)
}

func loadFlags(d experiment.Spec) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "concurrency", Aliases: []string{"c"}, Category: aboutLoad, Usage: "closed loop: `LEVELS` of requests in flight, such as 1,2,4,8", DefaultText: "1"},
		&cli.StringFlag{Name: "rate", Aliases: []string{"r"}, Category: aboutLoad, Usage: "open loop: `LEVELS` of requests per second, such as 1,2,4, whether or not answers come"},
		&cli.StringFlag{Name: "arrival", Category: aboutLoad, Usage: "open loop: the `PROCESS`: constant, poisson, gamma:cv=3, onoff:on=2s,off=8s, ramp:from=1,to=20, steps:1x30s,5x30s, trace:scale=2", DefaultText: "poisson, where there is a --rate"},
		&cli.IntFlag{Name: "max-concurrency", Category: aboutLoad, Usage: "open loop: never more than `N` in flight; what that holds back is sent late, and counted"},
		&cli.IntFlag{Name: "requests", Aliases: []string{"n"}, Category: aboutLoad, Usage: "measure `N` requests per level", DefaultText: "30, unless --duration is given"},
		&cli.StringFlag{Name: "duration", Aliases: []string{"d"}, Category: aboutLoad, Usage: "measure each level for this `TIME`, such as 60s"},
		&cli.IntFlag{Name: "warmup", Category: aboutLoad, Usage: "closed loop: each worker sends `N` requests before it is measured; open loop: the first N arrivals are not measured", DefaultText: "1; open loop: a tenth of the requests"},
		&cli.IntFlag{Name: "repeat", Category: aboutLoad, Usage: "measure each level `N` times, in shuffled order", Value: d.Repeats},
		&cli.StringFlag{Name: "like", Category: aboutLoad, Usage: "repeat `EXPERIMENT`: its specification and its very schedules; other flags go over it"},
		&cli.Uint64Flag{Name: "seed", Category: aboutLoad, Usage: "`N` that fixes prompts, lengths, arrivals and order", Value: d.Seed},
	}
}

func requestFlags(d experiment.Spec) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "stream", Category: aboutRequests, Usage: "stream the answers, and so see TTFT and TPOT"},
		&cli.BoolFlag{Name: "no-stream", Category: aboutRequests, Usage: "do not stream, which is the default"},
		&cli.StringFlag{Name: "workload", Aliases: []string{"w"}, Category: aboutRequests, Usage: "a `PRESET` of lengths and arrivals, such as azure-chat; `inferbook workloads` lists them"},
		&cli.StringFlag{Name: "input-tokens", Category: aboutRequests, Usage: "prompt length: `N` tokens, or uniform:100-900, normal:500,100, lognormal:1155,1200, exponential:200, histogram:10*28,100*4", Value: d.InputTokens.String()},
		&cli.StringFlag{Name: "output-tokens", Category: aboutRequests, Usage: "answer length, `N` tokens or a distribution; sent as the limit", Value: d.OutputTokens.String()},
		&cli.Float64Flag{Name: "jitter", Category: aboutRequests, Usage: "spread of fixed lengths, ± this `SHARE`, so that requests do not all end together", Value: d.Jitter},
		&cli.StringFlag{Name: "prompt", Category: aboutRequests, Usage: "one fixed prompt `TEXT` instead of synthetic ones"},
		&cli.StringFlag{Name: "data", Category: aboutRequests, Usage: "take the requests from `FILE`: own JSONL, ShareGPT, Mooncake, Azure, BurstGPT or OpenAI batch"},
		&cli.StringFlag{Name: "data-format", Category: aboutRequests, Usage: "`FORMAT` of the file: jsonl, sharegpt, mooncake, azure, burstgpt, openai-batch", DefaultText: "auto: by its content"},
		&cli.StringFlag{Name: "prefix", Category: aboutRequests, Usage: "shared beginnings: `SPEC` such as share=0.8,tokens=1000,groups=20,zipf=1"},
		&cli.StringFlag{Name: "turns", Category: aboutRequests, Usage: "`N` requests a conversation, or a distribution; the prompt grows by the server's answers"},
		&cli.StringFlag{Name: "think-time", Category: aboutRequests, Usage: "`PAUSE` before the next request of a user: 5s, exponential:5s or uniform:1s-9s"},
		&cli.StringSliceFlag{Name: "class", Category: aboutRequests, Usage: "one kind of traffic, `SPEC` such as \"chat rate=2 input=500 output=200\" or \"offline concurrency=8 input=2000\" (may be repeated)"},
		&cli.StringFlag{Name: "models", Category: aboutRequests, Usage: "several models or adapters by weight, `LIST` such as base=3,lora-a=1"},
		&cli.StringFlag{Name: "endpoint", Category: aboutRequests, Usage: "`API` to use: chat, completions, responses or embeddings", Value: string(d.Endpoint)},
		&cli.Float64Flag{Name: "temperature", Category: aboutRequests, Usage: "sampling temperature `T`, sent as it is", Value: d.Temperature},
		&cli.BoolFlag{Name: "ignore-eos", Category: aboutRequests, Usage: "insist on answers of full length (default: asked for where the server knows how)"},
		&cli.BoolFlag{Name: "no-ignore-eos", Category: aboutRequests, Usage: "let the model end its answers where it wants"},
		&cli.StringFlag{Name: "max-tokens-field", Category: aboutRequests, Usage: "`NAME` of the answer limit: max_tokens, max_completion_tokens, or auto for the first that the server takes", Value: d.MaxTokensField},
		&cli.StringSliceFlag{Name: "extra", Category: aboutRequests, Usage: "a `FIELD=VALUE` put into each request body, such as top_k=1 (may be repeated)"},
	}
}

func ruleFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "slo", Category: aboutRules, Usage: "service level `OBJECTIVES` such as \"ttft.p95<500ms tpot.p95<40ms errors<1%\"; with no level given, search the largest that holds them"},
		&cli.StringFlag{Name: "search", Category: aboutRules, Usage: "`WHAT` to search over: rate or concurrency, with bounds as in rate=1-50", DefaultText: "rate, where --slo comes without a level"},
		&cli.IntFlag{Name: "search-points", Category: aboutRules, Usage: "measure at most `N` points in a search", Value: 12},
		&cli.StringFlag{Name: "until", Category: aboutRules, Usage: "end a level once a figure is known that well: `PRECISION` such as \"ttft.p95 ±5%\""},
		&cli.StringFlag{Name: "max-errors", Category: aboutRules, Usage: "end the run after `N` failed requests of a level, or a share such as 5%"},
		&cli.Float64Flag{Name: "max-cost", Category: aboutRules, Usage: "end the run before it has cost more `USD`, by --token-price or the recorded price of the hardware"},
		&cli.StringFlag{Name: "token-price", Category: aboutRules, Usage: "what the endpoint charges: `USD` per million input,output tokens, such as 0.15,0.60"},
		&cli.StringFlag{Name: "grace", Category: aboutRules, Usage: "wait at most this `TIME` for stragglers once sending has stopped", DefaultText: "until they end"},
		&cli.BoolFlag{Name: "keep-oversaturated", Category: aboutRules, Usage: "go on although requests pile up (otherwise the level ends there, and says so)"},
		&cli.StringFlag{Name: "timeout", Category: aboutRules, Usage: "longest `TIME` for one whole request", DefaultText: "15m0s"},
		&cli.StringFlag{Name: "first-byte-timeout", Category: aboutRules, Usage: "longest `TIME` until an answer begins", DefaultText: "2m0s"},
		&cli.StringFlag{Name: "idle-timeout", Category: aboutRules, Usage: "longest `TIME` without progress after that", DefaultText: "1m0s"},
	}
}

func serverFlags(d experiment.Spec) []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "base-url", Category: aboutServer, Usage: "the API's root `URL`, such as http://localhost:8000/v1; may be repeated, with =WEIGHT (default: $OPENAI_BASE_URL, else the simulated engine)"},
		&cli.StringFlag{Name: "api-key-file", Category: aboutServer, Usage: "read the key from `FILE` (default: $OPENAI_API_KEY); it is never stored"},
		&cli.StringFlag{Name: "key-header", Category: aboutServer, Usage: "send the key as header `NAME`, as Azure's api-key (default: Authorization: Bearer)"},
		&cli.StringSliceFlag{Name: "header", Category: aboutServer, Usage: "send a `\"NAME: VALUE\"` with each request (may be repeated); stored, so no secrets"},
		&cli.StringFlag{Name: "api-version", Category: aboutServer, Usage: "send the query api-version=`V`, as Azure asks"},
		&cli.StringFlag{Name: "dialect", Category: aboutServer, Usage: "what the server speaks: `NAME` such as vllm, sglang, trtllm, tgi, llama.cpp, ollama", DefaultText: "auto: the server is asked"},
		&cli.StringFlag{Name: "model", Category: aboutServer, Usage: "the model's `NAME` (default: the only one that the server lists)"},
		&cli.StringFlag{Name: "gpu", Category: aboutServer, Usage: "with the simulator: the `GPU` to simulate (default a10g); with an endpoint: the GPU you declare it has"},
		&cli.IntFlag{Name: "gpus", Category: aboutServer, Usage: "`N` GPUs serve the model together (simulator: tensor parallel)", Value: 1},
		&cli.StringFlag{Name: "runtime", Category: aboutServer, Usage: "the `RUNTIME` to simulate (vllm-like, sglang-like, trtllm-like, nim-like, hf-static; inferbook sim runtimes lists them), or that you declare"},
		&cli.StringFlag{Name: "precision", Category: aboutServer, Usage: "the `PRECISION` to simulate (bf16, fp8, nvfp4, int4, mxfp4; default: the model's own), or that you declare"},
		&cli.StringSliceFlag{Name: "sim", Category: aboutServer, Usage: "a setting of the simulated engine, `NAME=VALUE` (may be repeated): " + strings.Join(slices.Sorted(maps.Keys(sim.Options())), ", ")},
		&cli.StringFlag{Name: "profile", Category: aboutServer, Usage: "simulate with your own rows of GPUs, models, runtimes and fits: a `NAME` in the notebook, or a YAML file"},
		&cli.Float64Flag{Name: "accept-time-scale", Category: aboutServer, Usage: "measure a simulated engine whose clock is scaled by `K`, and record that (otherwise such a server is refused)"},
		&cli.BoolFlag{Name: "virtual", Category: aboutServer, Usage: "simulate in virtual time: no HTTP, no waiting"},
	}
}

// vllmFlags mean what they mean for `vllm bench serve`.
func vllmFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "num-prompts", Category: aboutVLLM, Usage: "--requests `N`"},
		&cli.StringFlag{Name: "request-rate", Category: aboutVLLM, Usage: "--rate `R`, Poisson; inf: all at once, or --max-concurrency as a closed loop"},
		&cli.Float64Flag{Name: "burstiness", Category: aboutVLLM, Usage: "--arrival gamma with CV = 1/√`B`; 1 = Poisson"},
		&cli.IntFlag{Name: "num-warmups", Category: aboutVLLM, Usage: "--warmup `N`"},
		&cli.IntFlag{Name: "random-input-len", Category: aboutVLLM, Usage: "--input-tokens `N`"},
		&cli.IntFlag{Name: "random-output-len", Category: aboutVLLM, Usage: "--output-tokens `N`"},
		&cli.Float64Flag{Name: "random-range-ratio", Category: aboutVLLM, Usage: "--jitter `SHARE`"},
		&cli.StringSliceFlag{Name: "goodput", Category: aboutVLLM, Usage: "`METRIC:MS` such as ttft:500 tpot:40 e2el:5000, as bounds of each request for goodput"},
		&cli.BoolFlag{Name: "save-result", Category: aboutVLLM, Usage: "write each level as the JSON that vllm bench serve writes"},
		&cli.BoolFlag{Name: "save-detailed", Category: aboutVLLM, Usage: "with each request in it"},
		&cli.StringFlag{Name: "result-dir", Category: aboutVLLM, Usage: "into `FOLDER`", DefaultText: "here"},
		&cli.StringFlag{Name: "result-filename", Category: aboutVLLM, Usage: "as `FILE`", DefaultText: "vLLM's own naming"},
		&cli.StringFlag{Name: "metric-percentiles", Category: aboutVLLM, Usage: "percentiles in that file, `LIST`", Value: "99"},
	}
}

// timeFlags are the flags that give a time, by the field they fill.
func timeFlags(s *experiment.Spec) map[string]*experiment.Duration {
	return map[string]*experiment.Duration{"duration": &s.Duration, "timeout": &s.TotalTimeout, "grace": &s.Grace,
		"first-byte-timeout": &s.FirstByteTimeout, "idle-timeout": &s.IdleTimeout}
}
