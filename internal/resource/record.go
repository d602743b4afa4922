package resource

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/reply"
)

// record writes the one line of every event in the log, and the line of its metrics.
// Neither holds a property or the ResponseURL, which may be confidential.
func (h *Handler) record(ctx context.Context, r request, a response, counts metric.Counts, took time.Duration, err error) {
	if err != nil {
		a.cause = metric.Unanswered
	}
	attrs := []any{
		"requestType", legible(string(r.RequestType)), "stack", legible(r.StackID), "logicalId", legible(r.LogicalResourceID),
		"physicalId", legible(a.PhysicalResourceID), "outcome", a.Status, "cause", string(a.cause), "reason", inOneLine(a.Reason),
		"milliseconds", took.Milliseconds(), "awsRequests", counts.Requests, "awsRetries", counts.Retries,
	}
	h.Metrics.Tell(metric.Told{Type: string(r.RequestType), Cause: a.cause, Took: took, Counts: counts})
	if err != nil {
		h.Log.ErrorContext(ctx, "answer not accepted", append(attrs, "error", err.Error())...)
		return
	}
	h.Log.InfoContext(ctx, "answered", attrs...)
}

// panicked logs a panic by the type of its value, never by the value: that could hold a
// secret.
func (h *Handler) panicked(ctx context.Context, value any) {
	stack := debug.Stack()
	if from, ok := value.(interface{ Origin() (any, []byte) }); ok {
		value, stack = from.Origin() // another goroutine's
	}
	h.Log.ErrorContext(ctx, "panic", "type", fmt.Sprintf("%T", value), "stack", string(stack))
}

// mostLogged bounds each word of an event in the log. CloudFormation's ids are shorter.
const mostLogged = 256

// legible is how the log shows a word of an event. It quotes a word that is not printable
// ASCII, and cuts a long one, so that nobody can put line breaks, control characters or
// megabytes into the log.
func legible(word string) string {
	odd := strings.ContainsFunc(word, func(r rune) bool { return r < ' ' || r > '~' })
	long := len(word) > mostLogged
	if long {
		word = cut(word, mostLogged)
	}
	if odd {
		word = strings.Trim(fmt.Sprintf("%+q", word), `"`)
	}
	if long {
		word += "..."
	}
	return word
}

// inOneLine is a Reason as the log shows it: a message of AWS may hold line breaks.
func inOneLine(reason string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, cut(reason, reply.MaxBytes))
}

// cut returns at most that many bytes of s, ending between characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
