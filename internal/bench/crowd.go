package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"cloney-s3-credentials/internal/sandbox"
)

// What IAM allows for each API: calls a second, and calls at once.
const (
	rate  = 10
	burst = 10
)

// throttle is IAM's: a token bucket for each API.
type throttle struct {
	now func() time.Time

	mu     sync.Mutex
	tokens map[string]float64
	filled map[string]time.Time
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, tokens: map[string]float64{}, filled: map[string]time.Time{}}
}

// take reports whether the API takes one more call.
func (t *throttle) take(api string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, tokens := t.now(), float64(burst)
	if last, known := t.filled[api]; known {
		tokens = min(burst, t.tokens[api]+rate*now.Sub(last).Seconds())
	}
	t.filled[api] = now
	taken := tokens >= 1
	if taken {
		tokens--
	}
	t.tokens[api] = tokens
	return taken
}

func (t *throttle) fault(call sandbox.Call, r *http.Request, do func() *sandbox.Reply) *sandbox.Reply {
	if strings.HasPrefix(call.Name, "iam ") && !t.take(call.Name) {
		return sandbox.Throttle(call, r, do)
	}
	return do()
}

// ideal is the least time in which so many events can be carried out, each with these
// calls: the time that the most used API needs for all calls, and that of one event.
func ideal(events int, one measured) time.Duration {
	asked, most := map[string]int{}, 0
	for _, s := range one.spans {
		if strings.HasPrefix(s.name, "iam ") {
			asked[s.name]++
			most = max(most, asked[s.name])
		}
	}
	seconds := max(0, float64(events*most-burst)) / rate
	return time.Duration(seconds*float64(time.Second)) + one.wall
}

// crowded is the result of a crowd.
type crowded struct {
	events      int
	took, ideal time.Duration
}

// crowdOf has that many processes create a resource each, all at once, under the
// throttle.
func (b *bench) crowdOf(ctx context.Context, one measured) (crowded, error) {
	b.say("%d processes at once", b.crowd)
	crowd := make([]*environment, 0, b.crowd)
	defer func() {
		for _, e := range crowd {
			e.end()
		}
	}()
	for range b.crowd {
		e, err := b.start(b.sandbox.Bootstrap(sandbox.ProviderStack))
		if err != nil {
			return crowded{}, err
		}
		crowd = append(crowd, e)
		if _, err := e.FirstPoll(ctx); err != nil {
			return crowded{}, err
		}
	}
	iam := newThrottle(time.Now)
	began := time.Now()
	ends, errs := make([]time.Time, b.crowd), make([]error, b.crowd)
	resources := make([]*resource, b.crowd)
	var working sync.WaitGroup
	for i, e := range crowd {
		working.Go(func() {
			r := b.newResource(nil)
			resources[i] = r
			got, err := e.playBy(ctx, r, creation, &watch{every: iam.fault})
			ends[i], errs[i] = got.answered, err
		})
	}
	working.Wait()
	if err := errors.Join(errs...); err != nil {
		return crowded{}, fmt.Errorf("%d at once: %w", b.crowd, err)
	}
	last := began
	for _, end := range ends {
		if end.After(last) {
			last = end
		}
	}
	for i, e := range crowd {
		if _, err := e.play(ctx, resources[i], removal, 0); err != nil {
			return crowded{}, err
		}
	}
	return crowded{b.crowd, last.Sub(began), ideal(b.crowd, one)}, nil
}
