package runner

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
)

// refused judges an answer whose status is an error.
func (c *Client) refused(x *exchange) verdict {
	code := x.response.StatusCode
	status := strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
	if code >= 300 && code < 400 {
		return judge(experiment.HTTPError, "the server answered %s and points to %q, which is not followed; give the right address as the base URL",
			status, c.quote(x.response.Header.Get("Location")))
	}
	said := "nothing more"
	if body := bytes.TrimSpace(x.refusal); len(body) > 0 {
		said = c.quote(serverMessage(body))
		if isHTML(body) {
			said = "an HTML page, " + said
		}
	}
	next, base := "look at the server's log", c.replicas[x.request.Replica].base
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		next = "set OPENAI_API_KEY or give --api-key-file"
		if c.keyed {
			next = "check that the API key is the one for this server"
		}
	case code == http.StatusNotFound && strings.Contains(base, "/openai/deployments/"):
		next = "check the deployment's name in the base URL, and api_version"
	case code == http.StatusNotFound:
		next = fmt.Sprintf("check the address and the model's name: GET %s/models lists the models if the address is right", base)
		if !strings.HasSuffix(base, "/v1") {
			next = fmt.Sprintf("check the base URL: most end in /v1, as in %s/v1", otherVersion.ReplaceAllString(base, ""))
		} else if e := c.spec.Endpoint; e != "" && e != experiment.Chat {
			next = fmt.Sprintf("check that the server has %s/%s, which not all have, and the model's name", base, e)
		}
	case code == http.StatusTooManyRequests:
		next = "lower the load or ask for a higher rate limit"
	case code == http.StatusServiceUnavailable:
		next = "the server is overloaded or still loading the model: wait, or lower the load"
	case code == http.StatusBadRequest || code == http.StatusUnprocessableEntity || code == http.StatusRequestEntityTooLarge:
		next = "check the model's name, the lengths and the extra fields"
	case code == http.StatusMethodNotAllowed:
		next = "check that the base URL is the API's root: most end in /v1"
	case isHTML(x.refusal):
		next = "a proxy or another site answers: check the base URL"
	}
	return judge(experiment.HTTPError, "the server answered %s: %s; %s", status, said, next)
}

// otherVersion is the version that an address ends in.
var otherVersion = regexp.MustCompile(`/v\d+$`)

// serverMessage gives what an error document says, in the shapes that servers
// use: OpenAI's {"error":{"message"}}, a bare {"error":"…"} or {"message"},
// FastAPI's {"detail"}, the title of an HTML page. The text is as the server
// sent it, and goes through [Client.quote] before anybody sees it.
func serverMessage(body []byte) string {
	if isHTML(body) {
		lower := bytes.ToLower(body)
		if _, rest, found := bytes.Cut(lower, []byte("<title>")); found {
			if end := bytes.IndexByte(rest, '<'); end > 0 {
				start := len(lower) - len(rest)
				if len(lower) == len(body) {
					return "titled " + strings.TrimSpace(string(body[start:start+end]))
				}
			}
		}
		return "without a title"
	}
	if gjson.ValidBytes(body) {
		for _, path := range []string{"error.message", "error", "message", "detail.0.msg", "detail", "error.type", "error.code"} {
			if v := gjson.GetBytes(body, path); v.Type == gjson.String && strings.TrimSpace(v.Str) != "" {
				return v.Str
			}
		}
	}
	return string(body)
}

// isHTML reports whether a document begins as HTML or XML does.
func isHTML(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) }

// quote makes a server's words fit to stand in a sentence of ours: on one line,
// at most 300 characters, without the key.
func (c *Client) quote(s string) string { return excerpt(c.scrub(s)) }

// excerpt gives the start of a text on one line.
func excerpt(s string) string {
	const limit = 300
	var b strings.Builder
	n, space := 0, false
	for _, r := range s {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			space = n > 0
			continue
		}
		if n >= limit {
			b.WriteString("…")
			return b.String()
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
		n++
	}
	if n == 0 {
		return "nothing"
	}
	return strings.TrimRight(b.String(), ".")
}

// retryAfter reads the header of that name: seconds, or a date; 0 = none.
func retryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseFloat(v, 64); err == nil && n == n { // NaN is none
		const day = 24 * time.Hour // nobody means more, and a float may say infinity
		return time.Duration(min(max(n, 0), day.Seconds()) * float64(time.Second))
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return max(time.Until(at).Round(time.Second), 0)
}

// events counts the events with text in words.
func events(n int) string {
	switch n {
	case 0:
		return "no text"
	case 1:
		return "1 event with text"
	default:
		return fmt.Sprintf("%d events with text", n)
	}
}

// newerOnly reports whether the peer speaks HTTP/2 and nothing older: over TLS it
// finds no protocol in common, else it begins with a SETTINGS or GOAWAY frame,
// whose nine bytes net/http quotes.
func newerOnly(err error) bool {
	const noProtocol = 120 // RFC 7301 §3.2
	var alert tls.AlertError
	text := err.Error()
	return errors.As(err, &alert) && alert == noProtocol || strings.Contains(text, "no application protocol") ||
		http2Frame.MatchString(text)
}

// Byte 7 is \a in a quoted text. A GOAWAY often says "HTTP/2 client preface string
// missing", whose second word stands where a status code would.
var http2Frame = regexp.MustCompile(`malformed HTTP (?:response|version) "\\x00\\x00(?:\\x[0-9a-f]{2}|\\?.)(?:\\x04|\\a)|malformed HTTP status code "client"`)

// timedOut reports whether a connection took too long for the dialler or the TLS handshake.
func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
