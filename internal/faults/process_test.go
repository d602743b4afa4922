package faults_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/reply"
)

// kind is the fault at a call.
type kind int

const (
	refused    kind = iota // AWS refuses the call; it did not happen
	notDone                // an unclear error; the call did not happen
	lostReply              // an unclear error; the call happened
	throttled              // "slow down", three times in a row
	hangs                  // no answer until the context ends; the call did not happen
	hangsDone              // no answer until the context ends; the call happened
	deaf                   // as hangs, in code that ignores its context
	panics                 // our own code panics
	killBefore             // the process is killed before the call
	killAfter              // the process is killed after the call
	kinds
)

func (k kind) String() string {
	return [...]string{
		"refused", "failed, not done", "failed, but done", "throttled", "hanging, not done", "hanging, but done",
		"hanging for ever", "panic", "killed before", "killed after",
	}[k]
}

// done reports whether the call happens in spite of the fault. For each such kind there is
// one in which the call does not happen.
func (k kind) done() bool { return k == lostReply || k == hangsDone || k == killAfter }

// atAnswer stands for the call that sends the response, whatever its number.
const atAnswer = -1

// fault is a kind of fault and the number of the call in a delivery, from 1.
type fault struct {
	call int
	kind kind
}

// lambda is the time limit of the function.
const lambda = 300 * time.Second

// errUnclear is the error of a call that may or may not have happened.
var errUnclear = errors.New("connection reset by peer")

// process is one run of the function: one delivery of one event.
type process struct {
	fault    fault
	name     string               // of the delivery; what its calls are late by depends on it
	seed     uint64               // and on this
	accept   func(reply.Response) // is told of an answer that S3 accepts; may be nil
	started  time.Time
	kill     context.CancelFunc
	released chan struct{} // closed when the process has ended

	mu       sync.Mutex
	calls    []string       // as they were made, the answer among them
	asks     map[string]int // how often each was begun
	slow     string         // the call that is throttled
	happens  string         // the call at fault, which happens all the same
	refusals int            // how often it still is
	asked    bool           // for a key, and has not listed the keys since
	twice    bool           // for another one all the same
	dead     bool
	killed   bool            // before it could answer
	answer   *reply.Response // that CloudFormation has
	sent     int             // answers that left, accepted or not
	answered time.Duration   // when, since started
}

type processKey struct{}

// of returns the process that makes a call, or nil if the test itself makes it.
func of(ctx context.Context) *process {
	p, _ := ctx.Value(processKey{}).(*process)
	return p
}

// begin starts the process.
func (p *process) begin(ctx context.Context) context.Context {
	ctx, p.kill = context.WithTimeout(ctx, lambda)
	p.started, p.released, p.asks = time.Now(), make(chan struct{}), map[string]int{}
	return context.WithValue(ctx, processKey{}, p)
}

// end releases everything that the process has left, and waits until it has ended.
func (p *process) end() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	close(p.released)
	p.kill()
	time.Sleep(time.Nanosecond) // what can still run has run by then, in synctest's time
}

// die ends the process at once: nothing that it does after that happens.
func (p *process) die() {
	p.mu.Lock()
	p.dead, p.killed = true, true
	p.mu.Unlock()
	p.kill()
	runtime.Goexit()
}

// status returns the status of the response that CloudFormation has; empty: none.
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

// nth counts how often the call has begun.
func (p *process) nth(call string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks[call]++
	return p.asks[call]
}

// meets counts the call and returns its fault, or kinds.
func (p *process) meets(verb, entity string) kind {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, verb)
	found := p.fate(verb)
	if found < kinds && found.done() && verb != "answer" {
		p.happens = verb + " " + entity
	}
	// CreateAccessKey has no idempotency token: a repetition after an unclear error creates
	// another key.
	switch verb {
	case "ListAccessKeys":
		p.asked = false
	case "CreateAccessKey":
		p.twice = p.twice || p.asked
		p.asked = found == notDone || found == hangs
	}
	return found
}

// fate returns the fault of the call that was just counted, or kinds.
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
	// A call takes 20 to 150 ms. The time depends on the seed and the call, so that calls
	// at the same time come in one order, and in the same order again.
	entity := accesstest.Entity(ctx)
	call := verb + " " + entity
	timer := time.NewTimer(late(p.seed, p.name, call, p.nth(call)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	if !p.alive() {
		runtime.Goexit()
	}
	switch p.meets(verb, entity) {
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
func after(ctx context.Context, verb string) error {
	p := of(ctx)
	if p == nil {
		return nil
	}
	if !p.happened(verb + " " + accesstest.Entity(ctx)) {
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

// happened reports whether the call that has happened is the call with the fault.
func (p *process) happened(call string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.happens != call {
		return false
	}
	p.happens = ""
	p.asked = p.asked || strings.HasPrefix(call, "CreateAccessKey")
	return true
}

const soonest, latest = 20 * time.Millisecond, 150 * time.Millisecond

func late(seed uint64, process, call string, nth int) time.Duration {
	hash := seed ^ 14695981039346656037 // FNV-1a
	for _, text := range []string{process, call} {
		for i := range len(text) {
			hash = (hash ^ uint64(text[i])) * 1099511628211
		}
	}
	hash = (hash ^ uint64(nth)) * 1099511628211
	hash = (hash ^ hash>>33) * 0xff51afd7ed558ccd // spread what differs in the last bits
	return soonest + time.Duration((hash^hash>>33)%uint64(latest-soonest))
}

// Send takes the response. An error here is one after all repetitions of package reply.
// Nothing arrives from a process that was killed.
func (p *process) Send(ctx context.Context, _ reply.Address, response reply.Response) error {
	if !p.alive() {
		return errUnclear
	}
	found := p.meets("answer", "")
	if found == killBefore || found == deaf {
		// A killed process sends nothing more.
		p.mu.Lock()
		p.dead, p.killed = true, true
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
	if p.accept != nil {
		p.accept(response)
	}
	switch found {
	case lostReply, hangsDone:
		return errUnclear
	case killAfter:
		p.dead = true
	}
	return nil
}
