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

// retire retires the keys that are due, while the sweep has its turn. It looks again before
// and after that, because an event may have moved AWSCURRENT in the meantime. If an event or
// a rotation is at work on the user, the next sweep retires its keys.
func (r *round) retire(ctx context.Context, s *seen) error {
	if len(s.holding.Retire()) == 0 {
		return nil
	}
	err := r.inTurn(ctx, s)
	if errors.Is(err, turn.ErrAtWork) {
		r.Log.InfoContext(ctx, "an event or a rotation is at work on the user; the next sweep retires its keys", "user", s.user.Name)
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

// again reads the keys and each secret once more.
func (r *round) again(ctx context.Context, s seen) (keyring.Holding, error) {
	var secrets []access.SecretInfo
	for _, listed := range r.secrets[resource(s.user.Tags)] {
		secret, err := question(ctx, "reading secret "+listed.Name, func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, listed.Name) })
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

// carryOut does what is due for one key.
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
		// A crash after this: the grace begins again, as it should.
		err = r.label(ctx, guard, due, name.ReactivatedLabel(due.KeyID, time.Now()))
	}
	if err != nil {
		return fmt.Errorf("retiring key %s (%s): %w", due.KeyID, due.Deed, err)
	}
	r.Log.InfoContext(ctx, "retiring a key", "user", user, "key", due.KeyID, "deed", string(due.Deed))
	return nil
}

func (r *round) deactivate(ctx context.Context, guard issue.Guard, user string, due keyring.Retirement) error {
	// The label comes first: without it, an inactive key counts as deactivated by hand, and
	// nobody gets a notice. A crash after this leaves that label for an active key. The next
	// sweep then assumes that somebody has activated the key again, and waits once more.
	label := name.DeactivatedLabel(due.KeyID, time.Now())
	if err := r.label(ctx, guard, due, label); err != nil {
		return err
	}
	// A crash after this: only the notice is missing, and the next sweep sends it.
	err := guard.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.iam.DeactivateKey(ctx, user, due.KeyID) })
	switch {
	case err == nil:
		r.count(func(c *metric.Swept) { c.Deactivated++ })
	case access.Definite(err):
		return errors.Join(err, r.unlabel(ctx, guard, due, label))
	}
	return err
}

func (r *round) remove(ctx context.Context, guard issue.Guard, user string, h keyring.Holding, due keyring.Retirement) error {
	// A crash after this leaves a version with labels of a deleted key. If the sweep had
	// deactivated that key, the next sweep removes them. Otherwise the next event does.
	err := guard.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.iam.DeleteKey(ctx, user, due.KeyID) })
	if err != nil {
		return err
	}
	r.count(func(c *metric.Swept) { c.Deleted++ })
	return r.forget(ctx, guard, h, due)
}

// forget removes our labels from the version, and last the label that names the key: until
// then the next sweep finds the version again.
func (r *round) forget(ctx context.Context, guard issue.Guard, h keyring.Holding, due keyring.Retirement) error {
	for _, label := range h.OwnLabels(due) {
		// A crash after this: the next sweep or the next event removes the other labels.
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
