package sandbox_test

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
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
	lost   func(*life) []wireEvent // what is sent without an answer; nil: the same
	back   func(*life) []whole     // once that is done
	last   func(*life) []wireEvent // takes everything away then
}

// fault is one kind of disturbance, at the nth call.
type fault struct {
	name string
	at   func(n int, b *sandbox.Bootstrap) sandbox.Fault
	then after
	// writes: only at calls that change something. At a question it would be
	// what another fault is already.
	writes bool
}

// after is what comes after a fault.
type after int

const (
	goesOn      after = iota // the process may have answered
	redelivered              // it is dead, and Lambda delivers the event again
	givenUp                  // it is dead, and CloudFormation sends what it sends then
)

func always(f sandbox.Fault) func(int, *sandbox.Bootstrap) sandbox.Fault {
	return func(n int, _ *sandbox.Bootstrap) sandbox.Fault { return sandbox.At(n, f) }
}

func killedAfter(n int, b *sandbox.Bootstrap) sandbox.Fault {
	return sandbox.At(n, sandbox.After(b.Kill))
}

// kills end the process, and failures do not. A process that is killed before a
// call is one that was killed after the call before it, so there is no such kind.
var kills = []fault{
	{"killed after", killedAfter, redelivered, false},
	{"given up", killedAfter, givenUp, true},
}

// failures differ by what AWS answers to a call, not by the event that makes it:
// each is played once for each call of AWS's. What an event makes of a failure at
// every one of its calls is played in memory, by internal/faults.
var failures = []fault{
	{"reply lost", always(sandbox.Lose), goesOn, true},
	{"broken", always(sandbox.Break), goesOn, true},
	{"throttled", always(sandbox.Throttle), goesOn, true},
	{"denied", always(sandbox.Deny), goesOn, true},
}

// play disturbs the nth call of an operation in one way, lets CloudFormation
// and Lambda do what they do then, and returns what is wrong afterwards.
func (o operation) play(l *life, f fault, n int) error {
	if err := l.succeed(o.before(l)...); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	answer, err := l.deliver(o.event(l), func(b *sandbox.Bootstrap) sandbox.Fault { return f.at(n, b) }, enough)
	if err != nil {
		return err
	}
	calls := l.proxy.Calls()
	if len(calls) < n {
		return fmt.Errorf("there were %d calls only", len(calls))
	}
	if f.then != goesOn && answer.Status != "" && !slices.ContainsFunc(calls[:n], toCloudFormation) {
		return fmt.Errorf("it was killed and answered %s", answer.Status)
	}
	switch {
	case answer.Status != "" && f.then != redelivered:
	case f.then == givenUp:
		return o.giveUp(l)
	default:
		if err := l.again(o.event(l)); err != nil {
			return fmt.Errorf("again: %w", err)
		}
		answer.Status = "SUCCESS"
	}
	return o.settle(l, answer)
}

