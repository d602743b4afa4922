package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
)

// readerLag is how long AWS may not know a reader yet: the same stack may have created the
// role a moment ago. Some ten seconds have been seen.
// https://github.com/boto/boto3/issues/3206
const readerLag = 30 * time.Second

func (r *run) putResourcePolicy(ctx context.Context, s plan.PutResourcePolicy) error {
	lag := readerLag
	if s.Tolerant {
		lag = 0
	}
	// A crash after this: the readers of this step may read, and the next run sees them.
	// They were readers before, or are declared now.
	err := r.letRead(ctx, s.Secret, s.Readers, lag)
	switch {
	case errors.Is(err, access.ErrPrincipal) && s.Tolerant:
		return r.letThoseRead(ctx, s)
	case errors.Is(err, access.ErrPrincipal):
		return told("SecretReaders: AWS still does not know %s after %d seconds; correct or remove it, or have the stack create its user or role first (DependsOn): %w", whom(s.Readers), int(readerLag.Seconds()), err)
	case errors.Is(err, access.ErrPublic):
		return told("SecretReaders: Secrets Manager refuses these readers as public access; name single users and roles: %w", err)
	}
	return err
}

func (r *run) letRead(ctx context.Context, secret string, readers []string, lag time.Duration) error {
	started := time.Now()
	return r.write(ctx, func(ctx context.Context) error {
		err := r.Readers.PutResourcePolicy(ctx, secret, policy.Readers(readers))
		if errors.Is(err, access.ErrPrincipal) && time.Since(started) < lag {
			return fmt.Errorf("%w: %w", access.ErrBusy, err)
		}
		return err
	})
}

// letThoseRead allows the readers that AWS knows. A reader's user or role may have been
// deleted. That must not fail an update of something else, least of all a rollback.
func (r *run) letThoseRead(ctx context.Context, s plan.PutResourcePolicy) error {
	known := slices.Clone(s.Kept)
	for _, reader := range s.Readers {
		if slices.Contains(known, reader) {
			continue
		}
		err := r.letRead(ctx, s.Secret, append(slices.Clone(known), reader), 0)
		switch {
		case errors.Is(err, access.ErrPrincipal):
			r.Log.WarnContext(ctx, "a reader of the secret does not exist any more; remove it from SecretReaders, or create its user or role again", "secret", s.Secret, "reader", reader)
		case err != nil:
			return err
		default:
			known = append(known, reader)
		}
	}
	return nil
}

// whom names the readers in a message.
func whom(readers []string) string {
	if len(readers) > 1 {
		return fmt.Sprintf("one of the %d readers", len(readers))
	}
	return readers[0]
}

// deleteResourcePolicy reads the policy first: the secret may have been restored with a
// policy that somebody else attached.
func (r *run) deleteResourcePolicy(ctx context.Context, s plan.DeleteResourcePolicy) error {
	text, err := patience.Ask(ctx, patience.Nothing, func() (string, error) { return r.Readers.ResourcePolicy(ctx, s.Secret) })
	if err != nil {
		return fmt.Errorf("reading its resource policy: %w", err)
	}
	if _, ours, _ := policy.ReadersOf(text); !ours {
		return nil
	}
	// A crash after this: no reader may read. This step is planned only if no reader stays.
	return r.write(ctx, func(ctx context.Context) error { return r.Readers.DeleteResourcePolicy(ctx, s.Secret) })
}
