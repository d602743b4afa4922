package patience_test

import (
	"context"
	"errors"
	"fmt"
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
		"throttled":                    {patience.Nothing, access.ErrThrottled, 5, nil, 12500 * time.Millisecond, 12500 * time.Millisecond},
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

// A throttled call waits an eighth of what it has waited, and two and a half seconds at
// the least; and before the deadline there is one more try.
func TestThrottledWaitsGrowWithWhatWasWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 5 * time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		started := time.Now()
		var at []time.Duration
		err := patience.Nothing.Do(ctx, func() error { at = append(at, time.Since(started)); return access.ErrThrottled })
		for i, now := range at[:len(at)-1] {
			want := max(2500*time.Millisecond, now/8)
			if is := at[i+1] - now; (is-want).Abs() > 1 && limit-now > 2*want {
				t.Errorf("after %v it waited %v, not %v", now, is, want)
			}
		}
		if last := at[len(at)-1]; !errors.Is(err, access.ErrThrottled) || last < limit-time.Second || len(at) > 45 {
			t.Errorf("%v: tried %d times, at last at %v", err, len(at), last)
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