// settle is what CloudFormation does with an answer, until nothing is left.
func (o operation) settle(l *life, answer wireAnswer) error {
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

// giveUp is what CloudFormation does without an answer.
func (o operation) giveUp(l *life) error {
	lost := o.undo
	if o.lost != nil {
		lost = o.lost
	}
	if err := l.succeed(lost(l)...); err != nil {
		return fmt.Errorf("giving up: %w", err)
	}
	if err := l.holds(o.back(l)...); err != nil {
		return fmt.Errorf("given up: %w", err)
	}
	if err := l.succeed(o.last(l)...); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return l.holds()
}

func toCloudFormation(c sandbox.Call) bool { return c.Name == sandbox.ToCloudFormation }

// calls plays an operation undisturbed, and returns the calls of its event.
func (o operation) calls(t *testing.T) []sandbox.Call {
	t.Helper()
	p, err := newPlace(account(t))
	must(t, err)
	defer p.close()
	l := newLife(p, "wire-"+o.name)
	must(t, l.succeed(o.before(l)...))
	must(t, l.again(o.event(l)))
	calls := p.proxy.Calls()
	must(t, errors.Join(l.holds(o.then(l)...), l.succeed(o.end(l)...), l.holds()))
	t.Logf("%s: %d calls: %v", o.name, len(calls), calls)
	return calls
}

// asks are calls that change nothing.
var asks = regexp.MustCompile(`^\w+ (Get|List|Describe|GET )`)

// atOnce is how many lives of a test go on side by side: most of them wait for
// the SDK to try again.
var atOnce = 16 * runtime.GOMAXPROCS(0)

// disturb plays an operation with its process killed at each call, from the
// first of that name on, and with each failure at each call that changes
// something and that none of the others makes.
func disturb(t *testing.T, o operation, from string, others ...operation) {
	t.Helper()
	own(t)
	elsewhere := map[string]bool{}
	for _, other := range others {
		for _, call := range other.calls(t) {
			elsewhere[what(call)] = true
		}
	}
	calls := o.calls(t)
	calls = calls[max(0, slices.IndexFunc(calls, func(c sandbox.Call) bool { return c.Name == from })):]
	cases := o.at(calls, kills)
	calls = slices.DeleteFunc(calls, func(c sandbox.Call) bool {
		there := elsewhere[what(c)]
		elsewhere[what(c)] = true
		return there
	})
	sideBySide(t, append(cases, o.at(calls, failures)...))
}

// at plays an operation once for each of the faults at each of the calls.
func (o operation) at(calls []sandbox.Call, faults []fault) (cases []wireCase) {
	for _, f := range faults {
		for _, call := range calls {
			if f.writes && asks.MatchString(call.Name) {
				continue
			}
			name := fmt.Sprintf("wire-%s-%s-%d", o.name, strings.ReplaceAll(f.name, " ", "-"), call.N)
			cases = append(cases, wireCase{name, func(l *life) error { return o.play(l, f, call.N) }})
		}
	}
	return cases
}

// what a call asks of AWS: its service and operation, without a key in a bucket.
func what(c sandbox.Call) string {
	service, operation, _ := strings.Cut(c.Name, " ")
	operation, _, _ = strings.Cut(operation, " ")
	return service + " " + operation
}

// wireCase is one life and what is done to it.
type wireCase struct {
	name string
	play func(*life) error
}

// sideBySide plays cases, atOnce of them at a time, and looks at the whole
// afterwards.
func sideBySide(t *testing.T, cases []wireCase) {
	t.Helper()
	s, started := account(t), time.Now()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var log strings.Builder
	broken, next := 0, make(chan wireCase, len(cases))
	for _, c := range cases {
		next <- c
	}
	close(next)
	for range min(atOnce, len(cases)) {
		wait.Go(func() {
			p, err := newPlace(s)
			defer p.close()
			for c := range next {
				l := newLife(p, c.name)
				if err == nil {
					err = c.play(l)
				}
				mu.Lock()
				log.WriteString(l.log.String())
				if err != nil {
					broken++
					t.Errorf("%s: %v\nits last calls: %v\n%s", c.name, err, p.proxy.Calls(), l.log.String())
				}
				err = nil
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	empty(t)
	leaksNothing(t, log.String())
	t.Logf("%d cases, %d broke an invariant, %.1f s", len(cases), broken, time.Since(started).Seconds())
}

// leaksNothing looks in what was logged and answered for the secret half of
// any key that was ever issued, and for ResponseURLs.
func leaksNothing(t *testing.T, log string) {
	t.Helper()
	issued, err := account(t).IssuedSecrets(ctxOf(t))
	must(t, err)
	const length = 40 // of a secret access key
	secret := map[string]bool{}
	for _, s := range issued {
		if len(s) != length {
			t.Fatalf("a secret access key of %d characters", len(s))
		}
		secret[s] = true
	}
	for i := range max(0, len(log)-length) {
		if secret[log[i:i+length]] {
			t.Fatal("a secret access key was logged or answered")
		}
	}
	if strings.Contains(log, sandbox.Signature) || strings.Contains(log, "X-Amz-") {
		t.Error("a ResponseURL was logged or answered")
	}
}
