package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/probe"
	"github.com/inferbook/inferbook/runner/sim"
)

// memoryShare is the share of a GPU's memory that servers give to weights, keys and
// values where nothing else is known: the default of vLLM and of TensorRT-LLM.
const memoryShare = 0.9

// machineOf gives the hardware and the model behind an experiment by its facts, with
// the figures of the simulator's catalogue. It is nil where one of GPU, number of GPUs, model and precision
// is not known, is none that the catalogue has, or could be several of it; where the experiment varies its
// model; and where the clock was scaled, so that no time can be held against a data sheet.
func machineOf(e *experiment.Experiment) *analysis.Machine {
	if len(e.Spec.Matrix["model"]) > 0 || len(e.Spec.Matrix["models"]) > 0 || len(e.Spec.Models) > 1 || e.Environment.Scaled() != "" {
		return nil
	}
	if e.Environment.Simulated() {
		return simulatedMachine(e)
	}
	return realMachine(e)
}

// simulatedMachine is the deployment that the experiment was simulated on. The figures are exact: they
// are the ones that the engine computes with.
func simulatedMachine(e *experiment.Experiment) *analysis.Machine {
	env := e.Environment
	replicas := 1
	if n, err := strconv.Atoi(strings.TrimSuffix(strings.Fields(env.Get("simulator.replicas").Value + " ")[0], ",")); err == nil {
		replicas = max(1, n)
	}
	var d sim.Deployment
	var err error
	if e.Spec.Simulator != nil {
		d, err = deploymentOf(e.Spec)
	} else { // a simulated server that stood by itself
		count, _ := number(env, experiment.KeyGPUCount)
		d, err = sim.Config{GPU: env.Get(experiment.KeyGPUModel).Value, Count: int(count) / replicas, Model: env.Get(experiment.KeyModel).Value,
			Runtime: env.Get(experiment.KeyRuntime).Value, Precision: env.Get(experiment.KeyPrecision).Value}.Resolve()
	}
	if err != nil {
		return nil
	}
	m := newMachine(d.GPU, d.Count, d.Model, d.Precision, d.KVPrecision)
	m.Replicas, m.MemoryShare = replicas, d.MemoryUtilization
	m.KVTokens, m.MaxSequences = float64(d.KVTokens), float64(d.MaxSeqs)
	if n, ok := number(env, "simulator.kv_tokens"); ok {
		m.KVTokens = n
	}
	if n, ok := number(env, "simulator.max_seqs"); ok {
		m.MaxSequences = n
	}
	m.Source = fmt.Sprintf("The figures are those of the simulated deployment: %s on %d× %s, weights in %s, keys and values in %s, room for %s tokens of them and for %s sequences.",
		d.Model.Name, d.Count, d.GPU.Name, d.Precision, d.KVPrecision, thousands(int64(m.KVTokens)), thousands(int64(m.MaxSequences)))
	return m
}

// realMachine matches what a server and a person said with the catalogue.
func realMachine(e *experiment.Experiment) *analysis.Machine {
	env, catalogue := e.Environment, sim.Builtin()
	gpuFact, modelFact := env.Get(experiment.KeyGPUModel), env.Get(experiment.KeyModel)
	gpu, gpuAs, ok := gpuNamed(catalogue, gpuFact.Value)
	if !ok {
		return nil
	}
	count, ok := number(env, experiment.KeyGPUCount)
	if !ok {
		return nil
	}
	model, ok := modelNamed(catalogue, modelFact.Value)
	if !ok {
		return nil
	}
	precision, why, ok := precisionOf(env, model)
	if !ok {
		return nil
	}
	says := sayingsOf(env)
	kv, kvWhy := says.kvPrecision(env, precision)
	m := newMachine(gpu, int(count), model, precision, kv)
	m.Replicas = max(1, len(e.Spec.Replicas))
	m.KVTokens, m.MaxSequences = aboveZero(says.KVTokens), aboveZero(says.MaxSequences)
	share := fmt.Sprintf("%g of the memory is taken to be for weights, keys and values, as servers do by default", memoryShare)
	if says.MemoryShare > 0 && says.MemoryShare <= 1 {
		m.MemoryShare = says.MemoryShare
		share = fmt.Sprintf("%g of the memory is for weights, keys and values, as the server says", says.MemoryShare)
	}
	if says.KVTokens > 0 {
		share = fmt.Sprintf("the server says that it has room for %s tokens of keys and values", thousands(int64(says.KVTokens)))
	}
	together := ""
	if count > 1 {
		together = fmt.Sprintf(" All %g GPUs are taken to share the model.", count)
	}
	m.Source = fmt.Sprintf("The GPU %q is taken for %s%s, the model %q for %s, of the simulator's catalogue.%s Weights are %s; keys and values are %s; %s.",
		gpuFact.Value, gpu.Title, gpuAs, modelFact.Value, model.Title, together, why, kvWhy, share)
	return m
}

