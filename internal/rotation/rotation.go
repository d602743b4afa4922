// Package rotation carries out the four steps in which Secrets Manager rotates the key of
// a secret.
//
// Each step works in the same way: look at what exists, decide, do. If its process was
// killed or its response was lost, Secrets Manager repeats the step, which sees how far the
// earlier attempt has come. The decision is a pure function (decide.go).
//
// A rotation has no properties. The secret's tags name its resource, and the user's own
// policies say what the key must be able to do.
//
//   - createSecret creates a key and stores it as the version that the rotation's token
//     names. If the user has two keys in use, it fails and changes nothing.
//   - setSecret checks that user, tags and secret are as they should be.
//   - testSecret proves the key. If the proof fails, it deletes the key and removes the
//     labels from its version.
//   - finishSecret makes the key current, and announces that to the owner. The previous key
//     continues to work: the daily sweep retires it once nobody uses it.
//
// A step that writes first takes its turn (package turn), so that it does not work on a user
// at the same time as an event of CloudFormation. A comment at each write says what a crash
// right after it leaves.
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

// Policies reads the customer managed policies under the provider's own path.
type Policies interface {
	// Attached returns the names of our policies that are attached to the user.
	Attached(ctx context.Context, user string) ([]string, error)
	// Policy returns a policy with its text and tags, or access.ErrNotFound.
	Policy(ctx context.Context, name string) (access.Policy, error)
}

// Secrets reads and tags the secrets of Secrets Manager.
type Secrets interface {
	issue.Secrets
	// TagSecret sets and removes tags.
	TagSecret(ctx context.Context, name string, set map[string]string, unset []string) error
}

// Versions reads and writes the versions of a secret.
type Versions interface {
	issue.Versions
	// Label adds a staging label of ours to a version. A repetition changes nothing.
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

	// Function is the ARN of the rotator itself. It rotates only secrets of its own account
	// and region that name it as their rotation function.
	Function string

	// Ended counts a rotation that has ended, because its key is current or because it
	// failed. It may be nil.
	Ended func(failed bool)
	// Lease and InFlight are order.Lease and order.InFlight if they are not set.
	Lease, InFlight time.Duration
}

// Step carries out one step. After an error Secrets Manager repeats the whole rotation with
// the same token.
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
