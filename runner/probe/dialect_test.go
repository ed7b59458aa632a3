package probe

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// Each server by what it answers, in the shapes of the servers' own sources and
// documentation.
func TestRecognise(t *testing.T) {
	for _, tt := range []struct {
		name             string
		server           answers
		dialect, version string
		context          int
	}{
		{"vLLM", answers{
			"/v1/models": `{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"vllm","root":"m","parent":null,"max_model_len":8192,"permission":[]}]}`,
			"/version":   `{"version":"0.11.0"}`,
		}, vllm, "0.11.0", 8192},
		// A gateway renames the owner; the length and the version stay.
		{"vLLM behind a gateway", answers{"/v1/models": `{"data":[{"id":"m","owned_by":"acme","max_model_len":4096}]}`, "/version": `{"version":"0.9"}`}, vllm, "0.9", 4096},
		{"SGLang, without an owner", answers{
			"/v1/models":   `{"data":[{"id":"m"}]}`,
			"/server_info": `{"model_path":"m","context_length":32768,"dtype":"auto","version":"0.5.4"}`,
		}, sglang, "0.5.4", 32768},
		{"trtllm-serve", answers{
			"/v1/models":   `{"object":"list","data":[{"id":"TinyLlama","object":"model","created":1,"owned_by":"tensorrt_llm"}]}`,
			"/version":     `{"version":"1.2.0"}`,
			"/server_info": `{"disaggregated_params":null}`,
		}, trtllm, "1.2.0", 0},
		// The engine inside NIM is vLLM and says so.
		{"NIM", answers{
			"/v1/models":  `{"object":"list","data":[{"id":"meta/llama-3.1-8b-instruct","object":"model","owned_by":"system","max_model_len":131072}]}`,
			"/v1/version": `{"release":"1.8.0","api":"1.0.0"}`,
			"/version":    `{"version":"0.7.3"}`,
		}, nim, "1.8.0", 131072},
		{"TGI", answers{
			"/v1/models": `{"object":"list","data":[{"id":"m","object":"model","created":0,"owned_by":"m"}]}`,
			"/info": `{"model_id":"m","model_sha":"abc","model_pipeline_tag":"text-generation","max_concurrent_requests":128,"max_best_of":2,"max_stop_sequences":4,` +
				`"max_input_tokens":4095,"max_total_tokens":4096,"validation_workers":2,"max_client_batch_size":4,"router":"text-generation-router","version":"3.3.4","sha":"s","docker_label":"sha-s"}`,
		}, tgi, "3.3.4", 4096},
		// Its sister for embeddings answers the same path in another shape.
		{"text-embeddings-inference", answers{
			"/v1/models": `{"data":[{"id":"m"}]}`,
			"/info":      `{"model_id":"m","model_type":{"embedding":{"pooling":"cls"}},"max_input_length":512,"max_batch_tokens":16384,"version":"1.8.0"}`,
		}, generic, "", 0},
		{"llama.cpp", answers{
			"/v1/models": `{"models":[{"name":"q.gguf"}],"object":"list","data":[{"id":"q.gguf","object":"model","owned_by":"llamacpp","meta":{"n_ctx_train":131072}}]}`,
			"/props":     `{"default_generation_settings":{"id":0,"n_ctx":4096},"total_slots":4,"model_path":"q.gguf","build_info":"b6730-e60f01d94"}`,
		}, llamaCPP, "b6730-e60f01d94", 4096},
		{"Ollama", answers{"/v1/models": `{"object":"list","data":[{"id":"a:latest","object":"model","created":1,"owned_by":"library"}]}`, "/api/version": `{"version":"0.17.4"}`}, ollama, "0.17.4", 0},
		{"transformers serve", answers{
			"/v1/models":    `{"object":"list","data":[{"owned_by":"Qwen","id":"Qwen/Qwen3-0.6B","object":"model","created":1}]}`,
			"/openapi.json": `{"openapi":"3.1.0","info":{"title":"FastAPI","version":"0.1.0"},"paths":{"/v1/chat/completions":{"post":{}},"/v1/responses":{"post":{}},"/v1/models":{"options":{},"get":{}},"/health":{"get":{}}}}`,
		}, hf, "", 0},
		// Any server may be written with FastAPI.
		{"another FastAPI server", answers{
			"/v1/models":    `{"data":[{"id":"m"}]}`,
			"/openapi.json": `{"info":{"title":"FastAPI","version":"0.1.0"},"paths":{"/v1/chat/completions":{"post":{}},"/v1/models":{"get":{}}}}`,
		}, generic, "", 0},
		{"nothing known", answers{"/v1/models": `{"data":[{"id":"m","owned_by":"acme"}]}`}, generic, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.server)
			defer server.Close()
			info, err := Target(t.Context(), server.URL+"/v1", "")
			if err != nil || len(info.Warnings) > 0 {
				t.Fatal(err, info.Warnings)
			}
			version := strings.TrimPrefix(facts(info.Facts)["runtime.version"], "detected ")
			if info.Dialect != tt.dialect || info.MaxModelLen != tt.context || tt.version != "" && version != tt.version {
				t.Errorf("%s %s with a context of %d, want %s %s with %d", info.Dialect, version, info.MaxModelLen, tt.dialect, tt.version, tt.context)
			}
		})
	}
}

