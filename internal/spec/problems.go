package spec

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong, and what to write instead.
type Problem struct {
	Property string // "Buckets[1]"
	Text     string
}

func (p Problem) String() string { return p.Property + ": " + p.Text }

// Problems is the error of Parse: all that is wrong, in the order of the
// contract's table of properties.
type Problems []Problem

// mostBytes leaves room for the rest of a response, which may have 4,096 bytes.
const mostBytes = 2800

// Error lists the problems in one line. When they are too many for one answer,
// the first ones stand and the rest is counted.
func (p Problems) Error() string {
	var text strings.Builder
	if len(p) > 1 {
		fmt.Fprintf(&text, "%d problems: ", len(p))
	}
	for i, problem := range p {
		next := problem.String()
		if i > 0 && text.Len()+len(next) > mostBytes {
			fmt.Fprintf(&text, " … and %d more", len(p)-i)
			break
		}
		if i > 0 {
			text.WriteString("; ")
		}
		text.WriteString(next)
	}
	return text.String()
}

// quote shows what was written, cut to a length that leaves room for the
// other problems, with control characters made visible.
func quote(s string) string {
	shown, more := cut(s, 80)
	return fmt.Sprintf("%q%s", shown, more)
}

// short shows what the provider's owner wrote, cut to a length that leaves
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
