package sandbox_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/traces"
)

// play is a trace, and what is not CloudFormation's.
type play struct {
	title string // no other play's, nor the beginning of one
	trace func(*stage) traces.Trace
	// The first delivery of the event with this number meets the fault.
	event int
	fault fault
	// every is what each call of the other deliveries meets; nil: nothing. Then
	// nothing overlaps, each move is played by itself, and all that meets no fault
	// has to succeed.
	every sandbox.Fault
}

// fault is what happens at one call of an event, and then.
type fault struct {
	kind
	call  sandbox.Call
	limit time.Duration // of the function; 0: enough
	fails bool          // the function answers FAILED
}

// stage is where a trace is played: the real function, in a sandbox that it may
// share with other plays. It asks at every answer, and at rest, what has to hold.
type stage struct {
	*traces.CloudFormation
	play
	lambda *lambda
	began  time.Time
	calls  []sandbox.Call // of the delivery that meets the fault

	mu       sync.Mutex
	running  int // deliveries
	overlaps int // deliveries that began while another one ran
	log      strings.Builder
	wrong    []error
}

// haste is how many times faster than in a trace the times pass here: a Delete
// under an invented id looks for ten seconds where it looks a minute on Lambda.
const haste = 6

// set begins a play.
func (l *lambda) set(p play) *stage {
	s := &stage{lambda: l, play: p, began: time.Now()}
	s.CloudFormation = &traces.CloudFormation{
		Function: s, Haste: haste, Tries: 5, Logical: "Credentials",
		StackID: "arn:aws:cloudformation:" + sandbox.Region + ":" + sandbox.Account + ":stack/" + p.title + "/6f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0",
	}
	if s.alone() {
		s.Pace = time.Second
	}
	return s
}

// alone reports whether each event is over before the next one is sent.
func (s *stage) alone() bool { return s.every == nil }

// perform plays the trace, and returns what was wrong. What stands after events
// that overlapped is deleted, and that too has to leave nothing.
func (s *stage) perform() error {
	if s.alone() {
		for _, move := range s.trace(s) {
			s.part(traces.Trace{move})
		}
		return s.wrongs()
	}
	s.part(s.trace(s))
	if left := s.Retained; left != nil {
		s.Physical, s.Props, s.Retained = left.Physical, left.Props, nil
	}
	s.part(traces.Trace{{Remove: true}})
	return s.wrongs()
}

// part plays a part of the trace, and looks at what it has left.
func (s *stage) part(trace traces.Trace) {
	if s.wrongs() == nil {
		s.Play(trace)
		s.rests()
	}
}

func (s *stage) wrongs() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.wrong...)
}

func (s *stage) complain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Errorf(format, args...))
}

func (s *stage) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.log, "%7.3fs  "+format+"\n", append([]any{time.Since(s.began).Seconds()}, args...)...)
}

// Sends notes the event.
func (s *stage) Sends(e *traces.Event) {
	s.note("%d: %s %s {%v}%v", e.Number, e.Kind, e.Physical, e.Props, e.Disturbance)
}

// Hand has nothing to do for what the table says: what is touched is seen at rest.
func (s *stage) Hand(string) {}

// Run delivers an event.
func (s *stage) Run(e *traces.Event, nth int, answer func(reply.Response)) {
	s.overlap(1)
	defer s.overlap(-1)
	every := s.every
	if e.Unheard {
		every = sandbox.At(sandbox.Call{Name: sandbox.ToCloudFormation, Nth: 1}, sandbox.Deny)
	}
	if e.Number == s.event && nth == 1 {
		s.disturb(e, answer)
		return
	}
	got := s.deliver(e, disturbed{
		by:    func(*sandbox.Bootstrap) sandbox.Fault { return every },
		heard: answer,
		asked: func(c sandbox.Call) { s.note("  %d.%d %s", e.Number, nth, c.Name) },
	})
	if got.answer() == nil && !e.Unheard {
		s.complain("delivery %d of the %s, %d, was not answered", nth, e.Kind, e.Number)
	}
}

// disturb delivers the event that meets the fault, and once more where Lambda does.
func (s *stage) disturb(e *traces.Event, answer func(reply.Response)) {
	first := s.deliver(e, disturbed{by: s.fault.on, fresh: true, limit: s.fault.limit})
	s.calls = first.calls
	heard := first.answer()
	if err := s.fault.met(first.calls, heard); err != nil {
		s.complain("%w", err)
	}
	if s.fault.then == redelivered || s.fault.then == goesOn && heard == nil {
		again := s.deliver(e, disturbed{fresh: true}).answer()
		if again == nil || again.Status != reply.Success {
			s.complain("delivered again, the %s was answered with %+v", e.Kind, again)
		}
		heard = cmp.Or(heard, again)
	}
	if heard != nil {
		answer(*heard)
	}
}

func (f fault) on(b *sandbox.Bootstrap) sandbox.Fault {
	if f.at == nil {
		return nil
	}
	return f.at(f.call, b)
}

// met returns an error if the fault was none.
func (f fault) met(calls []sandbox.Call, answer *reply.Response) error {
	i := slices.IndexFunc(calls, func(c sandbox.Call) bool { return c.Kind() == f.call.Kind() && c.Nth == f.call.Nth })
	answers := func(c sandbox.Call) bool { return c.Name == sandbox.ToCloudFormation }
	switch {
	case f.at == nil:
		return nil
	case i < 0 && asks.MatchString(f.call.Name): // asked again in the course of time alone
		return nil
	case i < 0:
		return fmt.Errorf("there was no call %v, but %v", f.call, calls)
	case f.then != goesOn && answer != nil && !slices.ContainsFunc(calls[:i+1], answers):
		return fmt.Errorf("it was killed and answered %s", answer.Status)
	case f.fails && (answer == nil || answer.Status != reply.Failed):
		return fmt.Errorf("it was answered with %+v", answer)
	}
	return nil
}

func (s *stage) deliver(e *traces.Event, d disturbed) delivered {
	got, err := s.lambda.deliver(e, d)
	if err != nil {
		s.complain("%w", err)
	}
	for _, a := range got.answers {
		got.log += a.Body + "\n"
	}
	s.note("%s", got.log)
	return got
}

func (s *stage) overlap(change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running += change; change > 0 && s.running > 1 {
		s.overlaps++
	}
}
