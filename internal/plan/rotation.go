package plan

import (
	"fmt"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
)

// Secrets Manager rotates a secret by itself, past every event. What it has finished is
// found like what an event has made: the version with AWSCURRENT says for which Serial
// its key was issued, and that it was proven. What it has not finished, the version
// with AWSPENDING, no event touches, unless nothing can finish it any more: the stack
// wants no rotation, the secret has another name, or it has passed to another user.
// Its key was never given to anybody, and goes.

// unfinished returns the version of a rotation that has not ended.
func unfinished(secret access.SecretInfo) (access.Version, bool) {
	pending, there := secret.Labelled(access.Pending)
	return pending, there && !pending.Has(access.Current)
}

// rotating is the secret of which a rotation has not ended; the wanted one, if there is
// none.
func (p *planner) rotating() string {
	for _, former := range p.seen.Formers {
		if _, ok := unfinished(former); ok {
			return former.Name
		}
	}
	return p.want.Spec.SecretName
}

// schedule plans how the secret is rotated. Once AWSCURRENT names a key that may stay:
// Secrets Manager has the rotator test what is there. But before anything goes away:
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
		// The secret has passed to this user, or a crash or somebody has cancelled the
		// rotation: the rotator does not finish it.
		ready, halfDone = p.endRotation(secret, ready), false
	}
	if secret.Rotation.Holds(s.Schedule) {
		return ready, nil
	}
	if _, held := p.ring.Find(keyring.KeyID(version)); halfDone && held && !p.stood {
		return nil, Refused(fmt.Sprintf("RotationSchedule: a rotation of secret %s has not ended, and Secrets Manager changes no schedule before it has. Nothing was changed. Update the stack again in some minutes. If the rotation is stuck, leave RotationSchedule out in one update, which ends the rotation and deletes the new key that nobody has yet, and set it in the next", secret.Name))
	}
	return after(ready, p.add(Schedule{Secret: s.SecretName, Expression: s.Schedule, Tolerant: p.stood}, ready)), nil
}

// stopRotating has a secret that stays rotated no more, and ends a rotation that is half
// done.
func (p *planner) stopRotating(secret access.SecretInfo, ready needs) needs {
	if secret.Rotation.On {
		ready = after(ready, p.add(CancelRotation{Secret: secret.Name, Tolerant: p.stood}, ready))
	}
	return p.endRotation(secret, ready)
}

// endRotation takes back what a rotation has not finished of a secret that stays. A
// crash within: AWSPENDING, which comes off last, has the next run do the rest.
func (p *planner) endRotation(secret access.SecretInfo, ready needs) needs {
	version, halfDone := unfinished(secret)
	if !halfDone {
		return ready
	}
	return after(ready, p.forget(secret.Name, version, access.Pending, p.dropPending(secret, ready)))
}

// dropPending deletes the key of a rotation that has not ended. The list of keys may
// not have it yet.
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

// isCurrent reports whether AWSCURRENT of the wanted secret names the key.
func (p *planner) isCurrent(key string) bool {
	current, _ := p.ring.Labelled(access.Current)
	return keyring.KeyID(current) == key
}

// forget takes our labels off a version whose key is gone, and that one last by which
// the next run finds the version again.
func (p *planner) forget(secret string, version access.Version, last string, ready needs) needs {
	off := ready
	for _, label := range version.Labels {
		if name.IsOwnLabel(label) && label != last {
			off = after(off, p.add(Unlabel{secret, version.ID, label}, ready))
		}
	}
	return p.add(Unlabel{secret, version.ID, last}, off)
}
