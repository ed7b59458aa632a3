package probe

import (
	"regexp"
	"strings"
	"unicode"
)

// redacted stands in the place of a secret.
const redacted = "[redacted]"

// maxText bounds a single text within a server's answer: chat templates and the
// like are not configuration.
const maxText = 256

// secretWords end the names of what is secret. A name is split at punctuation and
// at capitals, so "hf_token" and "apiKey" are secret and "tokenizer" is not.
var secretWords = []string{
	"key", "keys", "token", "tokens", "password", "passwords", "passwd", "secret", "secrets",
	"credential", "credentials", "authorization", "bearer",
}

var (
	userinfo = regexp.MustCompile(`://[^/\s]*@`) // to the last @: a password may hold one
	flag     = regexp.MustCompile(`^--?([A-Za-z][A-Za-z0-9_.-]*)$`)
	// A flag and its value, or NAME=value as an environment has it.
	inline = regexp.MustCompile(`(?i)(-[a-z0-9_.-]*(?:key|token|password|passwd|secret|credential)s?\s+|` +
		`[a-z0-9_.-]*(?:key|token|password|passwd|secret|credential)s?=)("[^"]*"|'[^']*'|\S+)`)
	count  = regexp.MustCompile(`^[0-9]{1,7}$`)
	bearer = regexp.MustCompile(`(?i)\bbearer\s+\S+`)
)

// redact removes secrets from a decoded JSON value: whatever stands under a secret
// name, the value of a secret command-line flag, the user part of a URL, and
// known, wherever it is. Numbers and truth values stay: --max-num-batched-tokens
// 8192 is no secret, and decides the result.
func redact(v any, known string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			if secret(name) {
				out[redactText(name, known)] = hide(inner)
			} else {
				out[redactText(name, known)] = redact(inner, known)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		hideNext := false
		for i, inner := range v {
			text, isText := inner.(string)
			switch m := flag.FindStringSubmatch(text); {
			case hideNext:
				hideNext = false
				if out[i] = hide(inner); count.MatchString(text) {
					out[i] = text
				}
			case isText && m != nil:
				out[i] = redactText(text, known)
				hideNext = secret(m[1])
			default:
				out[i] = redact(inner, known)
			}
		}
		return out
	case string:
		return redactText(v, known)
	default:
		return v
	}
}

// hide replaces texts and whatever may hold some.
func hide(v any) any {
	switch v := v.(type) {
	case nil, bool, float64:
		return v
	default:
		return redacted
	}
}

// redactText removes secrets from a text and cuts it to maxText bytes.
func redactText(s, known string) string {
	if known != "" {
		s = strings.ReplaceAll(s, known, redacted)
	}
	s = userinfo.ReplaceAllString(s, "://")
	s = bearer.ReplaceAllString(s, redacted)
	s = inline.ReplaceAllStringFunc(s, func(m string) string {
		p := inline.FindStringSubmatch(m)
		if count.MatchString(p[2]) {
			return m
		}
		return p[1] + redacted
	})
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// secret reports whether a name says that its value is one.
func secret(name string) bool {
	words := strings.FieldsFunc(splitCapitals(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, w := range words {
		for _, s := range secretWords {
			if strings.HasSuffix(strings.ToLower(w), s) {
				return true
			}
		}
	}
	return false
}

// splitCapitals puts a space before each capital that follows a small letter.
func splitCapitals(name string) string {
	var b strings.Builder
	small := false
	for _, r := range name {
		if small && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		small = unicode.IsLower(r)
	}
	return b.String()
}
