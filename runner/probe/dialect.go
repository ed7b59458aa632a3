package probe

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// Where runtimes say what they are, under the server's root.
const (
	pathVersion    = "/version"         // vLLM
	pathOllama     = "/api/version"     // Ollama
	pathProps      = "/props"           // llama.cpp
	pathServerInfo = "/server_info"     // SGLang; vLLM in its development mode
	pathServerOld  = "/get_server_info" // SGLang's older name for it
)

var paths = []string{pathVersion, pathOllama, pathProps, pathServerInfo, pathServerOld}

// Names of the runtimes that are recognised.
const (
	ollama   = "ollama"
	vllm     = "vllm"
	sglang   = "sglang"
	llamaCPP = "llama.cpp"
)

// identity is what a server turned out to be; empty fields are unknown.
type identity struct {
	runtime, version, maxModelLen, precision string
	config                                   gjson.Result
}

func (id identity) facts() []experiment.Fact {
	facts := []experiment.Fact{
		detected(experiment.KeyRuntime, id.runtime),
		detected(experiment.KeyRuntimeVersion, id.version),
	}
	if id.maxModelLen != "" {
		facts = append(facts, detected(experiment.KeyMaxModelLen, id.maxModelLen))
	}
	if id.precision != "" {
		facts = append(facts, detected(experiment.KeyPrecision, id.precision))
	}
	return facts
}

// recognise tells a runtime by what only it says: the owner of its models, or the
// shape of the answer at a path of its own. A path alone proves nothing, since
// some servers answer every path.
func recognise(models answer, at map[string]answer) identity {
	first := models.json.Get("data.0")
	owner := first.Get("owned_by").String()
	info := at[pathServerInfo].json
	if !info.IsObject() {
		info = at[pathServerOld].json
	}
	props := at[pathProps].json
	var id identity
	switch {
	case owner == sglang || owner == "" && info.Get("model_path").Exists():
		id = identity{runtime: sglang, version: info.Get("version").String(), config: info}
		id.maxModelLen = first.Get("max_model_len").Raw
		if id.maxModelLen == "" {
			id.maxModelLen = number(info.Get("context_length"))
		}
		id.precision = known(info.Get("quantization"), info.Get("dtype"))
	case owner == "llamacpp" || props.Get("default_generation_settings").Exists():
		id = identity{runtime: llamaCPP, version: props.Get("build_info").String(), config: props}
		id.maxModelLen = number(props.Get("default_generation_settings.n_ctx"))
	case at[pathOllama].json.Get("version").Exists():
		id = identity{runtime: ollama, version: at[pathOllama].json.Get("version").String()}
	case owner == vllm || at[pathVersion].json.Get("version").Exists() && first.Get("max_model_len").Exists():
		id = identity{runtime: vllm, version: at[pathVersion].json.Get("version").String(), config: info}
		id.maxModelLen = number(first.Get("max_model_len"))
	}
	if id.version == "0.0.0" { // a build that nobody stamped
		id.version = ""
	}
	return id
}

// number gives a JSON number above 0 as it is written; empty for anything else.
func number(r gjson.Result) string {
	if r.Type != gjson.Number || r.Num <= 0 {
		return ""
	}
	return r.Raw
}

// known gives the first of several texts that says something.
func known(options ...gjson.Result) string {
	for _, o := range options {
		if s := o.String(); s != "" && s != "auto" {
			return s
		}
	}
	return ""
}

// Simulator gives the facts of a simulated deployment. The hardware, the runtime
// and the model are all of them simulated, and say so.
func Simulator(d sim.Deployment) []experiment.Fact {
	var facts []experiment.Fact
	for _, f := range []struct{ key, value string }{
		{experiment.KeyGPUCount, strconv.Itoa(d.Count)},
		{experiment.KeyGPUModel, d.GPU.Name},
		{experiment.KeyMaxModelLen, strconv.Itoa(d.MaxModelLen)},
		{experiment.KeyModel, d.Model.Name},
		{experiment.KeyPrecision, d.Precision},
		{experiment.KeyRuntime, d.Runtime.Name},
		{experiment.KeyRuntimeVersion, "simulation model " + sim.Version()},
		{experiment.KeyCalibration, d.Calibration},
		{KeySimulatorProfile, d.Profile()},
	} {
		facts = append(facts, experiment.Fact{Key: f.key, Value: f.value, Source: experiment.Simulated})
	}
	return facts
}
