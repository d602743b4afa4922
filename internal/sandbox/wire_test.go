package sandbox_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/sandbox"
)

// operation is an event whose every call is disturbed, what comes before it,
// and what CloudFormation sends after it.
type operation struct {
	name   string
	before func(*life) []wireEvent
	event  func(*life) wireEvent
	then   func(*life) []whole     // once it succeeded
	end    func(*life) []wireEvent // takes everything away then
	undo   func(*life) []wireEvent // what is sent when it failed
	back   func(*life) []whole     // once that is done
	last   func(*life) []wireEvent // takes everything away then
}

// fault is one kind of disturbance.
type fault struct {
	name string
	make func(n int) func(*sandbox.Bootstrap) sandbox.Fault
	kill bool // ends the process, so that the event is delivered again
}

func plain(f func(n int) sandbox.Fault) func(n int) func(*sandbox.Bootstrap) sandbox.Fault {
	return func(n int) func(*sandbox.Bootstrap) sandbox.Fault {
		return func(*sandbox.Bootstrap) sandbox.Fault { return f(n) }
	}
}

var faults = []fault{
	{"killed before", func(n int) func(*sandbox.Bootstrap) sandbox.Fault {
		return func(b *sandbox.Bootstrap) sandbox.Fault { return sandbox.At(n, sandbox.Before(b.Kill)) }
	}, true},
	{"killed after", func(n int) func(*sandbox.Bootstrap) sandbox.Fault {
		return func(b *sandbox.Bootstrap) sandbox.Fault { return sandbox.At(n, sandbox.After(b.Kill)) }
	}, true},
	{"reply lost", plain(func(n int) sandbox.Fault { return sandbox.At(n, sandbox.Lose) }), false},
	{"broken", plain(func(n int) sandbox.Fault { return sandbox.At(n, sandbox.Break) }), false},
	{"throttled", plain(func(n int) sandbox.Fault { return sandbox.At(n, sandbox.Throttle) }), false},
	{"denied", plain(func(n int) sandbox.Fault { return sandbox.At(n, sandbox.Deny) }), false},
}

// play disturbs the nth call of an operation in one way, lets CloudFormation
// and Lambda do what they do then, and returns what is wrong afterwards.
func (o operation) play(l *life, f fault, n int) error {
	if err := l.succeed(o.before(l)...); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	answer, err := l.deliver(o.event(l), f.make(n), enough)
	if err != nil {
		return err
	}
	if reached := len(l.proxy.Calls()); reached < n {
		return fmt.Errorf("there were %d calls only", reached)
	}
	if answer.Status == "" || f.kill {
		if answer.Status != "" && l.proxy.Calls()[n-1].Name != sandbox.ToCloudFormation {
			return fmt.Errorf("it was killed and answered %s", answer.Status)
		}
		// Lambda delivers it again.
		if err := l.succeed(o.event(l)); err != nil {
			return fmt.Errorf("again: %w", err)
		}
		answer.Status = "SUCCESS"
	}
	then, end := o.then, o.end
	if answer.Status != "SUCCESS" {
		if err := l.succeed(o.undo(l)...); err != nil {
			return fmt.Errorf("undoing: %w", err)
		}
		then, end = o.back, o.last
	}
	if err := l.holds(then(l)...); err != nil {
		return fmt.Errorf("after %s: %w", answer.Status, err)
	}
	if err := l.succeed(end(l)...); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return l.holds()
}

// calls plays an operation undisturbed, and returns the calls of its event.
func (o operation) calls(l *life) (calls []sandbox.Call, err error) {
	if err := l.succeed(append(o.before(l), o.event(l))...); err != nil {
		return nil, err
	}
	calls = l.proxy.Calls()
	return calls, errors.Join(l.holds(o.then(l)...), l.succeed(o.end(l)...), l.holds())
}

// atOnce is how many lives go on side by side: most of them wait for the SDK
// to try again.
const atOnce = 16

// disturb plays an operation once for each kind of fault at each call.
func disturb(t *testing.T, o operation, first string) {
	t.Helper()
	own(t)
	s, started := account(t), time.Now()
	l := newLife(s, "wire-"+o.name)
	calls, err := o.calls(l)
	if err != nil {
		t.Fatalf("undisturbed: %v", err)
	}
	var names []string
	from := -1
	for i, call := range calls {
		names = append(names, call.Name)
		if from < 0 && strings.HasPrefix(call.Name, first) {
			from = i
		}
	}
	t.Logf("%d calls: %s", len(calls), strings.Join(names, ", "))
	var wait sync.WaitGroup
	var mu sync.Mutex
	played, broken := 0, 0
	places := make(chan struct{}, atOnce)
	for _, f := range faults {
		for _, call := range calls[from:] {
			places <- struct{}{}
			wait.Go(func() {
				defer func() { <-places }()
				l := newLife(s, fmt.Sprintf("wire-%s-%s-%d", o.name, strings.ReplaceAll(f.name, " ", "-"), call.N))
				defer l.proxy.Close()
				err := o.play(l, f, call.N)
				mu.Lock()
				defer mu.Unlock()
				played++
				if err != nil {
					broken++
					t.Errorf("%s, %s at call %d, %s: %v\n%s", o.name, f.name, call.N, call.Name, err, l.log.String())
				}
			})
		}
	}
	wait.Wait()
	empty(t)
	t.Logf("%s: %d cases, %d broke an invariant, %.1f s", o.name, played, broken, time.Since(started).Seconds())
}
