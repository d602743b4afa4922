package rotation

import (
	"fmt"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Refused says why a rotation cannot go on, and what to do. The current key is as it
// was.
type Refused struct {
	Reason string
	Next   string
	// told: the owner of the secret is told, once for each rotation.
	told bool
}

func (r Refused) Error() string { return r.Reason + ". " + r.Next }

// failed is a refusal that the owner of the secret is told.
func failed(next, reason string, args ...any) Refused {
	return Refused{Reason: fmt.Sprintf(reason, args...), Next: next, told: true}
}

func noSecret(e Event) Refused {
	return Refused{Reason: fmt.Sprintf("secret %s does not exist", e.SecretID), Next: "Nothing is to be done: it was deleted, and its rotation with it"}
}

// whose returns the resource that the secret belongs to, or says why this function
// does not rotate it. The event is not trusted: anyone who may set a rotation function
// could name this one.
func whose(secret access.SecretInfo, e Event, function string) (name.Owner, error) {
	stack, err := name.ParseStackID(secret.Tags[name.TagStack])
	owner := name.Owner{Stack: stack, Logical: secret.Tags[name.TagLogical]}
	rotate := "aws secretsmanager rotate-secret --secret-id " + secret.Name
	switch {
	case err != nil, owner.Logical == "", !name.IsUser(secret.Tags[name.TagPhysical]), !strings.HasPrefix(secret.Name, name.SecretPrefix):
		return owner, Refused{
			Reason: fmt.Sprintf("secret %s was not made by this provider, or has lost tags of it; it was not touched", secret.Name),
			Next:   "If a stack of this provider made it, change a property of the resource there, a tag in Tags will do, and update the stack: the update says which tags to give back. If not, take this rotation function off: aws secretsmanager cancel-rotate-secret --secret-id " + secret.Name,
		}
	case e.byARN() && secret.ARN != e.SecretID, home(secret.ARN) != home(function):
		return owner, Refused{
			Reason: fmt.Sprintf("the event is about %s, and this function rotates secrets of its own account and region; it was not touched", e.SecretID),
			Next:   "Start another rotation: " + rotate,
		}
	case !secret.Deleted.IsZero():
		return owner, Refused{
			Reason: fmt.Sprintf("secret %s is scheduled for deletion; it was not touched", secret.Name),
			Next:   "If it is to stay: aws secretsmanager restore-secret --secret-id " + secret.Name,
		}
	case !secret.Rotation.On, secret.Rotation.Function != function:
		return owner, Refused{
			Reason: fmt.Sprintf("the rotation of secret %s is off, or another function does it; it was not touched", secret.Name),
			Next:   "If it is to be rotated, give the resource a RotationSchedule, and update the stack",
		}
	}
	return owner, nil
}

// home is the partition, region and account of an ARN.
func home(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	return strings.Join([]string{parts[1], parts[3], parts[4]}, ":")
}

// atWork refuses a rotation that has ended: its version is neither AWSCURRENT nor
// AWSPENDING.
func (s seen) atWork() error {
	v := s.pending()
	if v.Has(access.Current) || v.Has(access.Pending) {
		return nil
	}
	return Refused{
		Reason: fmt.Sprintf("this rotation of secret %s has ended: its version is not AWSPENDING any more. The test of its key failed, a later change has taken it back, or it was finished long ago", s.secret.Name),
		Next:   "To start another: aws secretsmanager rotate-secret --secret-id " + s.secret.Name,
	}
}
