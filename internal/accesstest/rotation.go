package accesstest

import (
	"context"
	"fmt"

	"cloney-s3-credentials/internal/access"
	naming "cloney-s3-credentials/internal/name"
)

// Schedule gives a secret a rotation schedule. Secrets Manager then tests the function in
// its own time, and that leaves nothing.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
func (a *Account) Schedule(ctx context.Context, name, schedule string) error {
	return a.call(on(ctx, name), "RotateSecret", func() error {
		s, err := a.open(name)
		if err != nil {
			return err
		}
		a.ours("secret "+name, s.tags)
		if current, there := s.labelled(access.Current); !there || current.key == "" {
			a.shout("secret %s is to be rotated before it has a key", name)
		}
		if a.rotator != nil {
			return a.rotator
		}
		// "A previous rotation isn't complete. That rotation will be reattempted."
		if pending, there := s.labelled(access.Pending); there && !pending.has(access.Current) {
			return access.ErrInvalid
		}
		s.rotation = access.Rotation{On: true, Schedule: schedule, Function: Rotator}
		return nil
	})
}

// CancelRotation ends the rotation of a secret. AWSPENDING stays where it is.
func (a *Account) CancelRotation(ctx context.Context, name string) error {
	return a.call(on(ctx, name), "CancelRotateSecret", func() error {
		s, err := a.open(name)
		if err != nil {
			return err
		}
		a.ours("secret "+name, s.tags)
		s.rotation.On = false
		return nil
	})
}

// Rotation returns how a secret is rotated.
func (a *Account) Rotation(secret string) (is access.Rotation) {
	a.byHand(func() {
		if s := a.secrets[secret]; s != nil {
			is = a.public(s).Rotation
		}
	})
	return is
}

// CloseRotator makes Secrets Manager give this answer when it should rotate: the function
// does not exist, or may not be invoked. nil: it rotates again.
func (a *Account) CloseRotator(answer error) { a.byHand(func() { a.rotator = answer }) }

// BeginRotation does what Secrets Manager does before it invokes the rotator: it creates
// the version of the token, without a value, as AWSPENDING. If an earlier rotation has not
// ended, that one must continue: the error says so, with its token.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
func (a *Account) BeginRotation(secret, token string) (goesOn string, err error) {
	a.byHand(func() {
		s := a.secrets[secret]
		if s == nil || !s.deleted.IsZero() || !s.rotation.On {
			err = fmt.Errorf("secret %s is not rotated: %w", secret, access.ErrInvalid)
			return
		}
		if pending, there := s.labelled(access.Pending); there && !pending.has(access.Current) {
			goesOn, err = pending.id, fmt.Errorf("a previous rotation isn't complete: %w", access.ErrInvalid)
			return
		}
		v := s.version(token)
		if v == nil {
			v = &version{id: token}
			s.versions = append(s.versions, v)
		}
		s.move(access.Pending, v)
		goesOn = token
	})
	return goesOn, err
}

// EndTest does what Secrets Manager does after a testSecret that it sent alone: it deletes
// the version that it created for that.
func (a *Account) EndTest(secret, token string) {
	a.byHand(func() {
		if s := a.secrets[secret]; s != nil && s.version(token) != nil {
			s.drop(access.Pending, s.version(token))
		}
	})
}

// promotes shouts when a rotation makes a key current that was not proven.
func (a *Account) promotes(s *secret, v *version) {
	if k := a.key(v.key); v.has(access.Pending) && (k == nil || !k.proven) && !a.expected[s.tags[naming.TagPhysical]] {
		a.shout("a rotation makes key %s current in %s, which was never proven", v.key, s.name)
	}
}

// Reschedule gives a secret another schedule by hand.
func (a *Account) Reschedule(secret, schedule string) {
	a.byHand(func() { a.secrets[secret].rotation = access.Rotation{On: true, Schedule: schedule, Function: Rotator} })
}

// TakeForProven marks a key as proven, for a test that plays a rotation by hand.
func (a *Account) TakeForProven(keyID string) { a.byHand(func() { a.key(keyID).proven = true }) }
