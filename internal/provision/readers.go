package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
)

// readerLag is how long a reader may be unknown to AWS: the same stack may
// have made the role a moment ago. Some ten seconds have been seen.
// https://github.com/boto/boto3/issues/3206
const readerLag = 30 * time.Second

// resourcePolicy returns that of a secret of ours. In its recovery window a
// secret does not show it.
func (p *Provisioner) resourcePolicy(ctx context.Context, want plan.Desired, secret *access.SecretInfo) (string, error) {
	if secret == nil || !want.Owner.Owns(secret.Tags) || !secret.Deleted.IsZero() {
		return "", nil
	}
	text, err := ask(ctx, func() (string, error) { return p.Secrets.ResourcePolicy(ctx, secret.Name) })
	if err != nil {
		return "", fmt.Errorf("asking who may read secret %s: %w", secret.Name, err)
	}
	return text, nil
}

func (r *run) putResourcePolicy(ctx context.Context, s plan.PutResourcePolicy) error {
	started := time.Now()
	// A crash after this: those of this step may read, and the next run sees
	// who. They were readers before, or are declared to be now.
	err := r.settle(ctx, func() error {
		err := r.Secrets.PutResourcePolicy(ctx, s.Secret, s.Policy)
		if errors.Is(err, access.ErrPrincipal) && !s.Gone && time.Since(started) < readerLag {
			return fmt.Errorf("%w: %w", access.ErrBusy, err)
		}
		return err
	})
	switch {
	case errors.Is(err, access.ErrPrincipal) && s.Gone:
		// Someone deleted a reader's user or role. That is no reason to fail an
		// update of something else, least of all a rollback.
		r.Log.WarnContext(ctx, "a reader of the secret is gone; remove it from SecretReaders, or make its user or role again", "secret", s.Secret)
		return nil
	case errors.Is(err, access.ErrPrincipal):
		return fmt.Errorf("SecretReaders: AWS does not know %s, also not %v later; correct it or take it out, or let the stack make its user or role first (DependsOn): %w", r.readers(), readerLag, err)
	case errors.Is(err, access.ErrPublic):
		return fmt.Errorf("SecretReaders: Secrets Manager takes these readers for the public; name single users and roles: %w", err)
	}
	return err
}

// readers names the readers in a message.
func (r *run) readers() string {
	if readers := r.want.Spec.Readers; len(readers) > 1 {
		return fmt.Sprintf("one of the %d readers", len(readers))
	}
	return r.want.Spec.Readers[0]
}

// deleteResourcePolicy looks first: the secret may be back from its recovery
// window, with a policy that someone else attached.
func (r *run) deleteResourcePolicy(ctx context.Context, s plan.DeleteResourcePolicy) error {
	text, err := ask(ctx, func() (string, error) { return r.Secrets.ResourcePolicy(ctx, s.Secret) })
	if err != nil {
		return fmt.Errorf("asking who may: %w", err)
	}
	if _, ours, _ := policy.ReadersOf(text); !ours {
		return nil
	}
	// A crash after this: nobody else may read. Readers that stay so were not
	// among those that this step takes the right from.
	return r.settle(ctx, func() error { return r.Secrets.DeleteResourcePolicy(ctx, s.Secret) })
}
