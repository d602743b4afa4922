// Package traces plays what CloudFormation and Lambda do to one custom resource of a stack.
// Only tests use it.
//
// A Trace is data: the requests of the stack's owner, one after the other, and their
// disturbances. The events that CloudFormation sends by itself (the Delete of a failed
// Create, rollbacks, clean-ups) are in no trace: type CloudFormation derives them, and only
// it has the rules for that. A Function receives the events: package faults has one in
// memory, and the tests of package sandbox have the real one.
//
// Times pass by package time, so a trace takes no time in a synctest bubble.
package traces

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Properties of a resource, as a template has them.
type Properties map[string]any

// With returns the properties with some of them changed; nil removes one.
func (p Properties) With(more Properties) Properties {
	changed := maps.Clone(p)
	maps.Copy(changed, more)
	maps.DeleteFunc(changed, func(_ string, v any) bool { return v == nil })
	return changed
}

// Trace is the life of one resource.
type Trace []Move

// Move is one action of the owner, after CloudFormation has completed the one before: one
// of the first four fields.
type Move struct {
	Declare Properties // the resource with these properties: a Create, or an Update where it is there
	Remove  bool       // the resource from the stack: a Delete
	Retain  bool       // the same with a DeletionPolicy that retains it: no event
	Hand    string     // something by hand, without CloudFormation: see Function

	Wait   time.Duration // before that
	InVain bool          // the event succeeds, then another resource of the stack fails
	Disturbance
	Then Disturbance // of each event that CloudFormation sends by itself after that
}

// Disturbance is what can happen to an event on its way.
type Disturbance struct {
	Queued    time.Duration   // how long it waits in Lambda's queue
	Doubled   []time.Duration // Lambda delivers it once more, that long after the first time
	Unheard   bool            // no response arrives, and the sender knows that
	Late      bool            // the response arrives after CloudFormation has given the event up, and the sender does not know that
	Cancelled time.Duration   // CloudFormation gives it up then, because another resource has failed
}

func (d Disturbance) String() string {
	var text strings.Builder
	tell := func(met bool, format string, args ...any) {
		if met {
			fmt.Fprintf(&text, ", "+format, args...)
		}
	}
	tell(d.Queued > 0, "queued for %v", d.Queued)
	tell(len(d.Doubled) > 0, "delivered again after %v", d.Doubled)
	tell(d.Unheard, "unheard")
	tell(d.Late, "answered late")
	tell(d.Cancelled > 0, "cancelled after %v", d.Cancelled)
	return text.String()
}

func (p Properties) String() string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(p)) {
		if key != "ServiceToken" {
			texts = append(texts, fmt.Sprintf("%s:%v", key, p[key]))
		}
	}
	return strings.Join(texts, " ")
}
