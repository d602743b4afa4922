package resource

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/reply"
)

// Home is where the function is and whose stacks it serves. The function's own
// environment says so; an event says of itself what it likes.
type Home struct {
	Region   string   // of the function; empty: any
	Accounts []string // whose stacks are served; empty: any (local runs)
}

// near refuses a stack of another region. CloudFormation asks for a provider in
// the stack's own region, so no such event is its. With its region the event
// would also choose which response bucket is written to: it cannot be answered,
// unless it is a local run's.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
func (h Home) near(stack name.Stack) error {
	if h.Region == "" || stack.Region == h.Region {
		return nil
	}
	return fmt.Errorf("StackId is of region %s, and this provider serves stacks of %s; use the provider of the stack's own region", stack.Region, h.Region)
}

// serves refuses a stack of an account that is not served. It can be answered,
// for a region has one response bucket for all accounts, and it is for what
// would give: a Delete only takes, and only what carries that very StackId.
// Refused, it would leave a stack that nobody can delete, after a Create that
// was refused as after an account that is no longer trusted, with a live key.
func (h Home) serves(stack name.Stack) error {
	if len(h.Accounts) == 0 || slices.Contains(h.Accounts, stack.Account) {
		return nil
	}
	return fmt.Errorf("StackId is of account %s, whose stacks this provider does not serve; deploy a provider in that account, or have this one's owner add it to TrustedAccounts", stack.Account)
}

// mostLogged bounds each word of an event in the log. Ids of CloudFormation's
// are shorter.
const mostLogged = 256

// legible is what the log has of a word that came with an event: as it is when
// it is printable ASCII, and quoted and cut otherwise, so that no line break,
// control character or megabyte of someone else's making is in the log, however
// that is read.
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

// inOneLine is a Reason as the log has it: what AWS said may hold line breaks.
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
