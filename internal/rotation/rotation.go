// Package rotation carries out the four steps in which Secrets Manager rotates the
// key of a secret.
//
// Each step is the same: look at what is there, decide, do. A step whose process was
// killed, or whose answer was lost, comes again, and finds by its look how far it came.
// What a step does in view of what is there is a pure function (decide.go).
//
// A rotation has no properties. Whose secret it is, its tags say; what the key has to
// do, the user's own policies say.
//
//   - createSecret makes a key and stores it as the version that the rotation's token
//     names. With no place free it fails, and nothing changes.
//   - setSecret looks whether all stands.
//   - testSecret proves the key. One that fails goes, and its version with it.
//   - finishSecret makes the key current, and tells the owner. The former key lives on:
//     the daily sweep retires it once nobody uses it.
//
// A step that writes takes its turn first (package turn): it keeps out of the way of
// CloudFormation's events. Every write says what a crash right after it leaves.
package rotation

import (
	"context"
	"log/slog"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/turn"
)

// Policies is the customer managed policies under the provider's own path.
type Policies interface {
	// Attached returns the names of our policies that are attached to the user.
	Attached(ctx context.Context, user string) ([]string, error)
	// Policy returns a policy with its text and tags, or access.ErrNotFound.
	Policy(ctx context.Context, name string) (access.Policy, error)
}

// Secrets is Secrets Manager's secrets.
type Secrets interface {
	issue.Secrets
	// TagSecret sets and removes tags.
	TagSecret(ctx context.Context, name string, set map[string]string, unset []string) error
}

// Versions is the values of a secret.
type Versions interface {
	issue.Versions
	// Label puts a staging label of ours on a version. Repeating it changes nothing.
	Label(ctx context.Context, secret, version, label string) error
}

// Rotator rotates keys. All fields but the last three are required.
type Rotator struct {
	Users    turn.Users
	Keys     issue.Keys
	Policies Policies
	Secrets  Secrets
	// Versions returns the versions as the rotation with that RotationToken writes them.
	Versions  func(rotationToken access.Secret) Versions
	Prober    issue.Prober
	Announcer notice.Announcer
	Log       *slog.Logger

	// Function is the ARN of the rotator itself: it rotates secrets of its own account
	// and region that name it as their rotation function, and no others.
	Function string

	// Ended counts a rotation that has ended: its key is current, or it failed; nil:
	// nobody counts.
	Ended func(failed bool)
	// Lease and InFlight are order.Lease and order.InFlight where they are not set.
	Lease, InFlight time.Duration
}

// Step carries one step out. An error makes Secrets Manager try the whole rotation
// again, with the same token.
func (r *Rotator) Step(ctx context.Context, event Event) error {
	run := r.begin(event)
	err := run.carryOut(ctx)
	outcome := "done"
	if err != nil {
		outcome = err.Error()
	}
	r.Log.InfoContext(ctx, "rotation", "step", event.Step, "secret", event.secretName(), "version", event.Token, "did", run.did, "outcome", outcome)
	return err
}
