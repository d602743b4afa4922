// Package patience waits where AWS makes callers wait: for throttling, for "try again
// later", and for what IAM shows late.
//
// Only this package repeats calls of the flow. The SDK below repeats calls that failed on
// the way, and never a throttled one: two layers that did so would multiply their calls.
package patience

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/metric"
)

// These times are for IAM's lag: IAM does not show yet what was just created, and what was
// just detached still counts as attached.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
const (
	lag = 60 * time.Second
	// Made is how long to look for what is not found, where a run that was killed may have
	// created it a moment ago.
	Made = 10 * time.Second
	// fewest is the least number of looks, however long they take: much time may pass
	// between two looks that are throttled.
	fewest    = 5
	firstWait = 200 * time.Millisecond
	mostWait  = 5 * time.Second
)

// A throttled call waits for an eighth of the time that it has waited so far, and for at
// least firstThrottled. A quota belongs to the whole account: two hundred stacks that are
// created at once run in two hundred functions that do not know of each other. But a call
// that has waited long knows that there are many. With this rule the last call is done about
// an eighth later than the quota allows, however many there are, and the number of calls
// grows with the logarithm of the time. Waits that double do worse: the last calls still
// sleep while the quota is unused. TestTwoHundredStacksAtOnce measures this.
const (
	firstThrottled = 2500 * time.Millisecond
	throttledShare = 8
)

// For says what to wait for, in addition to throttling, "try again later" and "still in
// use".
type For struct {
	// NotFound is how long "not found" is not believed.
	NotFound time.Duration
	// Denied is how long "access denied" is not believed: permissions lag too, and IAM may
	// not know the path and the boundary yet of a user that it already shows.
	Denied time.Duration
	// Often waits as short when throttled as for IAM's lag: a working key waits to be
	// stored.
	Often bool
}

var (
	// Nothing believes what AWS says.
	Nothing = For{}
	// JustMade is for what this run has created.
	JustMade = For{NotFound: lag, Denied: Made}
	// Maybe is for what a run that was killed may have created.
	Maybe = For{NotFound: Made}
)

// Chance returns a random time of less than d. A test replaces it to run the same way again.
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
		// A random wait of half to one and a half of the time spreads many stacks.
		if Sleep(ctx, before(ctx, wait/2+Chance(wait))) != nil {
			return err
		}
		metric.Retry(ctx)
	}
}

// waits reports whether the outcome may change later.
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

// Within shortens NotFound to half of the remaining time.
func (w For) Within(ctx context.Context) For {
	if deadline, ok := ctx.Deadline(); ok {
		w.NotFound = min(w.NotFound, time.Until(deadline)/2)
	}
	return w
}

// before shortens a wait that would leave no time for another call: a last try before the
// deadline is better than none.
func before(ctx context.Context, wait time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return wait
	}
	return min(wait, max(time.Until(deadline)/2, firstWait))
}

// Ask repeats a question until it is answered.
func Ask[T any](ctx context.Context, w For, f func() (T, error)) (answer T, err error) {
	err = w.Do(ctx, func() (err error) {
		answer, err = f()
		return err
	})
	return answer, err
}

// Sleep waits, or returns the context's error if the context ends first.
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
