package provision

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/metric"
)

// How long IAM's lag is waited out: what was just made is not seen yet, what
// was just detached still counts as attached.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
const (
	lag = 60 * time.Second
	// justMadeFor is how long what is not found is looked for all the same,
	// where a process that is gone may have made it a moment ago.
	justMadeFor = 10 * time.Second
	// fewestLooks is how often at the least, however long that takes: between
	// two looks that are throttled much time may pass.
	fewestLooks = 5
	firstWait   = 200 * time.Millisecond
	mostWait    = 5 * time.Second
)

// How long a throttled call waits. A quota is the whole account's, and each of
// two hundred stacks that are made at once runs in a function of its own, which
// knows nothing of the others: what it can do is to come back rarely. Waits
// begin long, so that the crowd has thinned out after few refusals, and grow
// until the crowd fits into the quota; TestTwoHundredStacksAtOnce measures.
const (
	firstThrottled = 2 * time.Second
	mostThrottled  = 20 * time.Second
)

// chance is a time of less than d. A test sets it that has to run the same way
// again.
var chance = rand.N[time.Duration]

// settle calls f until it succeeds or fails for good. Throttling and "come
// back later" are waited out up to the deadline; "not found", when something
// was just made, and "still in use", when something was just taken away, for
// as long as IAM lags behind.
//
// Nothing below it repeats what is throttled: two that do so would multiply.
func settle(ctx context.Context, justMade bool, f func() error) error {
	if justMade {
		return waitOut(ctx, lag, f)
	}
	return waitOut(ctx, 0, f)
}

// waitOut is settle that says for how long "not found" is not believed.
func waitOut(ctx context.Context, notFound time.Duration, f func() error) error {
	return repeat(ctx, notFound, firstThrottled, mostThrottled, f)
}

// promptly is settle for what another run waits for, and not for ever: it comes
// back sooner when it is throttled.
func promptly(ctx context.Context, justMade bool, f func() error) error {
	if justMade {
		return repeat(ctx, lag, firstWait, mostWait, f)
	}
	return repeat(ctx, 0, firstWait, mostWait, f)
}

func repeat(ctx context.Context, notFound, throttled, mostThrottled time.Duration, f func() error) error {
	started := time.Now()
	late := firstWait
	for looks := 1; ; {
		err := f()
		var wait time.Duration
		waited := time.Since(started)
		switch {
		case errors.Is(err, access.ErrThrottled):
			wait, throttled = throttled, min(throttled*2, mostThrottled)
		case errors.Is(err, access.ErrBusy),
			errors.Is(err, access.ErrNotFound) && notFound > 0 && (waited < notFound || looks < fewestLooks),
			errors.Is(err, access.ErrConflict) && (waited < lag || looks < fewestLooks),
			// Who may do what lags too, and by its own clock: a user that is seen
			// may still have neither path nor boundary for IAM to judge by.
			errors.Is(err, access.ErrDenied) && notFound == lag && waited < justMadeFor:
			wait, late = late, min(late*2, mostWait)
			looks++
		default:
			return err
		}
		// Half of it to one and a half by chance, so that many stacks spread out.
		if sleep(ctx, before(ctx, wait/2+chance(wait))) != nil {
			return err
		}
		metric.Retry(ctx)
	}
}

// before shortens a wait that would leave no time for another call: a last try
// before the deadline is better than none.
func before(ctx context.Context, wait time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return wait
	}
	return min(wait, max(time.Until(deadline)/2, firstWait))
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
