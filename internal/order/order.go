// Package order says which event decides.
//
// CloudFormation may give up on an event that still runs, or that waits in
// Lambda's queue, and go on with the next one; and Lambda may deliver an event
// twice. Nothing keeps these runs apart. So each run leaves a mark on the IAM
// user that it works on: a tag whose key holds the time of its event. No two
// runs write the same key, so that no mark is ever overwritten. Of two events of
// the same second a Delete is the later one; of two deliveries of one event, the
// one that began later.
//
// A run first writes its mark, then reads the marks of all. Of two runs at
// least one sees the other that way. The run of the later event goes on; the
// other one stops before its next write. A mark says whether its run has ended.
// Where the latest one has not, its run may have been killed, or may still have
// a call under way: the later run waits for InFlight, looks again, and is alone.
//
// It is pure: no SDK, no I/O.
package order

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloney-s3-credentials/internal/name"
)

// How runs keep out of each other's way. A run reads the marks, starts no write
// later than Lease after that, and gives each write up after Attempt. So no write
// of it is under way InFlight after a later run has written its mark.
const (
	Lease    = 4 * time.Second
	Attempt  = 10 * time.Second
	InFlight = Lease + Attempt + time.Second
	// Queue is how long an event may wait in Lambda's queue: the template's
	// MaximumEventAgeInSeconds.
	// https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
	Queue = 60 * time.Second
	// Prompt is an age. While an event is younger, no Delete that was sent after it
	// can have finished.
	Prompt = 3 * time.Second
)

// Type is what an event asks for.
type Type string

// The three types of event.
const (
	Create Type = "Create"
	Update Type = "Update"
	Delete Type = "Delete"
)

// Run is one delivery of one event.
type Run struct {
	Type    Type
	Request string    // the event's RequestId
	Sent    time.Time // when CloudFormation signed the event's ResponseURL
	Began   time.Time // when this delivery began
}

// Age is how long after it was sent the event was delivered.
func (r Run) Age() time.Duration { return r.Began.Sub(r.Sent) }

// Prompt reports whether no Delete can be through that was sent after it.
func (r Run) Prompt() bool { return r.Age() < Prompt }

// What the value of a mark begins with.
const (
	begun = "begun "
	ended = "ended "
)

const keyPrefix = name.TagPrefix + "event:"

const keyTime = "20060102T150405Z"

// rank orders runs: by the second in which the event was sent, a Delete last,
// then by when it was delivered.
func (r Run) rank() string {
	last := "0"
	if r.Type == Delete {
		last = "1"
	}
	return r.Sent.UTC().Format(keyTime) + ":" + last + ":" + strconv.FormatInt(r.Began.UnixNano(), 36) + ":" + r.Event()
}

// Begun is the mark of a run that has begun.
func (r Run) Begun() map[string]string {
	return map[string]string{keyPrefix + r.rank(): begun + string(r.Type)}
}

// Ended is the mark of a run that will call AWS no more.
func (r Run) Ended() map[string]string {
	return map[string]string{keyPrefix + r.rank(): ended + string(r.Type)}
}

// Mark is what a run has left.
type Mark struct {
	Type  Type
	Ended bool
	rank  string
}

// Same reports whether the mark is one of the run's own event: its RequestId
// says so. An event that says no time of its own has that of each delivery.
func (m Mark) Same(r Run) bool {
	return m.Type == r.Type && m.Event() == r.Event()
}

// Event is Run.Event of the run that has left the mark.
func (m Mark) Event() string { return m.rank[strings.LastIndex(m.rank, ":")+1:] }

// Event is a short hash of the event's RequestId, for a tag's key or a physical
// id.
func (r Run) Event() string {
	sum := sha256.Sum256([]byte(r.Request))
	return fmt.Sprintf("%x", sum[:5])
}

// Marks are those of all runs, the latest last.
type Marks []Mark

// MarksOf reads the marks from the tags of one user, or of several.
func MarksOf(users ...map[string]string) Marks {
	var marks Marks
	for _, tags := range users {
		for key, value := range tags {
			rank, ok := strings.CutPrefix(key, keyPrefix)
			if state, of, spaced := strings.Cut(value, " "); ok && spaced && strings.Count(rank, ":") == 3 {
				marks = append(marks, Mark{Type: Type(of), Ended: state+" " == ended, rank: rank})
			}
		}
	}
	slices.SortFunc(marks, func(a, b Mark) int { return cmp.Compare(a.rank, b.rank) })
	return marks
}

// Turn is what a run may do in view of the marks.
type Turn int

const (
	// Go: no other run is at work.
	Go Turn = iota
	// Wait: an earlier run may still be at work.
	Wait
	// Yield: a later delivery of the same event is at work. It gives the answer.
	Yield
	// Stop: a later event decides.
	Stop
)

// Turn says whose turn it is, and the mark that this follows from.
func (m Marks) Turn(r Run) (Turn, Mark) {
	others := slices.DeleteFunc(slices.Clone(m), func(mark Mark) bool { return mark.rank == r.rank() })
	if len(others) == 0 {
		return Go, Mark{}
	}
	latest := others[len(others)-1]
	switch later := latest.rank > r.rank(); {
	case later && !latest.Same(r):
		return Stop, latest
	case later && !latest.Ended:
		return Yield, latest
	case !latest.Ended:
		return Wait, latest
	}
	return Go, latest
}

// Has reports whether the run has left its mark on the user with these tags.
func (r Run) Has(tags map[string]string) bool {
	_, begun := tags[keyPrefix+r.rank()]
	return begun
}

// most is how many outdated marks a user keeps: to take them off costs a call.
const most = 1

// Outdated returns the keys of earlier marks that nobody needs any more: the
// run's own mark is later, and on the same user. The latest mark that never ended
// stays: it tells a Delete to look closely.
func (r Run) Outdated(tags map[string]string) (keys []string) {
	open := ""
	for key, value := range tags {
		rank, ok := strings.CutPrefix(key, keyPrefix)
		if !ok || rank >= r.rank() {
			continue
		}
		keys = append(keys, key)
		if key > open && strings.HasPrefix(value, begun) {
			open = key
		}
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == open })
	if len(keys) <= most {
		return nil
	}
	slices.Sort(keys)
	return keys
}

// Ended reports whether the run itself has ended, as far as its mark says.
func (m Marks) Ended(r Run) bool { return slices.Contains(m, Mark{r.Type, true, r.rank()}) }

// Open reports whether one of the runs has not ended, as far as its mark says.
func (m Marks) Open() bool {
	return slices.ContainsFunc(m, func(mark Mark) bool { return !mark.Ended })
}
