package provision

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"cloney-s3-credentials/internal/access"
)

// How long IAM's lag is waited out: what was just made is not seen yet, what
// was just detached still counts as attached.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
const (
	lag = 60 * time.Second
	// justMadeFor is how long what is not found is looked for all the same,
	// where a process that is gone may have made it a moment ago.
	justMadeFor = 10 * time.Second
	firstWait   = 200 * time.Millisecond
	mostWait    = 5 * time.Second
)

// settle calls f until it succeeds or fails for good. Throttling and "come
// back later" are waited out up to the deadline; "not found", when something
// was just made, and "still in use", when something was just taken away, for
// as long as IAM lags behind.
func settle(ctx context.Context, justMade bool, f func() error) error {
	if justMade {
		return waitOut(ctx, lag, f)
	}
	return waitOut(ctx, 0, f)
}

// waitOut is settle that says for how long "not found" is not believed.
func waitOut(ctx context.Context, notFound time.Duration, f func() error) error {
	started := time.Now()
	for wait := firstWait; ; wait = min(wait*2, mostWait) {
		err := f()
		waited := time.Since(started)
		switch {
		case errors.Is(err, access.ErrThrottled), errors.Is(err, access.ErrBusy):
		case errors.Is(err, access.ErrNotFound) && waited < notFound:
		case errors.Is(err, access.ErrConflict) && waited < lag:
		default:
			return err
		}
		// Half of the wait by chance, so that many stacks at once spread out.
		if sleep(ctx, wait/2+rand.N(wait/2)) != nil {
			return err
		}
	}
}

// ask is settle for a question.
func ask[T any](ctx context.Context, f func() (T, error)) (answer T, err error) {
	err = settle(ctx, false, func() (err error) {
		answer, err = f()
		return err
	})
	return answer, err
}

// sleep waits, or returns the context's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// keepForUndo is how much of the time that is left work leaves for undoing: at
// most this, and a quarter where there is less of it.
const keepForUndo = 20 * time.Second

// working returns a context that ends early enough to undo afterwards.
func working(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(keepForUndo, time.Until(deadline)/4)))
}
