// Package notice is what the rotator and the sweep tell the owners of credentials, as
// an event of EventBridge and as a paragraph to read.
//
// It is pure: no SDK, no I/O. No secret value is ever in it.
package notice

import (
	"context"
	"time"

	"cloney-s3-credentials/internal/access"
)

// Source is the source of the events.
const Source = "cloney.s3-credentials"

// Kind is the detail type of an event.
type Kind string

// The kinds of notice.
const (
	Rotated    Kind = "Credential Rotated"
	StillInUse Kind = "Old Key Still In Use"
	Retired    Kind = "Old Key Retired"
	Failed     Kind = "Rotation Failed"
	Orphan     Kind = "Orphan Found"
	Drift      Kind = "Drift Found"
	Old        Kind = "Key Is Old"
)

// Notice is one thing to tell.
type Notice struct {
	Kind Kind
	// ID is the same each time that the same is told: of two with one ID, the second
	// says nothing new.
	ID string

	StackID, LogicalID              string
	UserName, SecretName, SecretARN string
	AccessKeyID                     string
	FormerAccessKeyID               string         // empty: it is not about one
	LastUse                         access.LastUse // of the former key; zero: never, or it is not about one
	RetireAfter                     time.Time      // when the former key is retired at the earliest; zero: it is not about that
	Reason                          string         // empty: there is none
	Next                            string         // one sentence: what to do
}

// Announcer tells notices.
type Announcer interface {
	// Announce returns nil once everybody was told who is to be.
	Announce(ctx context.Context, n Notice) error
}
