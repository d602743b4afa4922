package provision

import (
	"context"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/metric"
)

// Unproven is a key that does not do what it should, or not in time, and why.
type Unproven struct{ Cause error }

func (u Unproven) Error() string { return u.Cause.Error() }

// Unwrap returns the cause.
func (u Unproven) Unwrap() error { return u.Cause }

func (r *run) proven(ctx context.Context, key access.Credentials) error {
	defer metric.Verified(ctx, time.Now())
	if err := r.Prober.Prove(ctx, key, r.want.Spec.Scope); err != nil {
		return Unproven{err}
	}
	return nil
}
