package accesstest

import (
	"context"
	"fmt"

	"cloney-s3-credentials/internal/access"
	naming "cloney-s3-credentials/internal/name"
)

// Schedule has a secret rotated by a schedule. What Secrets Manager tests then, in its
// own time, leaves nothing.
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

// CancelRotation has a secret rotated no more. AWSPENDING stays where it is.
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

// CloseRotator has Secrets Manager answer so where it is to rotate: the function is
// gone, or does not let itself be invoked. nil: it rotates again.
func (a *Account) CloseRotator(answer error) { a.byHand(func() { a.rotator = answer }) }

// BeginRotation is what Secrets Manager does before it invokes the rotator: it registers
// the version that the token names, empty, as AWSPENDING. A rotation that has not ended
// is to be taken up again instead: the error says so, and token is that one's.
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

// EndTest is what Secrets Manager does once testSecret, which it asked for alone, has
// ended: it takes away the version that it made for that.
func (a *Account) EndTest(secret, token string) {
	a.byHand(func() {
		if s := a.secrets[secret]; s != nil && s.version(token) != nil {
			s.drop(access.Pending, s.version(token))
		}
	})
}

// promotes shouts when a rotation makes a key current that was never proven.
func (a *Account) promotes(s *secret, v *version) {
	if k := a.key(v.key); v.has(access.Pending) && (k == nil || !k.proven) && !a.expected[s.tags[naming.TagPhysical]] {
		a.shout("a rotation makes key %s current in %s, which was never proven", v.key, s.name)
	}
}

// Reschedule gives a secret another schedule by hand.
func (a *Account) Reschedule(secret, schedule string) {
	a.byHand(func() { a.secrets[secret].rotation = access.Rotation{On: true, Schedule: schedule, Function: Rotator} })
}

// TakeForProven takes a key for proven: a test plays a rotation by hand.
func (a *Account) TakeForProven(keyID string) { a.byHand(func() { a.key(keyID).proven = true }) }
