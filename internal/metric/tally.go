// Package metric counts what an event costs and brings about, and tells it as
// one line of CloudWatch's embedded metric format.
//
// It is told by the edges and the flow through the context of an invocation;
// where nobody counts, telling does nothing. It knows no name, no property and
// no text of an error: a failure has one of a few causes.
package metric

import (
	"context"
	"sync"
	"time"
)

// Counts are what one event cost and brought about.
type Counts struct {
	Requests  int // that AWS was sent, each attempt by itself
	Retries   int // repeated attempts, and waits after which something was looked at or tried again
	Issued    int // access keys whose making AWS acknowledged
	Retired   int // access keys whose deletion AWS acknowledged
	Warnings  int // lines of level WARN, see Warning
	Unbound   int // events whose ResponseURL is not their own
	Verifying time.Duration
	Verified  bool // a key was put to the proof, whatever came of it
}

// Tally counts, from many goroutines at once.
type Tally struct {
	mu     sync.Mutex
	counts Counts
}

type key struct{}

// Start returns a context whose users are counted.
func Start(ctx context.Context) (context.Context, *Tally) {
	tally := new(Tally)
	return context.WithValue(ctx, key{}, tally), tally
}

// Counts are those so far. What was left behind may go on counting.
func (t *Tally) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

// Request counts an attempt at a call.
func Request(ctx context.Context) { add(ctx, func(c *Counts) { c.Requests++ }) }

// Retry counts an attempt that repeats an earlier one; Request counts it too.
func Retry(ctx context.Context) { add(ctx, func(c *Counts) { c.Retries++ }) }

// Unbound counts an event whose ResponseURL is not its own.
func Unbound(ctx context.Context) { add(ctx, func(c *Counts) { c.Unbound++ }) }

// Done counts a call that AWS acknowledged, by the name of the operation.
func Done(ctx context.Context, operation string) {
	add(ctx, func(c *Counts) {
		switch operation {
		case "CreateAccessKey":
			c.Issued++
		case "DeleteAccessKey":
			c.Retired++
		}
	})
}

// Verified counts the time that a key has been put to the proof since then.
func Verified(ctx context.Context, since time.Time) {
	add(ctx, func(c *Counts) { c.Verified, c.Verifying = true, c.Verifying+time.Since(since) })
}

func add(ctx context.Context, change func(*Counts)) {
	tally, counted := ctx.Value(key{}).(*Tally)
	if !counted {
		return
	}
	tally.mu.Lock()
	defer tally.mu.Unlock()
	change(&tally.counts)
}
