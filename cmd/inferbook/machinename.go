package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// gpuNames are the names that drivers and people give GPUs, as patterns over
// lower-case words joined by "-". What could be two GPUs with different memory is in none of them.
var gpuNames = []struct {
	name *regexp.Regexp
	row  string
	as   string // what had to be assumed
}{
	{regexp.MustCompile(`^a10g$`), "a10g", ""},
	{regexp.MustCompile(`^l4$`), "l4", ""},
	{regexp.MustCompile(`^(geforce-)?rtx-?4090$`), "rtx-4090", ""},
	{regexp.MustCompile(`^a40$`), "a40", ""},
	{regexp.MustCompile(`^l40s$`), "l40s", ""},
	{regexp.MustCompile(`^a100-(sxm4-|pcie-|sxm-)?40-?gb(-sxm|-pcie)?$`), "a100-40", ""},
	{regexp.MustCompile(`^a100-(sxm4?-80-?gb|80-?gb-sxm4?)$`), "a100-80-sxm", ""},
	{regexp.MustCompile(`^a100-80-?gb$`), "a100-80-sxm", " (with SXM; a PCIe card has 5 % less bandwidth)"},
	{regexp.MustCompile(`^h100-(80-?gb-)?pcie(-80-?gb)?$`), "h100-pcie", ""},
	{regexp.MustCompile(`^h100-((80-?gb-)?hbm3|(80-?gb-)?sxm5?(-80-?gb)?)$`), "h100-sxm", ""},
	{regexp.MustCompile(`^h200(-sxm5?)?(-141-?gb)?(-sxm5?)?$`), "h200-sxm", ""},
	{regexp.MustCompile(`^b200(-sxm)?(-1(80|83|92)-?gb)?$`), "b200-sxm", ""},
	{regexp.MustCompile(`^b300(-sxm6?)?(-ac)?$`), "b300-sxm", ""},
	{regexp.MustCompile(`^gb200(-nvl72)?$`), "gb200", ""},
	{regexp.MustCompile(`^rtx-pro-6000(-blackwell)?(-server)?(-edition)?$`), "rtx-pro-6000", ""},
	{regexp.MustCompile(`^(instinct-)?mi300x(-oam|-vf)?$`), "mi300x", ""},
}

// modelNames are the names that models are published and served under, as patterns over
// lower-case words joined by "-". Models of one architecture share a row: Llama 3, 3.1 and
// 3.3 of one size, and what was distilled into them.
var modelNames = []struct {
	name *regexp.Regexp
	row  string
}{
	{regexp.MustCompile(`\bllama-?3(\.1)?-(.*-)?8b\b|\bdistill-llama-8b\b`), "llama-3.1-8b"},
	{regexp.MustCompile(`\bllama-?3(\.[13])?-(.*-)?70b\b|\bdistill-llama-70b\b`), "llama-3.1-70b"},
	{regexp.MustCompile(`\bllama-?3\.1-405b\b`), "llama-3.1-405b"},
	{regexp.MustCompile(`\bllama-?2-7b\b`), "llama-2-7b"},
	{regexp.MustCompile(`\bllama-?2-70b\b`), "llama-2-70b"},
	{regexp.MustCompile(`\bqwen-?3-8b\b`), "qwen3-8b"},
	{regexp.MustCompile(`\bqwen-?3-32b\b`), "qwen3-32b"},
	{regexp.MustCompile(`\bqwen-?3-(coder-)?30b-a3b\b`), "qwen3-30b-a3b"},
	{regexp.MustCompile(`\bqwen-?3-235b-a22b\b`), "qwen3-235b-a22b"},
	{regexp.MustCompile(`\bgpt-oss-?20b\b`), "gpt-oss-20b"},
	{regexp.MustCompile(`\bgpt-oss-?120b\b`), "gpt-oss-120b"},
	{regexp.MustCompile(`\bmixtral-8x7b\b`), "mixtral-8x7b"},
	{regexp.MustCompile(`\bdeepseek-(v3(\.1)?|r1)(-[0-9]{4}|-base|-terminus)?(-fp8|-fp4|-nvfp4|-awq)?$`), "deepseek-v3"},
	{regexp.MustCompile(`\bmpt-7b\b`), "mpt-7b"},
}

