package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// count is how often an event asks AWS.
type count struct{ calls, writes, chain int }

// counts are what each kind of event costs in an account where nothing fails. Fewer
// calls are an error too: then this table has to change. The report's limits are
// computed from these chains.
var counts = map[string]count{
	create:        {9, 7, 5},
	verified:      {17, 7, 11},
	nothing:       {6, 0, 2},
	anotherBucket: {10, 3, 5},
	newSerial:     {12, 5, 7},
	aSchedule:     {10, 3, 5},
	createSecret:  {13, 4, 13},
	setSecret:     {3, 0, 3},
	testSecret:    {25, 3, 23},
	finishSecret:  {23, 8, 23},
	remove:        {13, 6, 5},
}

// proofs are the kinds of events that prove a key. Calls of a proof pause between each
// other, so their chain is that of calls of 80 ms. The tests of package probe check it,
// in simulated time.
var proofs = map[string]bool{verified: true, testSecret: true}

// apart is how much longer each call lasts where the chain is counted: so long that
// two calls that do not wait for each other overlap.
const apart = 30 * time.Millisecond

// tries is how often the events are played before a count that is too high is an error.
// A slow machine makes a chain longer. And a look at the user counts for one second in a
// local AWS, so an event that takes longer looks again. Neither makes a count smaller:
// so the smallest count is the true one.
const tries = 5

// checkCounts plays every kind of event, and returns those whose counts are not in the table.
func (b *bench) checkCounts(ctx context.Context) error {
	provider, rotates, err := b.pair(ctx)
	if err != nil {
		return err
	}
	defer provider.end()
	defer rotates.end()
	least := map[string]count{}
	for range tries {
		atOnce, err := b.lives(ctx, ours, provider, rotates, 0)
		if err != nil {
			return err
		}
		late, err := b.lives(ctx, ours, provider, rotates, apart)
		if err != nil {
			return err
		}
		for _, kind := range kinds {
			got := count{len(atOnce[kind].spans), atOnce[kind].writes(), chain(late[kind].spans)}
			if proofs[kind] {
				got.chain = counts[kind].chain
			}
			if before, known := least[kind]; known {
				got = before.least(got)
			}
			least[kind] = got
		}
		if compare(least) == nil {
			return nil
		}
	}
	return compare(least)
}

func (c count) least(d count) count {
	return count{min(c.calls, d.calls), min(c.writes, d.writes), min(c.chain, d.chain)}
}

func compare(found map[string]count) error {
	var wrong []error
	for _, kind := range kinds {
		if got, want := found[kind], counts[kind]; got != want {
			wrong = append(wrong, fmt.Errorf("%s: %d calls, %d of them write, in a chain of %d; internal/bench/counts.go says %d, %d and %d",
				kind, got.calls, got.writes, got.chain, want.calls, want.writes, want.chain))
		}
	}
	return errors.Join(wrong...)
}
