package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// count is how often an event asks AWS.
type count struct{ calls, writes, chain int }

// counts are what each kind of event costs in an account where all goes well. Fewer
// are an error too: then this table is to say so. Where a chain is 0 it is not counted
// here: proofs of a key lie apart in time, so their chain is counted in made-up time
// (package probe), and the calls of a rotation's step follow each other.
var counts = map[string]count{
	create:        {9, 7, 5},
	verified:      {17, 7, 0},
	nothing:       {6, 0, 2},
	anotherBucket: {10, 3, 5},
	newSerial:     {12, 5, 7},
	aSchedule:     {10, 3, 5},
	createSecret:  {13, 4, 0},
	setSecret:     {3, 0, 0},
	testSecret:    {25, 3, 0},
	finishSecret:  {23, 8, 0},
	remove:        {13, 6, 5},
}

// apart is how much longer each call lasts where the chain is counted: so long that
// two calls that do not wait for each other overlap.
const apart = 40 * time.Millisecond

// tries is how often the chains are counted before what is too much is believed. A
// slow machine makes a chain longer, never shorter: so the least is the true one.
const tries = 4

// checkCounts plays every kind of event, and returns what costs otherwise than it
// shall. Calls are counted where they last no longer than they do: a look at the user
// holds for a second in a local AWS, and an event that takes longer looks again.
func (b *bench) checkCounts(ctx context.Context) error {
	provider, rotates, err := b.pair(ctx)
	if err != nil {
		return err
	}
	defer provider.end()
	defer rotates.end()
	atOnce, err := b.lives(ctx, ours, provider, rotates, 0)
	if err != nil {
		return err
	}
	found := map[string]count{}
	for kind, m := range atOnce {
		found[kind] = m.count()
	}
	for try := range tries {
		late, err := b.lives(ctx, ours, provider, rotates, apart)
		if err != nil {
			return err
		}
		for _, kind := range kinds {
			of := found[kind]
			switch length := chain(late[kind].spans); {
			case counts[kind].chain == 0:
				of.chain = 0
			case try == 0:
				of.chain = length
			default:
				of.chain = min(of.chain, length)
			}
			found[kind] = of
		}
		if compare(found) == nil {
			return nil
		}
	}
	return compare(found)
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

func (m measured) count() count { return count{len(m.spans), m.writes(), chain(m.spans)} }

func (c count) less(than count) bool {
	return c.calls < than.calls || c.calls == than.calls && c.chain < than.chain
}
