package plan

import (
	"fmt"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
)

// Secrets Manager rotates a secret independently of events. A rotation that has ended looks
// like the work of an event: the label of the current version says for which Serial its key
// was issued, and that it was proven. A rotation that has not ended has a version with
// AWSPENDING. No event changes that version, unless the rotation can no longer end: the
// stack declares no rotation, the secret has another name, or it belongs to another user
// now. Nobody has that key, so it is deleted.

// unfinished returns the version of a rotation that has not ended.
func unfinished(secret access.SecretInfo) (access.Version, bool) {
	pending, there := secret.Labelled(access.Pending)
	return pending, there && !pending.Has(access.Current)
}

// rotating is the secret of which a rotation has not ended; if there is none, the declared
// one.
func (p *planner) rotating() string {
	for _, old := range p.seen.OldSecrets {
		if _, ok := unfinished(old); ok {
			return old.Name
		}
	}
	return p.want.Spec.SecretName
}

// schedule plans how the secret is rotated. It comes after the current key is in place:
// Secrets Manager has the rotator test what is there. And it comes before any deletion:
// Secrets Manager may refuse.
func (p *planner) schedule(ready needs) (needs, error) {
	var secret access.SecretInfo
	if p.seen.Secret != nil {
		secret = *p.seen.Secret
	}
	s := p.want.Spec
	if s.Schedule == "" {
		return p.stopRotating(secret, ready), nil
	}
	version, halfDone := unfinished(secret)
	_, others := (keyring.Ring{Keys: p.seen.OtherKeys}).Find(keyring.KeyID(version))
	if halfDone && (others || !secret.Rotation.On) {
		// The secret belongs to this user only now, or a crash or a person has cancelled the
		// rotation: the rotator does not end it.
		ready, halfDone = p.endRotation(secret, ready), false
	}
	if secret.Rotation.Holds(s.Schedule) {
		return ready, nil
	}
	if _, held := p.ring.Find(keyring.KeyID(version)); halfDone && held && !p.acceptedWhole {
		return nil, Refused(fmt.Sprintf("RotationSchedule: a rotation of secret %s has not ended, and Secrets Manager does not change the schedule before that. Nothing was changed. Update the stack again in some minutes. If the rotation does not end, remove RotationSchedule in one update, and set it in the next: the first update ends the rotation, and deletes its new key, which nobody has yet", secret.Name))
	}
	return after(ready, p.add(Schedule{Secret: s.SecretName, Expression: s.Schedule, Tolerant: p.acceptedWhole}, ready)), nil
}

// stopRotating stops the rotation of a secret that stays, and takes back a rotation that has
// not ended.
func (p *planner) stopRotating(secret access.SecretInfo, ready needs) needs {
	if secret.Rotation.On {
		ready = after(ready, p.add(CancelRotation{Secret: secret.Name, Tolerant: p.acceptedWhole}, ready))
	}
	return p.endRotation(secret, ready)
}

// endRotation takes back a rotation that has not ended, of a secret that stays. After a
// crash within, the next run does the rest, because AWSPENDING is removed last.
func (p *planner) endRotation(secret access.SecretInfo, ready needs) needs {
	version, halfDone := unfinished(secret)
	if !halfDone {
		return ready
	}
	return after(ready, p.forget(secret.Name, version, access.Pending, p.dropPending(secret, ready)))
}

// dropPending deletes the key of a rotation that has not ended. The list of keys may not
// have that key yet.
func (p *planner) dropPending(secret access.SecretInfo, ready needs) needs {
	version, halfDone := unfinished(secret)
	key, user := keyring.KeyID(version), p.want.Spec.UserName
	if !halfDone || key == "" || p.isCurrent(key) {
		return ready
	}
	if _, others := (keyring.Ring{Keys: p.seen.OtherKeys}).Find(key); others {
		user = p.want.Other()
	}
	return after(ready, p.add(DeleteKey{user, key}, ready))
}

// isCurrent reports whether the key is current in the declared secret.
func (p *planner) isCurrent(key string) bool {
	current, _ := p.ring.Labelled(access.Current)
	return keyring.KeyID(current) == key
}

// forget removes our labels from a version whose key is deleted. The label by which the next
// run finds the version is removed last.
func (p *planner) forget(secret string, version access.Version, last string, ready needs) needs {
	off := ready
	for _, label := range version.Labels {
		if name.IsOwnLabel(label) && label != last {
			off = after(off, p.add(Unlabel{secret, version.ID, label}, ready))
		}
	}
	return p.add(Unlabel{secret, version.ID, last}, off)
}
