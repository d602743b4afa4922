package faults_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/traces"
)

// stage plays a trace: the function in its account. Each call takes some time, so that
// deliveries overlap in many ways. It checks the promises at every response and at the end.
type stage struct {
	*world
	*traces.CloudFormation
	seed   uint64
	aloud  bool
	faults map[int]fault       // of an event's first delivery, by number
	sends  func(*traces.Event) // is told of each event that is sent; nil: nobody is
	// rotating: keys also change between the events. The key that CloudFormation was given
	// need not be the current one.
	rotating bool

	mu        sync.Mutex
	running   int              // deliveries
	calls     map[int][]string // of an event's deliveries, by number
	expects   map[string]bool  // users that may be deleted with a key in use
	strangers []string         // users that are not ours, beside the neighbour
}

// set begins a play.
func (w *world) set(seed uint64) *stage {
	s := &stage{world: w, seed: seed, calls: map[int][]string{}, expects: map[string]bool{}}
	s.CloudFormation = &traces.CloudFormation{Function: s, StackID: stackID, Logical: logical}
	w.Account.Before = s.before
	return s
}

// before is the account's Before.
func (s *stage) before(ctx context.Context, verb string) error {
	if p := of(ctx); p != nil && p.alive() {
		s.told("%s %s %s", p.name, verb, accesstest.Entity(ctx))
	}
	return before(ctx, verb)
}

// The provider's own random wait for its turn is always half of its range, so that a play
// has the same result again.
func init() { patience.Chance = func(d time.Duration) time.Duration { return d / 2 } }

// told records something with its time.
func (s *stage) told(format string, args ...any) {
	if s.aloud {
		s.heard("%9.3fs  %s", time.Since(opened).Seconds(), fmt.Sprintf(format, args...))
	}
}

// opened is the time at which synctest begins.
var opened = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Sends records which users the event may delete, and which keys it may change.
func (s *stage) Sends(e *traces.Event) {
	s.told("%d %s %s {%v}%v", e.Number, e.Kind, e.Physical, e.Props, e.Disturbance)
	if s.sends != nil {
		s.sends(e)
	}
	user := userOf(e.Props)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Kind {
	case traces.Create:
		s.expects[user] = s.Retained == nil // by its failure
	case traces.Update:
		s.expects[user] = user != e.Physical
	case traces.RollBack:
		if from := userOf(e.Old); from != user {
			s.expects[from] = true
		}
	case traces.Delete, traces.CleanUp:
		s.expects[e.Physical] = true
	}
	s.expect()
}

// expect tells the account which users may be deleted. It forgets a deleted user.
func (s *stage) expect() {
	for user, expected := range s.expects {
		if expected {
			s.ExpectRemoval(user)
		} else {
			s.ExpectNoRemoval(user)
		}
	}
}

// Run runs the function once.
func (s *stage) Run(e *traces.Event, nth int, answer func(reply.Response)) {
	s.overlap(1)
	defer s.overlap(-1)
	s.mu.Lock()
	s.expect()
	s.mu.Unlock()
	p := &process{seed: s.seed, name: fmt.Sprintf("%d.%d", e.Number, nth), accept: answer}
	if nth == 1 {
		p.fault = s.faults[e.Number]
	}
	if e.Unheard {
		p.fault = fault{atAnswer, notDone}
	}
	s.run(p, e.Encode(responses))
	s.mu.Lock()
	s.calls[e.Number] = append(s.calls[e.Number], p.calls...)
	s.mu.Unlock()
	if p.answer != nil {
		s.told("%s answered %s %s %s", p.name, p.answer.Status, p.answer.PhysicalResourceID, p.answer.Reason)
	}
}

// overlap records that a delivery begins or ends. While two deliveries are at work, the
// current key is not checked. It is checked when both have ended.
func (s *stage) overlap(change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running += change
	s.Racing(s.running > 1)
}

// Heard checks a response with which CloudFormation continues.
func (s *stage) Heard(e *traces.Event) {
	answer := e.Heard
	s.told("%d %s", e.Number, map[bool]string{true: "given up", false: "heard"}[answer == nil])
	if e.Broken != nil && !s.rotating {
		s.Errorf("%v", e.Broken)
	}
	switch {
	case answer == nil:
		return
	case (e.Kind == traces.RollBack || e.Kind.Type() == "Delete") && !e.Succeeded() && s.faults[e.Number].call == 0:
		s.Errorf("the %s failed: %s", e.Kind, answer.Reason)
	case e.Kind == traces.Create && !e.Succeeded():
		user := userOf(e.Props)
		ours := s.Tags(user)[name.TagLogical] == logical
		if live := s.LiveKeys(user); len(live) > 0 && ours && s.Retained == nil && e.Doubled == nil {
			s.Errorf("the Create failed, and the keys %v live", live)
		}
	case e.Succeeded() && e.Kind.Type() != "Delete":
		s.succeeded(e)
	}
}

func (s *stage) succeeded(e *traces.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.rotating {
		s.true(e.Heard)
	}
	user := e.Heard.PhysicalResourceID
	s.expects[user] = false
	s.ExpectNoRemoval(user)
}

// scene is a trace with everything that does not come from CloudFormation.
type scene struct {
	trace  traces.Trace
	prove  int           // how many looks a new key takes; 0: as the seed says
	faults map[int]fault // of an event's first delivery, by its number
	looks  func(*stage)  // at what is left, beside what always has to hold
}

// play plays the scene, with a log or without, and returns what is left.
func (sc scene) play(t *testing.T, seed uint64, aloud bool) (s *stage) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{recorder: &recorder{TB: t}, log: &buffer{}}
		if aloud {
			w.trace = []string{}
		}
		if sc.prove == 0 {
			sc.prove = 3 + int(seed%5)
		}
		w.open(accesstest.Lag{Prove: sc.prove})
		s = w.set(seed)
		s.aloud, s.faults = aloud, sc.faults
		s.Play(sc.trace)
		time.Sleep(time.Nanosecond) // as process.end
		s.rests()
		if sc.looks != nil {
			sc.looks(s)
		}
	})
	return s
}
