package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// verdict is how a request ended, and the sentence that says so: the cause,
// and after a semicolon the next step.
type verdict struct {
	outcome  experiment.Outcome
	sentence string
}

func judge(o experiment.Outcome, format string, args ...any) verdict {
	return verdict{o, fmt.Sprintf(format, args...)}
}

// settle ends a sample: its counts, its outcome and its End.
func (c *Client) settle(x *exchange, a *answer, err, cause error) {
	s := a.s
	s.End = x.now()
	var v verdict
	switch {
	case x.stream != nil:
		v = c.streamed(x, a, cause)
	case x.whole:
		v = c.whole(x, a)
	default:
		a.settle(x.request.text(), c.spec.KeepText)
		v = c.unanswered(x, err, cause)
	}
	if v.outcome == experiment.OK {
		v = c.uncut(x, a, v)
	}
	s.Outcome, s.Error = v.outcome, v.sentence
	if (s.Outcome == experiment.OK || s.Outcome == experiment.Cut) && !s.LastContent.Happened() {
		s.LastContent = s.End
	}
	for _, text := range []*string{&s.Finish, &s.Model, &s.Fingerprint, &s.Server, &s.Output} {
		*text = c.scrub(*text)
	}
}

// The share of the prompt's tokens that a server must have counted for the prompt
// to be whole. Without a learned fit the length asked for is a guess.
const (
	wholeLearned = 0.9
	wholeGuessed = 0.6
	// cutLeast is the fewest tokens that a cut takes. No context is so small that it
	// cuts a short prompt, and a tokenizer that splits words unevenly may miss a tenth of one.
	cutLeast = 64
)

// uncut is the verdict v, unless the server counted far fewer tokens of the prompt
// than were asked for. A conversation and a body of its own have no such length.
func (c *Client) uncut(x *exchange, a *answer, v verdict) verdict {
	asked, counted := a.s.PromptAsked, a.s.PromptTokens
	share := wholeGuessed
	if c.fit.Load().Learned {
		share = wholeLearned
	}
	if asked-counted < cutLeast || counted < 0 || len(x.request.History) > 0 || x.request.Body != nil ||
		float64(counted) >= share*float64(asked) {
		return v
	}
	return judge(experiment.Cut, "the prompt was cut: %d tokens were asked for and the server counted %d; "+
		"ask for shorter prompts, or start the server with a longer context", asked, counted)
}

// streamed judges an answer that came as a stream, or should have.
//
// A finish reason decides. Once it has come, the end of the connection does not
// matter: a gateway may leave [DONE] out, or the connection open. Without one no
// end is a good end, since an engine that is killed ends its stream as cleanly
// as one that is done.
func (c *Client) streamed(x *exchange, a *answer, cause error) verdict {
	st, s := x.stream, a.s
	if st.over.Happened() {
		s.End = st.over
	}
	if s.Finish != "" && !st.done && st.err != io.EOF && a.last.Happened() {
		s.End = a.last // what came after was waiting for nothing
	}
	a.settle(x.request.text(), c.spec.KeepText)
	var limit *limitError
	switch {
	case st.failed:
		return judge(experiment.HTTPError, "the server reported an error inside the stream: %s; look at the server's log", c.quote(st.fault))
	case a.fault != "":
		return judge(experiment.HTTPError, "the server reported an error inside the stream: %s; look at the server's log", c.quote(a.fault))
	case errors.Is(st.err, errEventTooLong):
		return judge(experiment.Protocol, "%s; check that the base URL is that of an OpenAI-compatible API", st.err)
	case a.garbled != "":
		return judge(experiment.Protocol, "the stream holds an event that is not a JSON object: %s; check that the base URL is that of an OpenAI-compatible API", c.quote(a.garbled))
	case s.Finish != "":
		return finished(s)
	case errors.As(cause, &limit):
		return verdict{experiment.Timeout, limit.Error()}
	case cause != nil:
		return cancelled
	case st.document != nil:
		return c.unstreamed(st.document)
	case st.done && s.Events == 0:
		return judge(experiment.Empty, "the stream ended well and held no output and no finish reason; look at the server's log")
	case st.done:
		return judge(experiment.Truncated, "the stream ended with [DONE] and no finish reason after %s; look at the server's log", events(s.Events))
	case st.err != io.EOF:
		return judge(experiment.Truncated, "the connection broke after %s: %s; look whether the server is still up", events(s.Events), c.quote(st.err.Error()))
	case st.reads == 0:
		return judge(experiment.Truncated, "the server answered %d with an empty body; look at the server's log", s.HTTPStatus)
	default:
		return judge(experiment.Truncated, "the stream ended after %s with neither a finish reason nor [DONE]; look whether the server is still up", events(s.Events))
	}
}

// finished judges an answer that has a finish reason. Output is text, or tokens
// by the server's own count: a token may be half a character and make no text.
func finished(s *experiment.Sample) verdict {
	switch {
	case s.Finish == "abort":
		return judge(experiment.Truncated, "the server aborted the answer after %s; look at the server's log", events(s.Events))
	case s.Finish == "error":
		return judge(experiment.HTTPError, "the server ended the answer with the finish reason error after %s; look at the server's log", events(s.Events))
	case s.OutputTokens > 0 || s.Events > 0 || s.OutputHash != "":
		return verdict{outcome: experiment.OK}
	case s.Finish == "load":
		return judge(experiment.Empty, "the server only loaded the model, since the request held no prompt; give a prompt")
	default:
		return judge(experiment.Empty, "the answer ended with the finish reason %s and no output; look at the prompt and the server's log", s.Finish)
	}
}

