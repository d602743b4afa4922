package patience_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/patience"
)

// No wait is left to chance: each is as long as it is on the average.
func init() { patience.Chance = func(d time.Duration) time.Duration { return d / 2 } }

var errOther = errors.New("some other error")

const always = 1 << 30

// What is waited out, for how long at the most, and what comes after that.
func TestDo(t *testing.T) {
	for title, c := range map[string]struct {
		wait    patience.For
		cause   error
		times   int // it ends so
		outcome error
		least   time.Duration // waited
		most    time.Duration
	}{
		"done":                         {patience.Nothing, nil, 0, nil, 0, 0},
		"another error":                {patience.JustMade, errOther, always, errOther, 0, 0},
		"throttled":                    {patience.Nothing, access.ErrThrottled, 5, nil, 50 * time.Second, 50 * time.Second},
		"throttled, often":             {patience.For{Often: true}, access.ErrThrottled, 5, nil, 6200 * time.Millisecond, 6200 * time.Millisecond},
		"busy":                         {patience.Nothing, access.ErrBusy, 20, nil, time.Minute, 2 * time.Minute},
		"in use":                       {patience.Nothing, access.ErrConflict, always, access.ErrConflict, time.Minute, 66 * time.Second},
		"not there":                    {patience.Nothing, access.ErrNotFound, always, access.ErrNotFound, 0, 0},
		"not there, perhaps made":      {patience.Maybe, access.ErrNotFound, always, access.ErrNotFound, 10 * time.Second, 15 * time.Second},
		"not there yet":                {patience.JustMade, access.ErrNotFound, 5, nil, 6 * time.Second, 7 * time.Second},
		"not there, just made":         {patience.JustMade, access.ErrNotFound, always, access.ErrNotFound, time.Minute, 66 * time.Second},
		"denied":                       {patience.Nothing, access.ErrDenied, always, access.ErrDenied, 0, 0},
		"denied, just made":            {patience.JustMade, access.ErrDenied, always, access.ErrDenied, 10 * time.Second, 15 * time.Second},
		"not there, asked a few times": {patience.For{NotFound: 1}, access.ErrNotFound, 4, nil, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, tally := metric.Start(t.Context())
				calls, started := 0, time.Now()
				err := c.wait.Do(ctx, func() error {
					if calls++; calls <= c.times {
						return fmt.Errorf("AWS: %w", c.cause)
					}
					return nil
				})
				if waited := time.Since(started); !errors.Is(err, c.outcome) || waited < c.least || waited > c.most {
					t.Errorf("waited %v, %d calls, %v", waited, calls, err)
				}
				if retries := tally.Counts().Retries; retries != calls-1 {
					t.Errorf("%d retries are counted of %d calls", retries, calls)
				}
			})
		})
	}
}

// Waits grow, up to a limit; and before the deadline there is one more try.
func TestWaitsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		started := time.Now()
		var at []time.Duration
		err := patience.Nothing.Do(ctx, func() error { at = append(at, time.Since(started).Round(time.Second)); return access.ErrThrottled })
		seconds := []time.Duration{0, 2, 6, 14, 30, 50, 70, 90}
		for i := range seconds {
			seconds[i] *= time.Second
		}
		if last := at[len(at)-1]; !errors.Is(err, access.ErrThrottled) || !slices.Equal(at[:len(seconds)], seconds) || last < 119*time.Second || len(at) > 20 {
			t.Errorf("%v: tried at %v", err, at)
		}
	})
}

func TestAskAndWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if w := patience.Maybe.Within(ctx); w.NotFound != 5*time.Second || patience.Maybe.Within(t.Context()) != patience.Maybe {
			t.Errorf("of ten seconds, not found is waited for %v", w.NotFound)
		}
		asked := 0
		answer, err := patience.Ask(ctx, patience.Maybe, func() (int, error) {
			if asked++; asked < 3 {
				return 0, access.ErrNotFound
			}
			return asked, nil
		})
		if answer != 3 || err != nil {
			t.Errorf("%d, %v", answer, err)
		}
		cancel()
		if err := patience.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("slept: %v", err)
		}
	})
}
