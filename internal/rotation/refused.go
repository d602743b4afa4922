package rotation

import (
	"fmt"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Refused says why a rotation cannot continue, and what to do. The current key has not
// changed.
type Refused struct {
	Reason string
	Next   string
	// announced: the owner of the secret gets a notice, one for each rotation.
	announced bool
}

func (r Refused) Error() string { return r.Reason + ". " + r.Next }

// failed returns a refusal that is announced to the owner of the secret.
func failed(next, reason string, args ...any) Refused {
	return Refused{Reason: fmt.Sprintf(reason, args...), Next: next, announced: true}
}

func noSecret(e Event) Refused {
	return Refused{Reason: fmt.Sprintf("secret %s does not exist", e.SecretID), Next: "You need not do anything: the secret was deleted, and its rotation with it"}
}

// ownerOf reads the owner from the tags of a secret, and reports whether the secret is one
// of this provider's.
func ownerOf(secret access.SecretInfo) (owner name.Owner, ours bool) {
	stack, err := name.ParseStackID(secret.Tags[name.TagStack])
	owner = name.Owner{Stack: stack, Logical: secret.Tags[name.TagLogical]}
	return owner, err == nil && owner.Logical != "" && name.IsUser(secret.Tags[name.TagPhysical]) && strings.HasPrefix(secret.Name, name.SecretPrefix)
}

// whose returns the resource to which the secret belongs, or the reason why this function
// does not rotate the secret. The event is not trusted: anybody who may set a rotation
// function could name this one.
func whose(secret access.SecretInfo, e Event, function string) (name.Owner, error) {
	owner, ours := ownerOf(secret)
	rotate := "aws secretsmanager rotate-secret --secret-id " + secret.Name
	switch {
	case !ours:
		return owner, Refused{
			Reason: fmt.Sprintf("secret %s was not created by this provider, or has lost tags of this provider. The secret was not changed", secret.Name),
			Next:   "If it belongs to a stack of this provider, change a property of the resource there, for example a tag in Tags, and update the stack: the update says which tags to restore. Otherwise remove this rotation function from it: aws secretsmanager cancel-rotate-secret --secret-id " + secret.Name,
		}
	case e.byARN() && secret.ARN != e.SecretID, home(secret.ARN) != home(function):
		return owner, Refused{
			Reason: fmt.Sprintf("the event names secret %s, but this function rotates only secrets of its own account and region. The secret was not changed", e.SecretID),
			Next:   "Start another rotation: " + rotate,
		}
	case !secret.Deleted.IsZero():
		return owner, Refused{
			Reason: fmt.Sprintf("secret %s is scheduled for deletion. The secret was not changed", secret.Name),
			Next:   "To keep the secret: aws secretsmanager restore-secret --secret-id " + secret.Name,
		}
	case !secret.Rotation.On, secret.Rotation.Function != function:
		return owner, Refused{
			Reason: fmt.Sprintf("the rotation of secret %s is off, or another function rotates it. The secret was not changed", secret.Name),
			Next:   "To rotate it by this function, give the resource a RotationSchedule, and update the stack",
		}
	}
	return owner, nil
}

// home returns the partition, region and account of an ARN.
func home(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	return strings.Join([]string{parts[1], parts[3], parts[4]}, ":")
}

// checkNotEnded refuses a rotation that has ended: its version is neither AWSCURRENT nor
// AWSPENDING.
func (s seen) checkNotEnded() error {
	v := s.pending()
	if v.Has(access.Current) || v.Has(access.Pending) {
		return nil
	}
	return Refused{
		Reason: fmt.Sprintf("this rotation of secret %s has ended: its version is not AWSPENDING any more. The proof of its key failed, a later change has discarded it, or its key became current earlier", s.secret.Name),
		Next:   "To start another rotation: aws secretsmanager rotate-secret --secret-id " + s.secret.Name,
	}
}