// whole judges an answer that was not to be streamed and came to its end.
func (c *Client) whole(x *exchange, a *answer) verdict {
	s := a.s
	s.End = x.complete
	chunk, _, ok := c.parser()(x.document)
	if ok {
		a.take(&chunk)
	}
	a.settle(x.request.text(), c.spec.KeepText)
	s.TokensAt = nil
	body := bytes.TrimSpace(x.document)
	switch {
	case ok && isFault(nil, body):
		return judge(experiment.HTTPError, "the server answered %d with an error inside: %s; look at the server's log", s.HTTPStatus, c.quote(serverMessage(body)))
	case a.fault != "":
		return judge(experiment.HTTPError, "the server answered %d with an error inside: %s; look at the server's log", s.HTTPStatus, c.quote(a.fault))
	case s.Finish == embedding && c.spec.Endpoint == experiment.Embeddings:
		s.OutputTokens, s.Counted = 0, experiment.CountedNone
		return verdict{outcome: experiment.OK}
	case ok && s.Finish != "":
		return finished(s)
	case ok && len(a.text) > 0:
		return judge(experiment.Truncated, "the answer has no finish reason; look at the server's log")
	case bytes.HasPrefix(body, []byte("data:")) || bytes.HasPrefix(body, []byte(":")):
		return judge(experiment.Protocol, "the server streamed its answer although it was not asked to; use --stream")
	case len(body) == 0:
		return judge(experiment.Truncated, "the server answered %d with an empty body; look at the server's log", s.HTTPStatus)
	default:
		return c.unstreamed(body)
	}
}

// unstreamed judges a document that is no answer of the kind that was asked for.
func (c *Client) unstreamed(body []byte) verdict {
	const next = "check that the base URL is that of an OpenAI-compatible API, such as http://127.0.0.1:8000/v1"
	chunk, _, ok := c.parser()(body)
	wanted := "completion"
	if c.spec.Endpoint == experiment.Embeddings {
		wanted = "embedding"
	}
	switch {
	case ok && isFault(nil, body):
		return judge(experiment.HTTPError, "the server answered 200 with an error inside: %s; look at the server's log", c.quote(serverMessage(body)))
	case ok && (chunk.finish != "" || chunk.hasText()) && c.spec.Stream:
		return judge(experiment.Protocol, "the server ignored \"stream\": true and answered in one piece; run without --stream, or switch streaming on in the server")
	case isHTML(body):
		return judge(experiment.Protocol, "the answer is an HTML page, %s; %s", c.quote(serverMessage(body)), next)
	case ok:
		return judge(experiment.Protocol, "the answer is JSON and holds no %s: %s; %s", wanted, c.quote(string(body)), next)
	default:
		return judge(experiment.Protocol, "the answer is neither a stream nor JSON: %s; %s", c.quote(string(body)), next)
	}
}

var cancelled = verdict{experiment.Cancelled, "the client stopped the request before its answer was complete; nothing is wrong with the server"}

// unanswered judges a request that got no answer, only a part of one, or a refusal.
func (c *Client) unanswered(x *exchange, err, cause error) verdict {
	var limit *limitError
	var dns *net.DNSError
	host := c.replicas[x.request.Replica].host
	switch {
	case errors.Is(err, errBody):
		return judge(experiment.Refused, "%s, so nothing was sent; correct it in the data file", errBody)
	case x.response != nil && errors.Is(err, errRefused):
		return c.refused(x)
	case errors.Is(err, errCompressed):
		return judge(experiment.Protocol, "the answer is compressed with %s although it was asked not to be; "+
			"switch compression off in the proxy before the server, since it holds streams back", c.quote(x.response.Header.Get("Content-Encoding")))
	case errors.As(cause, &limit):
		return verdict{experiment.Timeout, limit.Error()}
	case cause != nil:
		return cancelled
	case errors.Is(err, errAnswerTooLong):
		return judge(experiment.Protocol, "%s; check that the base URL is that of an OpenAI-compatible API", errAnswerTooLong)
	case x.response != nil:
		return judge(experiment.Truncated, "the connection broke in the middle of the answer: %s; look whether the server is still up", c.quote(err.Error()))
	case errors.As(err, &dns) && dns.IsNotFound:
		return judge(experiment.Refused, "there is no host called %s; check the base URL", dns.Name)
	case !x.wasConnected() && timedOut(err):
		return judge(experiment.Timeout, "no connection to the server within %s (connect_timeout); check the address, the network and any firewall",
			time.Duration(c.spec.ConnectTimeout))
	case errors.Is(err, syscall.ECONNREFUSED):
		return judge(experiment.Refused, "nothing listens at %s; start the server or check the address and port", host)
	case newerOnly(err):
		return judge(experiment.Protocol, "what answers at %s speaks HTTP/2 only, which would put all streams on one connection; let the server or a proxy before it offer HTTP/1.1", host)
	case isTLS(err):
		return judge(experiment.Refused, "no encrypted connection to %s: %s; check whether the base URL begins with the right one of http and https, and the server's certificate", host, c.quote(err.Error()))
	case !x.wasConnected():
		return judge(experiment.Refused, "no connection to %s: %s; check the address and the network", host, c.quote(err.Error()))
	case hungUp(err):
		return judge(experiment.Truncated, "the server closed the connection before it answered; look whether it is still up")
	default:
		return judge(experiment.Protocol, "what answers at %s does not speak HTTP/1.1: %s; check the base URL's port and whether it needs https", host, c.quote(err.Error()))
	}
}
