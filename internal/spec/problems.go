package spec

import (
	"fmt"
	"unicode/utf8"

	"cloney-s3-credentials/internal/numbered"
)

// Problem says what is wrong with one property, and what to write instead.
type Problem struct {
	Property string // "Buckets[1]"
	Text     string
}

func (p Problem) String() string { return p.Property + ": " + p.Text }

// Problems is the error of Parse: every problem, in the order of the table of
// properties in docs/reference.md.
type Problems []Problem

// mostBytes leaves room for the rest of a response, which can have 4,096 bytes.
const mostBytes = 2800

// Error lists the problems in one line. When they are too many for one response, it lists
// the first ones and counts the rest.
func (p Problems) Error() string {
	var shown []string
	left := mostBytes
	for i, problem := range p {
		text := problem.String()
		if left -= len(text) + numbered.Room; left < 0 && i > 0 {
			break
		}
		shown = append(shown, text)
	}
	text := numbered.Join(shown)
	if len(p) > 1 {
		text = fmt.Sprintf("%d problems: %s", len(p), text)
	}
	if more := len(p) - len(shown); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// quote shows what the stack owner wrote. It escapes control characters, and cuts
// the text so that there is room for the other problems.
func quote(s string) string {
	shown, more := cut(s, 80)
	return fmt.Sprintf("%q%s", shown, more)
}

// short shows what the provider's owner wrote. It cuts the text so that there is
// room for the problem itself.
func short(s string) string {
	shown, more := cut(s, 800)
	return shown + more
}

// cut returns at most that many bytes of s, ending between characters, and "…"
// where there are more.
func cut(s string, most int) (shown, more string) {
	if len(s) <= most {
		return s, ""
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most], "…"
}
