package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/turn"
)

// retire carries out what the look says is to be retired, while it is the sweep's
// turn, and looks again before and after: meanwhile an event may have moved AWSCURRENT.
// A user at which an event or a rotation is at work is left to the next sweep.
func (r *round) retire(ctx context.Context, s *seen) error {
	if len(s.holding.Retire()) == 0 {
		return nil
	}
	err := r.inTurn(ctx, s)
	if errors.Is(err, turn.ErrAtWork) {
		r.Log.InfoContext(ctx, "an event or a rotation is at work on the user; its keys are left to the next sweep", "user", s.user.Name)
		return nil
	}
	now, failed := r.again(ctx, *s)
	if failed == nil {
		s.holding = now
	}
	return errors.Join(err, failed)
}

func (r *round) inTurn(ctx context.Context, s *seen) error {
	mine, err := turn.Rotator{Users: r.iam, Log: r.Log}.Take(ctx, s.user, "sweep")
	defer mine.Leave(ctx)
	if err != nil {
		return err
	}
	fresh, err := r.again(ctx, *s)
	if err != nil {
		return err
	}
	for _, due := range fresh.Retire() {
		if err := r.carryOut(ctx, mine, s.user.Name, fresh, due); err != nil {
			return err
		}
	}
	return nil
}

// again looks at the keys once more, and at each secret by itself.
func (r *round) again(ctx context.Context, s seen) (keyring.Holding, error) {
	var secrets []access.SecretInfo
	for _, listed := range r.secrets[resource(s.user.Tags)] {
		secret, err := question(ctx, "looking at secret "+listed.Name, func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, listed.Name) })
		if errors.Is(err, access.ErrNotFound) {
			continue
		}
		if err != nil {
			return keyring.Holding{}, err
		}
		if s.owner.Owns(secret.Tags) && secret.Deleted.IsZero() {
			secrets = append(secrets, secret)
		}
	}
	return r.holding(ctx, s.user, secrets)
}

// carryOut does what is due with one key.
func (r *round) carryOut(ctx context.Context, guard issue.Guard, user string, h keyring.Holding, due keyring.Retirement) error {
	var err error
	switch due.Deed {
	case keyring.Deactivate:
		err = r.deactivate(ctx, guard, user, due)
	case keyring.Delete:
		err = r.remove(ctx, guard, user, h, due)
	case keyring.Forget:
		err = r.forget(ctx, guard, h, due)
	case keyring.Spare:
		// A crash after this: the grace begins anew, as it should.
		err = r.label(ctx, guard, due, name.ReactivatedLabel(due.KeyID, time.Now()))
	}
	if err != nil {
		return fmt.Errorf("key %s, to %s: %w", due.KeyID, due.Deed, err)
	}
	r.Log.InfoContext(ctx, "retiring a key", "user", user, "key", due.KeyID, "deed", string(due.Deed))
	return nil
}

func (r *round) deactivate(ctx context.Context, guard issue.Guard, user string, due keyring.Retirement) error {
	// The note comes first: a key that is inactive without it counts as deactivated by
	// hand, and nobody is told. A crash after this: a note of a key that is active. The
	// next sweep takes it for one that somebody has activated again, and waits once more.
	note := name.DeactivatedLabel(due.KeyID, time.Now())
	if err := r.label(ctx, guard, due, note); err != nil {
		return err
	}
	// A crash after this: all is done but for telling, which the next sweep does.
	err := guard.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.iam.DeactivateKey(ctx, user, due.KeyID) })
	switch {
	case err == nil:
		r.count(func(c *metric.Swept) { c.Deactivated++ })
	case access.Definite(err):
		return errors.Join(err, r.unlabel(ctx, guard, due, note))
	}
	return err
}

func (r *round) remove(ctx context.Context, guard issue.Guard, user string, h keyring.Holding, due keyring.Retirement) error {
	// A crash after this: a version that says of a key which is gone when the sweep
	// deactivated it. The next sweep forgets it; of one deactivated by hand the next
	// event does.
	err := guard.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.iam.DeleteKey(ctx, user, due.KeyID) })
	if err != nil {
		return err
	}
	r.count(func(c *metric.Swept) { c.Deleted++ })
	return r.forget(ctx, guard, h, due)
}

// forget takes our labels off the version, the key's own one last: until then the next
// sweep finds it again.
func (r *round) forget(ctx context.Context, guard issue.Guard, h keyring.Holding, due keyring.Retirement) error {
	for _, label := range h.OwnLabels(due) {
		// A crash after this: the next sweep, or the next event, takes off the others.
		if err := r.unlabel(ctx, guard, due, label); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) unlabel(ctx context.Context, guard issue.Guard, due keyring.Retirement, label string) error {
	return guard.Write(ctx, patience.Nothing, func(ctx context.Context) error {
		return r.Secrets.Unlabel(ctx, due.Secret, due.Version, label)
	})
}

func (r *round) label(ctx context.Context, guard issue.Guard, due keyring.Retirement, label string) error {
	return guard.Write(ctx, patience.Nothing, func(ctx context.Context) error {
		return r.Secrets.Label(ctx, due.Secret, due.Version, label)
	})
}
