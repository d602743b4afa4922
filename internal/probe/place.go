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

// place is what is known about one place.
type place struct {
	name     access.Place
	looks    int
	row               // of looks that it passed
	failures []answer // what was in the way at the last look, one for each purpose
	state    state
	header   header   // that its uploads have to have
	cure     header   // with which a denied upload works
	listed   []string // some of its keys. They are sent to S3 and nowhere else
	unlisted bool     // the last look could not list
	notes    []note   // what is not a failure
	doubts   []note   // notes of the last look alone
	begun    *s3.AbortMultipartUploadInput
}

// note is something to know about a place that works. It is a warning if a client may
// still fail there, or if something was left behind.
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

// cause is the cause of its failures that is the most useful to read.
func (p *place) cause() cause {
	first := nothing
	for _, a := range p.failures {
		if first == nothing || a.cause < first {
			first = a.cause
		}
	}
	return first
}

// absent returns the key of an object in the place that does not exist.
func (p *place) absent() *string {
	return aws.String(p.name.Prefix() + "cloney-verification-" + rand.Text())
}

// code is the code of the answer from which its cause comes.
func (p *place) code() string {
	for _, a := range p.failures {
		if a.cause == p.cause() {
			return a.code
		}
	}
	return ""
}

// patterned reports whether a prefix may be meant as a pattern of IAM or of a shell. Then
// every request is allowed, and a client still finds nothing.
func patterned(name access.Place) bool {
	prefix := name.Prefix()
	return strings.ContainsAny(prefix, "*?") || strings.Contains(prefix, "${")
}

// noteEmpty notes that a Source has no objects: a prefix may be misspelt, a bucket may be
// new.
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
