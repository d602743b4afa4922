package faults_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/reply"
)

// kind is what goes wrong at a call.
type kind int

const (
	refused    kind = iota // AWS says no; it did not happen
	notDone                // an error that does not say whether it happened; it did not
	lostReply              // the same error, and it did happen
	throttled              // "slow down", three times in a row
	hangs                  // no answer until the context ends; it did not happen
	hangsDone              // no answer until the context ends, and it did happen
	deaf                   // as hangs, by code that does not heed its context
	panics                 // our own code is at fault
	killBefore             // the process is gone before the call
	killAfter              // the process is gone after the call
	kinds
)

func (k kind) String() string {
	return [...]string{
		"refused", "failed, not done", "failed, but done", "throttled", "hanging, not done", "hanging, but done",
		"hanging for ever", "panic", "killed before", "killed after",
	}[k]
}

// done reports whether the call happens all the same. Each such kind has its
// like, of a call that does not.
func (k kind) done() bool { return k == lostReply || k == hangsDone || k == killAfter }

// atAnswer is the call that sends the answer, whatever its number.
const atAnswer = -1

// fault is what goes wrong at which call of a delivery, counted from 1.
type fault struct {
	call int
	kind kind
}

// lambda is the time that the function has.
const lambda = 300 * time.Second

// errUnclear is the end of a call that does not say whether it happened.
var errUnclear = errors.New("connection reset by peer")

// process is one run of the function: one delivery of one event.
type process struct {
	fault    fault
	started  time.Time
	kill     context.CancelFunc
	released chan struct{} // closed once the process is gone

	mu       sync.Mutex
	calls    []string // as they were made, the answer among them
	slow     string   // the call that is throttled
	refusals int      // how often it still is
	asked    bool     // for a key, and has not listed the keys since
	twice    bool     // for another one all the same
	dead     bool
	answer   *reply.Response // that CloudFormation has
	sent     int             // answers that left, accepted or not
	answered time.Duration   // when, since started
}

type processKey struct{}

// of returns the process that a call is made by, or nil: the test itself.
func of(ctx context.Context) *process {
	p, _ := ctx.Value(processKey{}).(*process)
	return p
}

// begin starts a process.
func begin(ctx context.Context, f fault) (context.Context, *process) {
	ctx, cancel := context.WithTimeout(ctx, lambda)
	p := &process{fault: f, started: time.Now(), kill: cancel, released: make(chan struct{})}
	return context.WithValue(ctx, processKey{}, p), p
}

// end lets go of what the process left behind, and waits until it is gone.
func (p *process) end() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	close(p.released)
	p.kill()
	synctest.Wait()
}

// die ends the process at once: nothing that it does from here on happens.
func (p *process) die() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.kill()
	runtime.Goexit()
}

// status is that of the answer that CloudFormation has; empty: none.
func (p *process) status() string {
	if p.answer == nil {
		return ""
	}
	return p.answer.Status
}

func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead
}

// meets counts the call and returns what goes wrong at it, or kinds.
func (p *process) meets(verb string) kind {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, verb)
	found := p.fate(verb)
	// CreateAccessKey has no idempotency token: repeated as it is after an
	// unclear end, it makes another key.
	switch verb {
	case "ListAccessKeys":
		p.asked = false
	case "CreateAccessKey":
		p.twice = p.twice || p.asked
		p.asked = found != refused && found != throttled
	}
	return found
}

// fate is what goes wrong at the call that was just counted, or kinds.
func (p *process) fate(verb string) kind {
	if len(p.calls) == p.fault.call || verb == "answer" && p.fault.call == atAnswer {
		if p.fault.kind == throttled {
			p.slow, p.refusals = verb, 3
		} else {
			return p.fault.kind
		}
	}
	if verb == p.slow && p.refusals > 0 {
		p.refusals--
		return throttled
	}
	return kinds
}

// before is the account's Before.
func before(ctx context.Context, verb string) error {
	p := of(ctx)
	if p == nil {
		return nil
	}
	if !p.alive() {
		runtime.Goexit()
	}
	switch p.meets(verb) {
	case refused:
		return access.ErrDenied
	case notDone:
		return errUnclear
	case throttled:
		return access.ErrThrottled
	case hangs:
		<-ctx.Done()
		return ctx.Err()
	case deaf:
		<-p.released
		runtime.Goexit()
	case panics:
		panic("a bug")
	case killBefore:
		p.die()
	}
	return nil
}

// after is the account's After.
func after(ctx context.Context, _ string) error {
	p := of(ctx)
	if p == nil || !p.atFault() {
		return nil
	}
	switch p.fault.kind {
	case lostReply:
		return errUnclear
	case hangsDone:
		<-ctx.Done()
		return ctx.Err()
	case killAfter:
		p.die()
	}
	return nil
}

// atFault reports whether the call that was counted last is the one.
func (p *process) atFault() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls) == p.fault.call
}

// Send is the way of the answer: package reply's own repetitions are behind it,
// so an error here is one that they did not get over. Nothing of a process
// that was killed arrives.
func (p *process) Send(ctx context.Context, _ reply.Address, response reply.Response) error {
	if !p.alive() {
		return errUnclear
	}
	found := p.meets("answer")
	if found == killBefore || found == deaf {
		// Nothing more is heard of it.
		p.mu.Lock()
		p.dead = true
		p.mu.Unlock()
		return errUnclear
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent++
	p.answered = time.Since(p.started)
	switch found {
	case refused, notDone:
		return errUnclear
	case hangs:
		return context.DeadlineExceeded
	}
	p.answer = &response
	switch found {
	case lostReply, hangsDone:
		return errUnclear
	case killAfter:
		p.dead = true
	}
	return nil
}
