// Package patience waits out what AWS asks to wait for: throttling, "come back
// later", and what IAM knows late.
//
// It is the only place that repeats a call of the flow. The SDK below it
// repeats what failed on the way, and nothing that is throttled: two that do so
// would multiply.
package patience

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
	// Made is how long what is not found is looked for all the same, where a
	// process that is gone may have made it a moment ago.
	Made = 10 * time.Second
	// fewest is how often at the least, however long that takes: between two
	// looks that are throttled much time may pass.
	fewest    = 5
	firstWait = 200 * time.Millisecond
	mostWait  = 5 * time.Second
)

// How long a throttled call waits: an eighth of what it has waited so far, and
// firstThrottled at the least. A quota is the whole account's, and each of two
// hundred stacks that are made at once runs in a function of its own, which knows
// nothing of the others. But whoever has waited long knows that the crowd is large,
// and what is an eighth to it is an eighth to the whole crowd too: the last one is
// done about an eighth later than the quota allows, however many there are, and the
// calls grow with the logarithm of the time. Waits that double do not do that: the
// last ones sleep on while the quota lies idle. TestTwoHundredStacksAtOnce measures.
const (
	firstThrottled = 2500 * time.Millisecond
	throttledShare = 8
)

// For is what is waited out beside throttling, "come back later" and "still in
// use".
type For struct {
	// NotFound is how long "not found" is not believed.
	NotFound time.Duration
	// Denied is how long "access denied" is not believed: who may do what lags
	// too, and a user that is seen may still have neither path nor boundary for
	// IAM to judge by.
	Denied time.Duration
	// Often comes back as soon when throttled as for what lags: a live key waits.
	Often bool
}

var (
	// Nothing believes what AWS says.
	Nothing = For{}
	// JustMade is for what this run has made.
	JustMade = For{NotFound: lag, Denied: Made}
	// Maybe is for what a process that is gone may have made.
	Maybe = For{NotFound: Made}
)

// Chance is a time of less than d. A test sets it that has to run the same way
// again.
var Chance = rand.N[time.Duration]

// Do calls f until it succeeds or fails for good, up to the deadline.
func (w For) Do(ctx context.Context, f func() error) error {
	started, late := time.Now(), firstWait
	for looks := 1; ; {
		err := f()
		var wait time.Duration
		switch throttled := errors.Is(err, access.ErrThrottled); {
		case throttled && !w.Often:
			wait = max(firstThrottled, time.Since(started)/throttledShare)
		case throttled:
			wait, late = late, min(late*2, mostWait)
		case w.waits(err, time.Since(started), looks):
			wait, late = late, min(late*2, mostWait)
			looks++
		default:
			return err
		}
		// Half of it to one and a half by chance, so that many stacks spread out.
		if Sleep(ctx, before(ctx, wait/2+Chance(wait))) != nil {
			return err
		}
		metric.Retry(ctx)
	}
}

// waits reports whether the outcome may be another one later.
func (w For) waits(err error, waited time.Duration, looks int) bool {
	few := looks < fewest
	switch {
	case errors.Is(err, access.ErrBusy):
		return true
	case errors.Is(err, access.ErrNotFound):
		return w.NotFound > 0 && (waited < w.NotFound || few)
	case errors.Is(err, access.ErrConflict):
		return waited < lag || few
	case errors.Is(err, access.ErrDenied):
		return waited < w.Denied
	}
	return false
}

// Within shortens what is waited for to half of the time that is left.
func (w For) Within(ctx context.Context) For {
	if deadline, ok := ctx.Deadline(); ok {
		w.NotFound = min(w.NotFound, time.Until(deadline)/2)
	}
	return w
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

// Ask calls a question until it is answered.
func Ask[T any](ctx context.Context, w For, f func() (T, error)) (answer T, err error) {
	err = w.Do(ctx, func() (err error) {
		answer, err = f()
		return err
	})
	return answer, err
}

// Sleep waits, or returns the context's error when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
