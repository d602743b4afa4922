package provision_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/order"
)

// What the flow repeats is a retry, and the time of proving is counted, also
// when nothing comes of it.
func TestWhatTheFlowCounts(t *testing.T) {
	play(t, func(w *world) {
		throttled := 0
		w.Before = func(_ context.Context, verb string) error {
			if verb == "CreateUser" && throttled < 3 {
				throttled++
				return access.ErrThrottled
			}
			return nil
		}
		w.Lag.Prove = 1000
		w.ExpectRemoval(user)
		ctx, tally := metric.Start(w.Context())
		_, err := w.provisioner.Create(ctx, stack(by(w.delivered(order.Run{}, order.Create))))
		if !errors.As(err, new(issue.Unproven)) {
			t.Errorf("the cause is lost: %v", err)
		}
		got := tally.Counts()
		if !got.Verified || got.Verifying < 80*time.Second || got.Verifying > 2*time.Minute || got.Retries < throttled {
			t.Errorf("%+v", got)
		}
	})
}
