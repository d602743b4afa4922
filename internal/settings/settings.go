// Package settings reads a function's environment, once, when it starts.
//
// On Lambda, a missing variable of the template could mean a missing limit of the provider's
// owner, and nobody would notice. So it is an error: the rotator does not start, and the
// provider gives no access. A local run, which has AWS_ENDPOINT_URL, sets what it needs.
package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cloney-s3-credentials/internal/spec"
)

// Reader reads variables one by one and collects the problems.
type Reader struct {
	lookup   func(variable string) (value string, set bool)
	problems []string
}

// New returns a reader. lookup is os.LookupEnv.
func New(lookup func(string) (string, bool)) *Reader { return &Reader{lookup: lookup} }

// Local reports whether AWS is a local one.
func (r *Reader) Local() bool { return r.value("AWS_ENDPOINT_URL") != "" }

// onLambda reports whether the template's variables must be set.
func (r *Reader) onLambda() bool { return r.value("AWS_LAMBDA_FUNCTION_NAME") != "" && !r.Local() }

func (r *Reader) value(variable string) string {
	value, _ := r.lookup(variable)
	return value
}

func (r *Reader) refuse(variable, format string, args ...any) {
	r.problems = append(r.problems, variable+" "+fmt.Sprintf(format, args...))
}

// Err returns all problems, or nil.
func (r *Reader) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return errors.New("the function's environment is not as the provider's template sets it: " + strings.Join(r.problems, "; "))
}

// Optional returns a variable that may be missing: without it nothing more is allowed.
func (r *Reader) Optional(variable string) string { return r.value(variable) }

// Needed returns a variable that must not be empty on Lambda.
func (r *Reader) Needed(variable string) string {
	value := r.value(variable)
	if value == "" && r.onLambda() {
		r.refuse(variable, "is not set, or is empty")
	}
	return value
}

// Unless is Needed for a variable that has a word for "nothing", and returns an empty string
// for that word. The template never sets an empty variable: Lambda may not distinguish that
// from a missing one.
func (r *Reader) Unless(variable, word string) string {
	value := r.Needed(variable)
	if value == word {
		return ""
	}
	return value
}

// List returns the entries of a variable; the word none is not an entry. If the variable is
// not set, which only local runs allow, it returns unset.
func (r *Reader) List(variable string, unset ...string) []string {
	if _, set := r.lookup(variable); !set && !r.onLambda() {
		return unset
	}
	return slices.DeleteFunc(spec.Patterns(r.Needed(variable)), func(entry string) bool { return entry == "none" })
}

// NeededList returns the entries of a variable, at least one on Lambda: in a list of what is
// allowed, an empty list would allow everything.
func (r *Reader) NeededList(variable string) []string {
	entries := spec.Patterns(r.value(variable))
	if len(entries) == 0 && r.onLambda() {
		r.refuse(variable, "is not set, or is empty")
	}
	return entries
}

// Ranges returns the addresses and CIDRs of a variable; none for the word any.
func (r *Reader) Ranges(variable string) []netip.Prefix {
	ranges, err := spec.Ranges(r.Unless(variable, "any"))
	if err != nil {
		r.refuse(variable, "is not a list of public addresses and CIDRs: %v", err)
	}
	return ranges
}

// Number returns a whole number from least to most. If the variable is not set or empty,
// which only local runs allow, it returns unset.
func (r *Reader) Number(variable string, unset, least, most int) int {
	value := r.value(variable)
	n, err := strconv.Atoi(value)
	switch {
	case value == "" && !r.onLambda():
		return unset
	case err != nil || n < least || n > most:
		r.refuse(variable, "is %q, which is not a whole number from %d to %d", value, least, most)
	}
	return n
}

// OneOf returns one of the values. If the variable is not set or empty, which only local
// runs allow, it returns the first.
func (r *Reader) OneOf(variable string, values ...string) string {
	value := r.value(variable)
	switch {
	case value == "" && !r.onLambda():
		return values[0]
	case !slices.Contains(values, value):
		r.refuse(variable, "is %q, which is not one of %s", value, strings.Join(values, ", "))
	}
	return value
}