// newMachine has the data sheets' figures for a number of GPUs that share a model.
//
// A token's step reads all weights that it meets, and of the embedding one row, so the
// embedding is not in what is read. Where GPUs outnumber the heads of keys and values, or the vectors
// are compressed ones, several hold copies, which take memory and bandwidth of each.
func newMachine(gpu sim.GPU, count int, model sim.Model, precision, kvPrecision string) *analysis.Machine {
	n := float64(count)
	attention, block := bytesOf(precision)
	embedding := 2 * float64(model.Hidden) * float64(model.Vocabulary)
	active := model
	active.Experts.Count = model.Experts.Active
	routers := 2 * float64(model.Layers-model.Experts.DenseLayers) * float64(model.Hidden) * float64(model.Experts.Count-model.Experts.Active)
	value, holders := 2, min(count, model.KVHeads)
	if kvPrecision == "fp8" {
		value = 1
	}
	if model.Latent != (sim.Latent{}) {
		holders = 1
	}
	return &analysis.Machine{
		GPU: gpu.Name, GPUs: count, Replicas: 1,
		Bandwidth: n * gpu.BandwidthTBs * 1e12, Peak: n * peakOf(gpu, precision) * 1e12, Memory: n * gpu.MemoryGB * 1e9,
		Model: model.Name, Parameters: model.Parameters(), Active: model.ActiveParameters(),
		WeightBytes: model.WeightBytes(attention, block), ActiveBytes: active.WeightBytes(attention, block) + routers - embedding,
		KVPerToken: float64(model.KVBytes(value)) * n / float64(holders), MemoryShare: memoryShare,
		KVTokens: math.NaN(), MaxSequences: math.NaN(),
	}
}

// bytesOf gives the bytes of a weight of attention and of one of the other blocks, with
// the scales of those in 4 bits: 8 bits for 16 weights in NVFP4, for 32 in MXFP4, 16 bits for 128 else.
func bytesOf(precision string) (attention, block float64) {
	switch precision {
	case "fp8":
		return 1, 1
	case "nvfp4":
		return 0.5625, 0.5625
	case "int4":
		return 0.53, 0.53
	case "mxfp4":
		return 2, 0.53
	}
	return 2, 2
}

// peakOf is the dense peak in TFLOP/s at which weights of a precision are multiplied;
// NaN where the GPU has no such figure. Weights in INT4 and MXFP4 are widened to 16 bits first.
func peakOf(gpu sim.GPU, precision string) float64 {
	peak := gpu.BF16
	switch precision {
	case "fp8":
		peak = gpu.FP8
	case "nvfp4":
		peak = gpu.FP4
	}
	return aboveZero(peak)
}

// sayings are what a server's own configuration says about memory, under SGLang's
// names; 0 = nothing.
type sayings struct {
	KVCacheDtype string  `json:"kv_cache_dtype"`
	MemoryShare  float64 `json:"mem_fraction_static"`
	KVTokens     float64 `json:"max_total_num_tokens"`
	MaxSequences float64 `json:"max_running_requests"`
}

func sayingsOf(env experiment.Environment) sayings {
	var s sayings
	if f := env.Get(probe.KeyServerConfig); f.Source != experiment.UnknownValue {
		if json.Unmarshal([]byte(f.Value), &s) != nil { // a configuration of another shape says nothing here
			return sayings{}
		}
	}
	return s
}

// kvPrecision is that of keys and values, and how it is known. Servers keep them in 16
// bits unless told otherwise; those of NVIDIA keep them in 8 for weights in 8.
func (s sayings) kvPrecision(env experiment.Environment, precision string) (kv, why string) {
	dtype := strings.ToLower(s.KVCacheDtype)
	runtime := strings.ToLower(env.Get(experiment.KeyRuntime).Value)
	switch nvidia := strings.Contains(runtime, "nim") || strings.Contains(runtime, "trt") || strings.Contains(runtime, "tensorrt"); {
	case strings.HasPrefix(dtype, "fp8"):
		return "fp8", "in fp8, as the server says"
	case nvidia && (precision == "fp8" || precision == "nvfp4"):
		return "fp8", "taken to be in fp8, as " + cmp.Or(runtime, "the runtime") + " has them for such weights"
	case dtype != "" && dtype != "auto":
		return "bf16", "in 16 bits, as the server says"
	}
	return "bf16", "taken to be in 16 bits, the default of most servers"
}

// number gives a fact that is a number above 0.
func number(env experiment.Environment, key string) (float64, bool) {
	n, err := strconv.ParseFloat(env.Get(key).Value, 64)
	return n, err == nil && n > 0
}

// aboveZero gives a figure, NaN for one that is not known.
func aboveZero(x float64) float64 {
	if x > 0 {
		return x
	}
	return math.NaN()
}
