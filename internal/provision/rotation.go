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

// scheduleTest is how long Secrets Manager may refuse a schedule because it still tests the one
// before. For that test it has the rotator do one step, with an AWSPENDING version that
// Secrets Manager removes again.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
const scheduleTest = 30 * time.Second

func (r *run) schedule(ctx context.Context, s plan.Schedule) error {
	// A crash after this: everything is as declared, but the user is not marked as
	// completed.
	err := r.rotate(ctx, s.Secret, s.Expression, func(ctx context.Context) error {
		return r.Rotations.Schedule(ctx, s.Secret, s.Expression)
	})
	switch {
	case err == nil, r.toleratesRotation(ctx, s.Secret, s.Tolerant, err):
		return nil
	case errors.Is(err, access.ErrInvalid):
		return told("RotationSchedule: Secrets Manager does not accept the schedule %s for secret %s. Most likely, a rotation of the secret has not ended: update the stack again in some minutes. If the rotation does not end, remove RotationSchedule in one update, and set it in the next. Or the schedule is not valid: write another one: %w", s.Expression, s.Secret, err)
	case errors.Is(err, access.ErrDenied), errors.Is(err, access.ErrNotFound):
		return told("RotationSchedule: Secrets Manager cannot rotate secret %s. Most likely, the provider's rotation function was deleted or changed, or a policy of the organization denies secretsmanager:RotateSecret or lambda:InvokeFunction to %s. Ask the owner of the provider's stack to correct that, or remove RotationSchedule: %w", s.Secret, r.role(), err)
	}
	return err
}

func (r *run) cancelRotation(ctx context.Context, s plan.CancelRotation) error {
	// A crash after this: nothing rotates the secret any more. A rotation that did not end
	// has left AWSPENDING, by which the next run finds it.
	err := r.rotate(ctx, s.Secret, "", func(ctx context.Context) error { return r.Rotations.CancelRotation(ctx, s.Secret) })
	if r.toleratesRotation(ctx, s.Secret, s.Tolerant, err) {
		return nil
	}
	return err
}

// rotate makes Secrets Manager rotate the secret by a schedule; empty: not at all. Secrets
// Manager may refuse the call because an earlier attempt, whose answer was lost, has done
// it. So rotate reads the secret after a refusal.
func (r *run) rotate(ctx context.Context, secret, schedule string, f func(context.Context) error) error {
	giveUp := time.Now().Add(scheduleTest)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline)/2 < scheduleTest {
		giveUp = time.Now().Add(time.Until(deadline) / 2) // the following steps take time too
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
		case time.Now().Before(giveUp):
			return fmt.Errorf("%w: %w", access.ErrBusy, err)
		}
		return err
	})
}

// toleratesRotation reports whether an event goes on although the secret is not rotated as
// declared: the stack goes back to a state that was accepted before.
func (r *run) toleratesRotation(ctx context.Context, secret string, tolerant bool, err error) bool {
	if err == nil || !tolerant || !access.Definite(err) {
		return false
	}
	r.Log.WarnContext(ctx, "RotationSchedule: the secret is not rotated as the stack declares. The schedule was accepted before and is refused now; each update tries again", "secret", secret, "error", err.Error())
	return true
}
