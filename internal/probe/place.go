package probe

import (
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/access"
)

// place is what has been seen of one place.
type place struct {
	name     access.Place
	looks    int
	row               // of looks that it passed
	failures []answer // what stood in the way at the last look, a purpose each
	state    state
	header   header   // what its uploads have to carry
	cure     header   // what would make a denied upload work
	listed   []string // some keys that are there. They go back to S3 alone
	unlisted bool     // the last look could not list
	notes    []note   // what is no failure
	doubts   []note   // of the last look, which another look may not share
	begun    *s3.AbortMultipartUploadInput
}

// note is what a place that works leaves to be known. A warning: what the
// credentials are for may not work there, or something was left behind.
type note struct {
	level slog.Level
	text  string
}

type state int

const (
	open state = iota
	works
	fails
)

func (p *place) note(level slog.Level, text string) {
	if n := (note{level, text}); !slices.Contains(p.notes, n) {
		p.notes = append(p.notes, n)
	}
}

// cause is the most useful of the causes of its failures to read first.
func (p *place) cause() cause {
	first := nothing
	for _, a := range p.failures {
		if first == nothing || a.cause < first {
			first = a.cause
		}
	}
	return first
}

// absent returns an object key of the place that nobody has.
func (p *place) absent() *string {
	return aws.String(p.name.Prefix() + "cloney-verification-" + rand.Text())
}

// code is the code of the answer that its cause comes from.
func (p *place) code() string {
	for _, a := range p.failures {
		if a.cause == p.cause() {
			return a.code
		}
	}
	return ""
}

// patterned reports whether a prefix may be meant as a pattern, as IAM's and
// shells' are: a client then reaches nothing, and everything is allowed.
func patterned(name access.Place) bool {
	prefix := name.Prefix()
	return strings.ContainsAny(prefix, "*?") || strings.Contains(prefix, "${")
}

// noteEmpty tells of a Source with nothing in it: a prefix may be misspelt, a
// bucket may be new.
func (p *place) noteEmpty() {
	prefix := p.name.Prefix()
	switch {
	case len(p.listed) > 0:
	case prefix == "":
		p.note(slog.LevelInfo, "the bucket is empty: there is nothing to read yet")
	default:
		p.note(slog.LevelWarn, "no object begins with this prefix yet; check its spelling")
	}
}
