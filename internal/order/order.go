// Package order says which event decides.
//
// CloudFormation may give up on an event that still runs, or that waits in Lambda's queue,
// and go on with the next one. Lambda may also deliver an event twice. Nothing in AWS keeps
// these runs apart. So each run leaves a mark on the IAM user on which it works: a tag whose
// key holds the time of its event. Two runs never write the same key, so no mark is ever
// overwritten. Of two events of the same second a Delete is the later one. Of two deliveries
// of one event the later one is that which began later.
//
// A run first writes its mark, then reads all marks. So of two runs at least one sees the
// other. The run of the later event goes on; the other one stops before its next write. A
// mark says whether its run has ended. If the latest run has not ended, it may have been
// killed, or may still have a call under way. Then the later run waits for InFlight, reads
// the marks again, and is alone.
//
// A run of the rotator leaves a mark too, and removes it at its end. It never stops an
// event: the event waits until no call of the rotator can be under way, and the rotator
// stops as soon as it sees the event's mark.
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

// These times keep runs apart. A run reads the marks, starts no write later than Lease after
// that, and gives up each write after Attempt. So InFlight after a later run has written its
// mark, no write of the earlier one is under way.
const (
	Lease    = 4 * time.Second
	Attempt  = 10 * time.Second
	InFlight = Lease + Attempt + time.Second
	// Queue is how long an event may wait in Lambda's queue: MaximumEventAgeInSeconds in the
	// template.
	// https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
	Queue = 60 * time.Second
	// Prompt is an age. While an event is younger than that, no Delete that was sent after
	// it can be completed.
	Prompt = 3 * time.Second
	// Longest is the longest time for which a function calls AWS after its event began:
	// Timeout in the template, plus calls under way. If an open mark is older, its function
	// was killed.
	Longest = 5*time.Minute + InFlight
)

// Type is the type of an event.
type Type string

// These are the three types of event. Rotate is not an event but a run of the rotator. It
// never decides, and stops before its next write when an event is at work.
const (
	Create Type = "Create"
	Update Type = "Update"
	Delete Type = "Delete"
	Rotate Type = "Rotate"
)

// Run is one delivery of one event.
type Run struct {
	Type    Type
	Request string    // RequestId of the event
	Sent    time.Time // when CloudFormation signed the event's ResponseURL
	Began   time.Time // when this delivery began
}

// Age is the time between sending the event and this delivery.
func (r Run) Age() time.Duration { return r.Began.Sub(r.Sent) }

// Prompt reports whether no Delete that was sent after the event can be completed.
func (r Run) Prompt() bool { return r.Age() < Prompt }

// The value of a mark begins with one of these.
const (
	begun = "begun "
	ended = "ended "
)

const keyPrefix = name.TagPrefix + "event:"

const keyTime = "20060102T150405Z"

// rank orders runs: by the second in which the event was sent, with a Delete last, then by
// the time of delivery.
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

// Ended is the mark of a run that does not call AWS any more.
func (r Run) Ended() map[string]string {
	return map[string]string{keyPrefix + r.rank(): ended + string(r.Type)}
}

// Mark is what a run has left on a user.
type Mark struct {
	Type  Type
	Ended bool
	rank  string
}

// Same reports whether the mark is from a run of the same event: the RequestId says so. If
// an event does not say its time, each delivery has a time of its own.
func (m Mark) Same(r Run) bool {
	return m.Type == r.Type && m.Event() == r.Event()
}

// Event is Run.Event of the run that left the mark.
func (m Mark) Event() string { return m.rank[strings.LastIndex(m.rank, ":")+1:] }

// Event is a short hash of the event's RequestId, for a tag's key or a physical id.
func (r Run) Event() string {
	sum := sha256.Sum256([]byte(r.Request))
	return fmt.Sprintf("%x", sum[:5])
}

// Marks are the marks of all runs, the latest last.
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

// Turn is what a run may do, according to the marks.
type Turn int

const (
	// Go: no other run is at work.
	Go Turn = iota
	// Wait: an earlier run may still be at work.
	Wait
	// Yield: a later delivery of the same event is at work, and will respond.
	Yield
	// Stop: a later event decides.
	Stop
)

// Turn returns whose turn it is, and the mark from which that follows: the latest one of an
// event.
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
		// The rotator sees this run's mark before its next write, and stops.
		turn = Wait
	}
	return turn, latest
}

// among returns whose turn it is among events.
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

// rotate returns whether a run of the rotator may go on. It may not while an event is at
// work, or after a later run of the rotator has begun.
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

// dead reports whether the mark's run can no longer have a call under way.
func (m Mark) dead(now time.Time) bool { return m.beganBefore(now.Add(-Longest)) }

func (m Mark) beganBefore(t time.Time) bool {
	began, err := strconv.ParseInt(strings.Split(m.rank, ":")[2], 36, 64)
	return err == nil && time.Unix(0, began).Before(t)
}

// Abandoned returns the keys of the rotator's marks that are older than that time: the
// functions that left them were killed.
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

// most is how many outdated marks a user keeps, because removing them costs a call.
const most = 1

// Outdated returns the keys of earlier marks that are no longer needed: the run's own mark
// is later, and on the same user. The latest mark whose run never ended stays, so that a
// Delete looks closely.
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

// Killed returns the keys of the rotator's earlier marks: its runs were killed, or stop when
// they see this run's mark.
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

// Ended reports whether the run itself has ended, according to its mark.
func (m Marks) Ended(r Run) bool { return slices.Contains(m, Mark{r.Type, true, r.rank()}) }

// Open reports whether an event has not ended, according to its mark.
func (m Marks) Open() bool {
	return slices.ContainsFunc(m, func(mark Mark) bool { return !mark.Ended && mark.Type != Rotate })
}

// AtWork reports whether a run of an event may be at work: it has not ended, and its
// function may still run.
func (m Marks) AtWork(now time.Time) bool {
	return slices.ContainsFunc(m, func(mark Mark) bool { return !mark.Ended && mark.Type != Rotate && !mark.dead(now) })
}
