// Package lazyregexp is regular expressions that are compiled when they are first
// used, as Go's own internal/lazyregexp has them.
//
// The functions declare some forty; to compile them all took a third of a function's
// start, and an event uses a few of them. An expression that says how often a
// character may come, such as {1,255}, is compiled to so many copies: say it with
// len.
package lazyregexp

import (
	"os"
	"regexp"
	"strings"
	"sync"
)

// Regexp is a regular expression. It may be used by several goroutines.
type Regexp struct{ compiled func() *regexp.Regexp }

// New returns the expression. One that is malformed panics when it is first used,
// and in a test at once, so that no test is needed of each.
func New(expression string) *Regexp {
	r := &Regexp{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
	if len(os.Args) > 0 && strings.HasSuffix(os.Args[0], ".test") {
		r.compiled()
	}
	return r
}

// MatchString is regexp's, and so are the others.
func (r *Regexp) MatchString(s string) bool { return r.compiled().MatchString(s) }

func (r *Regexp) FindString(s string) string { return r.compiled().FindString(s) }

func (r *Regexp) FindStringSubmatch(s string) []string { return r.compiled().FindStringSubmatch(s) }

func (r *Regexp) FindAllString(s string, n int) []string { return r.compiled().FindAllString(s, n) }

func (r *Regexp) ReplaceAllString(s, with string) string {
	return r.compiled().ReplaceAllString(s, with)
}

func (r *Regexp) String() string { return r.compiled().String() }
