// Package metric counts what an event needs and does, and writes that as one line of
// CloudWatch's embedded metric format.
//
// The edges and the flow count through the context of an invocation. Without a Tally in the
// context nothing is counted. Package metric knows no name, no property and no text of an
// error: a failure has one of a few causes.
package metric

import (
	"context"
	"sync"
	"time"
)

// Counts are what one event needed and did.
type Counts struct {
	Requests  int // calls to AWS, each attempt by itself
	Retries   int // repeated attempts, and waits before another look or try
	Issued    int // access keys whose creation AWS acknowledged
	Retired   int // access keys whose deletion AWS acknowledged
	Warnings  int // lines of level WARN, see Warning
	Unbound   int // events whose ResponseURL is not their own
	Verifying time.Duration
	Verified  bool // a key was proven, or failed its proof
}

// Tally counts, from many goroutines at once.
type Tally struct {
	mu     sync.Mutex
	counts Counts
}

type key struct{}

// Start returns a context in which calls are counted.
func Start(ctx context.Context) (context.Context, *Tally) {
	tally := new(Tally)
	return context.WithValue(ctx, key{}, tally), tally
}

// Counts returns the counts so far. Goroutines that were left behind may still count.
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

// Verified counts the time that the proof of a key has taken since then.
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
