package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
)

// settling is how long Secrets Manager may refuse a schedule because it is still
// testing the one before: it has the rotator do one step then, with an AWSPENDING
// version that it takes away again.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
const settling = 30 * time.Second

func (r *run) schedule(ctx context.Context, s plan.Schedule) error {
	// A crash after this: all is as declared, but for the marks on the user.
	err := r.rotate(ctx, s.Secret, s.Expression, func(ctx context.Context) error {
		return r.Rotations.Schedule(ctx, s.Secret, s.Expression)
	})
	switch {
	case err == nil, r.toleratesRotation(ctx, s.Secret, s.Tolerant, err):
		return nil
	case errors.Is(err, access.ErrInvalid):
		return told("RotationSchedule: Secrets Manager does not take the schedule %s for secret %s. Likeliest, a rotation of the secret has not ended: update the stack again in some minutes; if the rotation is stuck, leave RotationSchedule out in one update, and set it in the next. Or Secrets Manager knows no such schedule: write another one: %w", s.Expression, s.Secret, err)
	case errors.Is(err, access.ErrDenied), errors.Is(err, access.ErrNotFound):
		return told("RotationSchedule: Secrets Manager cannot have secret %s rotated. Likeliest, the provider's rotation function was deleted or changed, or a policy of the organization denies secretsmanager:RotateSecret or lambda:InvokeFunction to %s. Ask the owner of the provider's stack to put that right, or leave RotationSchedule out: %w", s.Secret, r.role(), err)
	}
	return err
}

func (r *run) cancelRotation(ctx context.Context, s plan.CancelRotation) error {
	// A crash after this: nothing rotates the secret any more. What a rotation has not
	// finished has AWSPENDING, by which the next run finds it.
	err := r.rotate(ctx, s.Secret, "", func(ctx context.Context) error { return r.Rotations.CancelRotation(ctx, s.Secret) })
	if r.toleratesRotation(ctx, s.Secret, s.Tolerant, err) {
		return nil
	}
	return err
}

// rotate has the secret rotated by a schedule; empty: not at all. Secrets Manager may
// refuse to do what an attempt has done whose answer was lost: a look tells.
func (r *run) rotate(ctx context.Context, secret, schedule string, f func(context.Context) error) error {
	settles := time.Now().Add(settling)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline)/2 < settling {
		settles = time.Now().Add(time.Until(deadline) / 2) // what follows takes time too
	}
	return r.write(ctx, func(ctx context.Context) error {
		err := f(ctx)
		if !errors.Is(err, access.ErrInvalid) {
			return err
		}
		now, look := patience.Ask(ctx, patience.Nothing, func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, secret) })
		switch {
		case look == nil && now.Rotation.Holds(schedule):
			return nil
		case time.Now().Before(settles):
			return fmt.Errorf("%w: %w", access.ErrBusy, err)
		}
		return err
	})
}

// toleratesRotation reports whether an event goes on though the secret is not rotated
// as declared: the stack goes back to what was accepted before.
func (r *run) toleratesRotation(ctx context.Context, secret string, tolerant bool, err error) bool {
	if err == nil || !tolerant || !access.Definite(err) {
		return false
	}
	r.Log.WarnContext(ctx, "RotationSchedule: the secret is not rotated as the stack declares, which was accepted before and is refused now; each update tries again", "secret", secret, "error", err.Error())
	return true
}
