package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxBody is more than the text of the longest context.
const maxBody = 8 << 20

// Handler serves the API. It may be used before Start, and then refuses requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, kind := range map[string]api{"chat/completions": chat, "completions": completion, "responses": responses, "embeddings": embeddings} {
		mux.HandleFunc("POST /v1/"+path, func(w http.ResponseWriter, r *http.Request) { s.generate(w, r, kind) })
	}
	mux.HandleFunc("POST /tokenize", s.tokenize)
	mux.HandleFunc("GET /v1/models", s.models)
	mux.HandleFunc("GET /version", s.version)
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /metrics", s.exposition)
	mux.HandleFunc("GET /sim/config", s.config)
	mux.HandleFunc("GET /sim/pace", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.Pace()) })
	mux.HandleFunc("POST /sim/pace", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.forgetPace()) })
	mux.HandleFunc("GET /sim/steps", s.steps)
	mux.HandleFunc("GET /sim/requests/{id}", s.request)
	scale := strconv.FormatFloat(s.pace.scale, 'g', -1, 64)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Inferbook-Simulated", "true")
		w.Header().Set("X-Inferbook-Time-Scale", scale)
		mux.ServeHTTP(w, r)
	})
}

// generate answers the interfaces that the engine works for.
func (s *Server) generate(w http.ResponseWriter, r *http.Request, kind api) {
	if _, running := s.now(); !running {
		refuse(w, notRunning())
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	of := digest(body)
	t, err := s.troubles(r, of)
	if err != nil {
		refuse(w, err)
		return
	}
	now, running := s.now() // reading may have taken its time
	if !running {
		refuse(w, notRunning())
		return
	}
	if no := t.refused(now); no != nil {
		refuse(w, no)
		return
	}
	g, err := s.parse(kind, body, t.truncate)
	if err != nil {
		refuse(w, err)
		return
	}
	if t.slowUntil > now && !s.rest(r.Context(), t.slowUntil-now) {
		return
	}
	streams, err := s.submit(clientID(r), of, &g)
	if err != nil {
		refuse(w, err)
		return
	}
	s.send(w, r, streams, &g, t)
}

// rest waits for a span of the engine's time. It reports false when the client
// has gone or the engine has stopped.
func (s *Server) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(s.pace.real(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.stopped:
		return false
	}
}

func notRunning() *refusal {
	return &refusal{status: http.StatusServiceUnavailable, kind: "ServiceUnavailableError", message: "the simulated engine is not running"}
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, kind: "BadRequestError", message: fmt.Sprintf("the body is larger than %d bytes", maxBody)}
	}
	if err != nil {
		return nil, badRequest("", "reading the body: %v", err)
	}
	return body, nil
}

// clientID is the request's ID as the client gave it, when it can stand in JSON
// and in a path as it is; else it is empty.
func clientID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if len(id) > 128 {
		return ""
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return ""
		}
	}
	return id
}

// refuse answers with an error in OpenAI's form.
func refuse(w http.ResponseWriter, err error) {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{status: http.StatusInternalServerError, kind: "InternalServerError", message: err.Error()}
	}
	var param any
	if r.param != "" {
		param = r.param
	}
	if r.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(r.after))
	}
	answer(w, r.status, map[string]any{"error": map[string]any{
		"message": r.message, "type": r.kind, "param": param, "code": r.status,
	}})
}

// answer writes a value as JSON. What fails here is the client's connection,
// and nobody is left to be told.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"object": "list", "data": []any{map[string]any{
		"id": s.d.ServedName, "object": "model", "created": 0, "owned_by": "inferbook-simulator",
		"root": s.d.Model.Name, "max_model_len": s.d.MaxModelLen,
		"simulated": true, "profile": s.d.Profile(), "calibration": s.d.Calibration, "time_scale": s.pace.scale,
	}}})
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"version": "inferbook-simulator/" + version, "simulated": true})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if _, running := s.now(); !running {
		refuse(w, notRunning())
		return
	}
	w.WriteHeader(http.StatusOK)
}

// config answers with the whole deployment and how it is served.
func (s *Server) config(w http.ResponseWriter, _ *http.Request) {
	faults := make([]string, len(s.faults))
	for i, f := range s.faults {
		faults[i] = f.String()
	}
	answer(w, http.StatusOK, struct {
		Simulated bool     `json:"simulated"`
		Version   string   `json:"version"`
		Profile   string   `json:"profile"`
		TimeScale float64  `json:"time_scale"`
		MaxQueue  int      `json:"max_queue"`
		Faults    []string `json:"faults"`
		Pace      Pace     `json:"pace"`
		Deployment
	}{true, version, s.d.Profile(), s.pace.scale, s.maxQueue, faults, s.Pace(), s.d})
}

// request answers with the truth about one finished request.
func (s *Server) request(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	t, found := s.finished.truths[id]
	live := s.live[id] != nil
	s.mu.Unlock()
	switch {
	case found:
		answer(w, http.StatusOK, s.fullAccount(t))
	case live:
		refuse(w, &refusal{status: http.StatusConflict, kind: "ConflictError", param: "id", message: fmt.Sprintf("request %q is not finished yet", id)})
	default:
		refuse(w, &refusal{status: http.StatusNotFound, kind: "NotFoundError", param: "id", message: fmt.Sprintf("there is no request %q, or it has been forgotten", id)})
	}
}

// tokenize counts tokens by the rule that the engine itself uses.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	var q wireRequest
	if err := decode(body, &q); err != nil {
		refuse(w, err)
		return
	}
	kind := completion
	if len(q.Messages) > 0 {
		kind = chat
	}
	contents, err := q.contents(kind)
	if err != nil {
		refuse(w, err)
		return
	}
	n := 0
	for _, c := range contents {
		n += c.Tokens()
	}
	answer(w, http.StatusOK, map[string]any{"count": n, "max_model_len": s.d.MaxModelLen, "approximate": true})
}