// otherModels marks models that share a name with one of the catalogue and are more than it.
var otherModels = regexp.MustCompile(`\b(vl|vision|omni|embedding|reranker|eagle3?|draft|speculator)\b`)

var notWord = regexp.MustCompile(`[^a-z0-9.]+`)

// hyphened writes a name in lower case with "-" between its words.
func hyphened(name string) string {
	return strings.Trim(notWord.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// gpuNamed finds a GPU by the name that a driver or a person gives it; as says what had to
// be assumed.
func gpuNamed(c *sim.Catalogue, name string) (gpu sim.GPU, as string, ok bool) {
	plain := strings.TrimPrefix(strings.TrimPrefix(hyphened(name), "nvidia-"), "amd-")
	row := plain
	for _, g := range gpuNames {
		if g.name.MatchString(plain) {
			row, as = g.row, g.as
			break
		}
	}
	i := slices.IndexFunc(c.GPUs, func(g sim.GPU) bool { return g.Name == row })
	if i < 0 {
		return gpu, "", false
	}
	return c.GPUs[i], as, true
}

// modelNamed finds a model by the name that it is served under.
func modelNamed(c *sim.Catalogue, name string) (model sim.Model, ok bool) {
	plain := hyphened(name)
	row := plain
	for _, m := range modelNames {
		if m.name.MatchString(plain) && !otherModels.MatchString(plain) {
			row = m.row
			break
		}
	}
	i := slices.IndexFunc(c.Models, func(m sim.Model) bool { return m.Name == row })
	if i < 0 {
		return model, false
	}
	return c.Models[i], true
}

// precisions are what servers, people and published names call the precision of weights;
// the first that matches counts. An empty one is a precision without figures here.
var precisions = []struct {
	name      *regexp.Regexp
	precision string
}{
	{regexp.MustCompile(`gguf|\bi?q[2-8](\b|-)|bitsandbytes|\bbnb\b|int8|w8a8$|w8a16|8bit|fp6|2bit|3bit`), ""},
	{regexp.MustCompile(`nvfp4|modelopt-fp4|\bfp4\b`), "nvfp4"},
	{regexp.MustCompile(`mxfp4`), "mxfp4"},
	{regexp.MustCompile(`fp8|float8|w8a8-fp8`), "fp8"},
	{regexp.MustCompile(`awq|gptq|int4|w4a16|4bit|marlin`), "int4"},
	{regexp.MustCompile(`bf16|bfloat16|fp16|float16|\bhalf\b`), "bf16"},
}

// precisionNamed finds a precision in a text; named says that it has one, also one without figures.
func precisionNamed(text string) (precision string, named bool) {
	for _, p := range precisions {
		if p.name.MatchString(hyphened(text)) {
			return p.precision, true
		}
	}
	return "", false
}

// precisionOf is that of the weights, and how it is known: what a person or the server says, else the
// model's name, else what the model is published in. A server that reads a quantised model may say the type that it
// computes in, so that a name with fewer bits counts before it. Ollama and llama.cpp quantise unasked, so there nothing is
// assumed.
func precisionOf(env experiment.Environment, model sim.Model) (precision, why string, ok bool) {
	fact, name := env.Get(experiment.KeyPrecision), env.Get(experiment.KeyModel).Value
	said, known := precisionNamed(fact.Value)
	inName, named := precisionNamed(name)
	switch runtime := env.Get(experiment.KeyRuntime).Value; {
	case known && fact.Source == experiment.Declared:
		return said, "in " + said + ", as declared", said != ""
	case named && (!known || said == "bf16"):
		return inName, "in " + inName + ", by the model's name", inName != ""
	case known:
		return said, "in " + said + ", as the server says", said != ""
	case fact.Source != experiment.UnknownValue, runtime == "ollama", runtime == "llama.cpp", runtime == "llamacpp":
		return "", "", false
	}
	native := model.Native
	if native == "" {
		native = "bf16"
	}
	return native, "taken to be in " + native + ", as the model is published", true
}