// Hosted services are told by their address.
func TestHosted(t *testing.T) {
	for _, tt := range []struct {
		address string
		header  http.Header
		want    string
	}{
		{"https://me.openai.azure.com/openai/deployments/gpt-4o", nil, azure},
		{"https://me.openai.azure.com/openai/v1", nil, azure},
		{"https://me.services.ai.azure.com/models", nil, azure},
		{"https://gateway.example/azure/openai/deployments/d", nil, azure},
		{"https://dbc-1.cloud.databricks.com/serving-endpoints", nil, databricks},
		{"https://adb-1.2.azuredatabricks.net/serving-endpoints", nil, databricks},
		{"https://api.openai.com/v1", nil, openAI},
		{"https://eu.api.openai.com/v1", nil, openAI},
		{"https://gateway.example/v1", http.Header{"Openai-Version": {"2020-10-01"}}, openAI},
		// A name that only ends alike is another one.
		{"https://notapi.openai.com.example/v1", nil, ""},
		{"https://evilapi.openai.com.test/v1", nil, ""},
		{"http://127.0.0.1:8000/v1", nil, ""},
	} {
		base, err := url.Parse(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := hosted(base, tt.header); got != tt.want {
			t.Errorf("%s is %q, want %q", tt.address, got, tt.want)
		}
	}
}

// A server gets the key where it looks for it, and nowhere else.
func TestAskAzure(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Api-Key") != "k" || r.Header.Get("Authorization") != "" || r.URL.Query().Get("api-version") != "2024-10-21" || r.Header.Get("X-Team") != "t" {
			t.Errorf("%s with %v", r.URL, r.Header)
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	info, err := Server{
		BaseURL: server.URL + "/openai/deployments/gpt", Key: "k", KeyHeader: "api-key", APIVersion: "2024-10-21", Headers: map[string]string{"X-Team": "t"},
	}.Ask(t.Context())
	// Azure lists no models there, so that is nothing to warn of.
	if err != nil || info.Dialect != azure || len(info.Warnings) > 0 {
		t.Errorf("%s, %v, %q", info.Dialect, err, info.Warnings)
	}
}

// Whatever JSON a server answers with, it is one of the dialects.
func FuzzRecognise(f *testing.F) {
	f.Add(`{"data":[{"id":"m","owned_by":"vllm","max_model_len":1e99}]}`, `{"version":"1"}`, uint8(0))
	f.Add(`{"data":{"0":{"owned_by":3}}}`, `{"max_total_tokens":[],"model_id":{}}`, uint8(5))
	f.Add(`[]`, `{"default_generation_settings":null}`, uint8(2))
	f.Add(`{"data":[[]]}`, `{"paths":{"/v1/models":{"options":1}}}`, uint8(7))
	f.Fuzz(func(t *testing.T, models, body string, path uint8) {
		read := func(s string) answer {
			if !gjson.Valid(s) {
				return answer{err: errNotJSON}
			}
			return answer{json: gjson.Parse(s)}
		}
		id := recognise(read(models), map[string]answer{paths[int(path)%len(paths)]: read(body)})
		info := TargetInfo{Dialect: generic}
		info.take(id)
		info.addConfig(id.config, "")
		if !slices.Contains(Dialects(), info.Dialect) || info.MaxModelLen < 0 {
			t.Errorf("dialect %q, context %d", info.Dialect, info.MaxModelLen)
		}
	})
}
