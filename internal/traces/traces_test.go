package traces_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/traces"
)

// scribe is a function that takes three seconds, and records what happens when.
type scribe struct {
	mu      sync.Mutex
	started time.Time
	lines   []string
}

func (s *scribe) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf("%v "+format, append([]any{time.Since(s.started)}, args...)...))
}

func (s *scribe) Sends(e *traces.Event) {
	s.note("%s %s: %v, was %v", e.Kind, e.Physical, e.Props["UserName"], e.Old["UserName"])
}

func (s *scribe) Heard(e *traces.Event) {
	if e.GivenUp {
		s.note("given up")
	} else {
		s.note("heard %s", e.Heard.PhysicalResourceID)
	}
}

func (s *scribe) Hand(what string) { s.note("%s", what) }

// Run succeeds unless the user's name is "wrong".
func (s *scribe) Run(e *traces.Event, nth int, answer func(reply.Response)) {
	s.note("run %d", nth)
	time.Sleep(3 * time.Second)
	response := reply.Response{Status: reply.Success, PhysicalResourceID: fmt.Sprint(e.Props["UserName"])}
	if response.PhysicalResourceID == "wrong" {
		response.Status = reply.Failed
	}
	if e.Kind == traces.Update && response.Status == reply.Failed {
		response.PhysicalResourceID = e.Physical
	}
	if !e.Unheard {
		answer(response)
	}
}

func TestWhatCloudFormationSends(t *testing.T) {
	a, b, wrong := traces.Properties{"UserName": "a"}, traces.Properties{"UserName": "b"}, traces.Properties{"UserName": "wrong"}
	const made = "2s Create : a, was <nil>|2s run 1|5s heard a|"
	for title, c := range map[string]struct {
		trace traces.Trace
		want  string
	}{
		"made and removed": {traces.Trace{{Declare: a}, {Remove: true}, {Remove: true}},
			made + "7s Delete a: a, was <nil>|7s run 1|10s heard a"},
		"a Create that fails": {traces.Trace{{Declare: wrong}},
			"2s Create : wrong, was <nil>|2s run 1|5s heard wrong|7s Delete wrong: wrong, was <nil>|7s run 1|10s heard wrong"},
		"a Create that is cancelled": {traces.Trace{{Declare: a, Disturbance: traces.Disturbance{Queued: 4 * time.Second, Cancelled: 1500 * time.Millisecond}}},
			"2s Create : a, was <nil>|3.5s given up|5.5s Delete " + traces.Invented + ": a, was <nil>|5.5s run 1|6s run 1|8.5s heard a"},
		"a replacement": {traces.Trace{{Declare: a}, {Declare: b}},
			made + "7s Update a: b, was a|7s run 1|10s heard b|12s clean-up a: a, was <nil>|12s run 1|15s heard a"},
		"a replacement in vain": {traces.Trace{{Declare: a}, {Declare: b, InVain: true}},
			made + "7s Update a: b, was a|7s run 1|10s heard b|12s rollback b: a, was b|12s run 1|15s heard a|17s clean-up b: b, was <nil>|17s run 1|20s heard b"},
		"an Update that fails": {traces.Trace{{Declare: a}, {Declare: wrong}},
			made + "7s Update a: wrong, was a|7s run 1|10s heard a|12s rollback a: a, was wrong|12s run 1|15s heard a"},
		"an Update that is dropped": {traces.Trace{{Declare: a}, {Declare: a.With(traces.Properties{"ServiceTimeout": "90"}), Disturbance: traces.Disturbance{Queued: 61 * time.Second}}},
			made + "7s Update a: a, was a|1m37s given up|1m39s rollback a: a, was a|1m39s run 1|1m42s heard a"},
		"a Delete that is unheard, and delivered again": {traces.Trace{{Declare: a}, {Remove: true, Disturbance: traces.Disturbance{Unheard: true, Doubled: []time.Duration{time.Minute}}}, {Declare: a}},
			made + "7s Delete a: a, was <nil>|7s run 1|1m7s run 2|1h0m7s given up"},
		"an answer that comes late": {traces.Trace{{Declare: a.With(traces.Properties{"ServiceTimeout": "10"}), Disturbance: traces.Disturbance{Late: true}}},
			"2s Create : a, was <nil>|2s run 1|12s given up|14s Delete " + traces.Invented + ": a, was <nil>|14s run 1|17s heard a"},
		"retained, and made again": {traces.Trace{{Declare: a}, {Retain: true}, {Hand: "a hand"}, {Declare: b, Wait: time.Hour}},
			made + "7s a hand|1h0m9s Create : b, was <nil>|1h0m9s run 1|1h0m12s heard b"},
		"a Create delivered again after its Delete": {traces.Trace{{Declare: a, Disturbance: traces.Disturbance{Doubled: []time.Duration{9 * time.Second}}}, {Remove: true}},
			made + "7s Delete a: a, was <nil>|7s run 1|10s heard a"},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scribe{started: time.Now()}
				stack := traces.CloudFormation{Function: s}
				stack.Play(c.trace)
				if got := strings.Join(s.lines, "|"); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// With Haste the times of a trace pass faster, a ServiceTimeout does not change, and nobody
// waits for a response that cannot come.
func TestHaste(t *testing.T) {
	a := traces.Properties{"UserName": "a"}
	synctest.Test(t, func(t *testing.T) {
		s := &scribe{started: time.Now()}
		stack := traces.CloudFormation{Function: s, Haste: 10, Pace: time.Second}
		stack.Play(traces.Trace{
			{Declare: a, Disturbance: traces.Disturbance{Unheard: true}, Then: traces.Disturbance{Queued: 20 * time.Second}},
			{Declare: a, Wait: 70 * time.Second, Disturbance: traces.Disturbance{Queued: 2 * traces.MaximumEventAge}},
			{Declare: a.With(traces.Properties{"ServiceTimeout": "2"}), Wait: 40 * time.Second},
		})
		want := "1s Create : a, was <nil>|1s run 1|4s given up|5s Delete " + traces.Invented + ": a, was <nil>|7s run 1|10s heard a|" +
			"18s Create : a, was <nil>|18s given up|19s Delete " + traces.Invented + ": a, was <nil>|19s run 1|22s heard a|" +
			"27s Create : a, was <nil>|27s run 1|29s given up|30s Delete " + traces.Invented + ": a, was <nil>|30s run 1|32s given up"
		if got := strings.Join(s.lines, "|"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
