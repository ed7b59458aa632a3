package probe

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// Where runtimes say what they are, under the server's root.
const (
	pathVersion    = "/version"         // vLLM, TensorRT-LLM
	pathOllama     = "/api/version"     // Ollama
	pathProps      = "/props"           // llama.cpp
	pathServerInfo = "/server_info"     // SGLang; vLLM in its development mode
	pathServerOld  = "/get_server_info" // SGLang's older name for it
	pathInfo       = "/info"            // TGI
	pathNIM        = "/v1/version"      // NIM
	pathOpenAPI    = "/openapi.json"    // transformers serve, which has no path of its own
)

var paths = []string{pathVersion, pathOllama, pathProps, pathServerInfo, pathServerOld, pathInfo, pathNIM, pathOpenAPI}

// Names of the dialects that are recognised.
const (
	vllm       = "vllm"
	sglang     = "sglang"
	trtllm     = "trtllm" // trtllm-serve
	nim        = "nim"
	tgi        = "tgi"
	llamaCPP   = "llama.cpp"
	ollama     = "ollama"
	hf         = "hf" // transformers serve
	databricks = "databricks"
	azure      = "azure"
	openAI     = "openai"
	generic    = "generic" // none of them
)

// Dialects lists the names that [TargetInfo.Dialect] may have.
func Dialects() []string {
	return []string{vllm, sglang, trtllm, nim, tgi, llamaCPP, ollama, hf, databricks, azure, openAI, generic}
}

// hosted tells a hosted service by its address, which is the one thing that it
// does not hide behind its API, or by OpenAI's own header; empty = it is none.
func hosted(base *url.URL, header http.Header) string {
	host := strings.ToLower(base.Hostname())
	within := func(domains ...string) bool {
		return slices.ContainsFunc(domains, func(d string) bool { return strings.HasSuffix("."+host, "."+d) })
	}
	switch {
	case within("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com") || strings.Contains(base.Path, "/openai/deployments/"):
		return azure
	case within("databricks.com", "azuredatabricks.net") || strings.HasSuffix(base.Path, "/serving-endpoints"):
		return databricks
	case within("api.openai.com") || header.Get("Openai-Version") != "":
		return openAI
	}
	return ""
}

// identity is what a server turned out to be; empty fields are unknown.
type identity struct {
	dialect, version, maxModelLen, precision string
	config                                   gjson.Result
}

// runtime is the dialect's name as that of a program.
func (id identity) runtime() string {
	if id.dialect == hf {
		return "transformers"
	}
	return id.dialect
}

func (id identity) facts() []experiment.Fact {
	facts := []experiment.Fact{
		detected(experiment.KeyRuntime, id.runtime()),
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
	props, tgiInfo := at[pathProps].json, at[pathInfo].json
	version := at[pathVersion].json.Get("version").String()
	nimVersion, openAPI := at[pathNIM].json, at[pathOpenAPI].json
	var id identity
	switch {
	case owner == sglang || owner == "" && info.Get("model_path").Exists():
		id = identity{dialect: sglang, version: info.Get("version").String(), config: info}
		id.maxModelLen = number(first.Get("max_model_len"))
		if id.maxModelLen == "" {
			id.maxModelLen = number(info.Get("context_length"))
		}
		id.precision = known(info.Get("quantization"), info.Get("dtype"))
	case owner == "llamacpp" || props.Get("default_generation_settings").Exists():
		id = identity{dialect: llamaCPP, version: props.Get("build_info").String(), config: props}
		id.maxModelLen = number(props.Get("default_generation_settings.n_ctx"))
	case tgiInfo.Get("max_total_tokens").Exists() && tgiInfo.Get("model_id").Exists():
		id = identity{dialect: tgi, version: tgiInfo.Get("version").String(), config: tgiInfo}
		id.maxModelLen = number(tgiInfo.Get("max_total_tokens"))
		id.precision = known(tgiInfo.Get("model_dtype"))
	case at[pathOllama].json.Get("version").Exists():
		id = identity{dialect: ollama, version: at[pathOllama].json.Get("version").String()}
	// NIM answers as the engine inside does, and at a path of its own besides.
	case nimVersion.Get("release").Exists() && nimVersion.Get("api").Exists():
		id = identity{dialect: nim, version: nimVersion.Get("release").String(), maxModelLen: number(first.Get("max_model_len"))}
	case owner == "tensorrt_llm":
		id = identity{dialect: trtllm, version: version, maxModelLen: number(first.Get("max_model_len"))}
	case owner == vllm || version != "" && first.Get("max_model_len").Exists():
		id = identity{dialect: vllm, version: version, config: info}
		id.maxModelLen = number(first.Get("max_model_len"))
	// Of all these only transformers serve documents OPTIONS for its models.
	case openAPI.Get("paths./v1/models.options").Exists() && openAPI.Get("paths./v1/chat/completions").Exists():
		id = identity{dialect: hf}
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
		{experiment.KeyGPUCount, strconv.Itoa(d.Count * max(1, d.Replicas))}, // all that are paid for
		{experiment.KeyGPUModel, d.GPU.Name},
		{experiment.KeyMaxModelLen, strconv.Itoa(d.MaxModelLen)},
		{experiment.KeyModel, d.Model.Name},
		{experiment.KeyPrecision, d.Precision},
		{experiment.KeyRuntime, d.Runtime.Name},
		{experiment.KeyRuntimeVersion, "simulation model " + sim.Version()},
		{experiment.KeyCalibration, d.Calibration},
		{KeySimulatorProfile, d.Profile()},
		{"simulator.fit", cmp.Or(d.Fit, "none")},
		{"simulator.kv_tokens", strconv.Itoa(d.KVTokens)},
		{"simulator.max_seqs", strconv.Itoa(d.MaxSeqs)},
		{"simulator.token_budget", strconv.Itoa(d.TokenBudget)},
		{"simulator.prefix_caching", strconv.FormatBool(d.PrefixCaching)},
		{"simulator.replicas", replicas(d)},
		{"simulator.speculation", speculation(d.Speculation)},
	} {
		facts = append(facts, experiment.Fact{Key: f.key, Value: f.value, Source: experiment.Simulated})
	}
	return facts
}

func replicas(d sim.Deployment) string {
	if d.Replicas < 2 {
		return "1"
	}
	return fmt.Sprintf("%d, %s", d.Replicas, d.Router)
}

func speculation(s sim.Speculation) string {
	if s.Tokens == 0 {
		return "off"
	}
	return fmt.Sprintf("%d draft tokens, %g accepted, draft model %g of the weights", s.Tokens, s.Acceptance, s.DraftShare)
}
