// Package notice has the reports of the rotator and of the sweep for the owners of
// credentials. A report is an event of EventBridge, and a paragraph to read.
//
// The package is pure: no SDK, no I/O. A notice never holds a secret value.
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

// Notice is one report.
type Notice struct {
	Kind Kind
	// ID is the same each time that the same thing is reported: of two notices with one
	// ID, the second says nothing new.
	ID string

	StackID, LogicalID              string
	UserName, SecretName, SecretARN string
	AccessKeyID                     string
	FormerAccessKeyID               string         // the replaced key; empty: the notice is not about one
	LastUse                         access.LastUse // of the replaced key; zero: it was never used, or there is none
	RetireAfter                     time.Time      // the earliest time at which the replaced key is deactivated; zero: not known
	Reason                          string         // the cause; may be empty
	Next                            string         // what the owner should do
}

// Announcer sends notices.
type Announcer interface {
	// Announce returns nil once the notice has reached every recipient.
	Announce(ctx context.Context, n Notice) error
}
