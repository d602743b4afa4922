// Package lazyregexp has regular expressions that are compiled when they are first used,
// like Go's own internal/lazyregexp.
//
// The functions declare some forty expressions. Compiling all took a third of a function's
// start, and an event uses a few of them. An expression that counts characters, such as
// {1,255}, is compiled to as many copies: check that with len instead.
package lazyregexp

import (
	"os"
	"regexp"
	"strings"
	"sync"
)

// Regexp is a regular expression. It may be used by several goroutines.
type Regexp struct{ compiled func() *regexp.Regexp }

// New returns the expression. A malformed expression panics when it is first used, and at
// once in a test, so that not each expression needs a test.
func New(expression string) *Regexp {
	r := &Regexp{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
	if len(os.Args) > 0 && strings.HasSuffix(os.Args[0], ".test") {
		r.compiled()
	}
	return r
}

// MatchString is the method of regexp, and so are the other methods.
func (r *Regexp) MatchString(s string) bool { return r.compiled().MatchString(s) }

func (r *Regexp) FindString(s string) string { return r.compiled().FindString(s) }

func (r *Regexp) FindStringSubmatch(s string) []string { return r.compiled().FindStringSubmatch(s) }

func (r *Regexp) FindAllString(s string, n int) []string { return r.compiled().FindAllString(s, n) }

func (r *Regexp) ReplaceAllString(s, with string) string {
	return r.compiled().ReplaceAllString(s, with)
}

func (r *Regexp) String() string { return r.compiled().String() }
