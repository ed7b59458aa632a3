package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxBody is more than the text of the longest context.
const maxBody = 8 << 20

// generate answers the two generating interfaces.
func (s *Server) generate(w http.ResponseWriter, r *http.Request, kind api) {
	arrive, running := s.arrival()
	if !running {
		refuse(w, notRunning())
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	g, err := s.parse(kind, body)
	if err != nil {
		refuse(w, err)
		return
	}
	st := s.submit(clientID(r), g.digest, Request{
		Arrive: arrive, Content: g.content, MaxTokens: g.limit, OutputTokens: g.output,
	})
	s.send(w, r, st, g)
}

func notRunning() *refusal {
	return &refusal{http.StatusServiceUnavailable, "ServiceUnavailableError", "", "the simulated engine is not running"}
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "BadRequestError", "", fmt.Sprintf("the body is larger than %d bytes", maxBody)}
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
		r = &refusal{http.StatusInternalServerError, "InternalServerError", "", err.Error()}
	}
	var param any
	if r.param != "" {
		param = r.param
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
		"simulated": true, "profile": s.d.Profile(), "calibration": s.d.Calibration,
	}}})
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"version": "inferbook-simulator/" + version, "simulated": true})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if _, running := s.arrival(); !running {
		refuse(w, notRunning())
		return
	}
	w.WriteHeader(http.StatusOK)
}

// config answers with the whole deployment.
func (s *Server) config(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, struct {
		Simulated bool   `json:"simulated"`
		Version   string `json:"version"`
		Profile   string `json:"profile"`
		Deployment
	}{true, version, s.d.Profile(), s.d})
}

// request answers with the truth about one finished request.
func (s *Server) request(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	t, found := s.finished[id]
	live := s.live[id] != nil
	s.mu.Unlock()
	switch {
	case found:
		answer(w, http.StatusOK, s.fullAccount(t))
	case live:
		refuse(w, &refusal{http.StatusConflict, "ConflictError", "id", fmt.Sprintf("request %q is not finished yet", id)})
	default:
		refuse(w, &refusal{http.StatusNotFound, "NotFoundError", "id", fmt.Sprintf("there is no request %q, or it has been forgotten", id)})
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
	if err := json.Unmarshal(body, &q); err != nil {
		refuse(w, badRequest("", "the body is not the JSON of a request: %v", err))
		return
	}
	kind := completion
	if len(q.Messages) > 0 {
		kind = chat
	}
	content, err := q.content(kind)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"count": content.Tokens(), "max_model_len": s.d.MaxModelLen, "approximate": true})
}
