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
// A run of the rotator leaves a mark too, and takes it off at its end. It never makes
// an event stop: an event waits until no call of it can be under way, and it stops as
// soon as it sees the event's mark.
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
	// Longest is how long after it has begun the function of an event calls AWS at the
	// most: the template's Timeout, and what was under way. An open mark that is older
	// is one of a function that was killed.
	Longest = 5*time.Minute + InFlight
)

// Type is what an event asks for.
type Type string

// The three types of event, and what is not an event: a run of the rotator. It never
// decides. It stops before its next write once an event is at work.
const (
	Create Type = "Create"
	Update Type = "Update"
	Delete Type = "Delete"
	Rotate Type = "Rotate"
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

// Turn says whose turn it is, and the mark that this follows from: the latest one
// of an event.
func (m Marks) Turn(r Run) (Turn, Mark) {
	var events, rotations Marks
	for _, mark := range m {
		switch {
		case mark.rank == r.rank():
		case mark.Type == Rotate:
			rotations = append(rotations, mark)
		default:
			events = append(events, mark)
		}
	}
	if r.Type == Rotate {
		return rotate(r, events, rotations)
	}
	turn, latest := events.among(r)
	if turn == Go && len(rotations) > 0 {
		// It sees this run's mark before its next write, and stops.
		turn = Wait
	}
	return turn, latest
}

// among says whose turn it is among events.
func (m Marks) among(r Run) (Turn, Mark) {
	if len(m) == 0 {
		return Go, Mark{}
	}
	latest := m[len(m)-1]
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

// rotate says whether a run of the rotator may go on: not while an event is at work,
// nor once a later run of the rotator is.
func rotate(r Run, events, rotations Marks) (Turn, Mark) {
	for _, mark := range events {
		if !mark.Ended && !mark.dead(r.Began) {
			return Stop, mark
		}
	}
	if len(rotations) == 0 {
		return Go, Mark{}
	}
	if latest := rotations[len(rotations)-1]; latest.rank > r.rank() {
		return Stop, latest
	}
	return Wait, rotations[len(rotations)-1]
}

// dead reports whether the mark's run can have nothing under way any more.
func (m Mark) dead(now time.Time) bool { return m.beganBefore(now.Add(-Longest)) }

func (m Mark) beganBefore(t time.Time) bool {
	began, err := strconv.ParseInt(strings.Split(m.rank, ":")[2], 36, 64)
	return err == nil && time.Unix(0, began).Before(t)
}

// Abandoned returns the keys of the marks that runs of the rotator have left which began
// before that time: their function was killed.
func Abandoned(tags map[string]string, before time.Time) (keys []string) {
	for _, mark := range MarksOf(tags) {
		if mark.Type == Rotate && mark.beganBefore(before) {
			keys = append(keys, keyPrefix+mark.rank)
		}
	}
	return keys
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
		if !r.after(key) || r.Type == Rotate || isRotation(value) {
			continue
		}
		keys = append(keys, key)
		if key > open && strings.HasPrefix(value, begun) {
			open = key
		}
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == open })
	if len(keys) <= most {
		keys = nil
	}
	return slices.Sorted(slices.Values(append(keys, r.Killed(tags)...)))
}

// Killed returns the keys of earlier marks of the rotator: its runs were killed, or
// stop at this run's mark.
func (r Run) Killed(tags map[string]string) (keys []string) {
	for key, value := range tags {
		if r.after(key) && isRotation(value) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// after reports whether the tag is the mark of an earlier run.
func (r Run) after(key string) bool {
	rank, ok := strings.CutPrefix(key, keyPrefix)
	return ok && rank < r.rank()
}

func isRotation(value string) bool { return strings.HasSuffix(value, " "+string(Rotate)) }

// Ended reports whether the run itself has ended, as far as its mark says.
func (m Marks) Ended(r Run) bool { return slices.Contains(m, Mark{r.Type, true, r.rank()}) }

// Open reports whether an event has not ended, as far as its mark says.
func (m Marks) Open() bool {
	return slices.ContainsFunc(m, func(mark Mark) bool { return !mark.Ended && mark.Type != Rotate })
}

// AtWork reports whether a run of an event may be at work: it has not ended, and its
// function may still run.
func (m Marks) AtWork(now time.Time) bool {
	return slices.ContainsFunc(m, func(mark Mark) bool { return !mark.Ended && mark.Type != Rotate && !mark.dead(now) })
}
