// Package traces plays what CloudFormation and Lambda do to one custom resource
// of a stack. All of it is for tests.
//
// A Trace is data: what the owner of the stack asks for, one thing after the
// other, and what disturbs it. The events that CloudFormation sends by itself
// (the Delete of a Create that failed, rollbacks, clean-ups) are in no trace:
// type CloudFormation derives them, by rules that stand nowhere else. What the
// events meet is a Function: package faults has one in memory, the tests of package
// sandbox the real one.
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

// Move is one thing that the owner does, once CloudFormation is done with what
// was before: one of the first four fields.
type Move struct {
	Declare Properties // the resource with these properties: a Create, or an Update where it is there
	Remove  bool       // the resource from the stack: a Delete
	Retain  bool       // the same, under a DeletionPolicy that retains it: no event
	Hand    string     // something by hand, past CloudFormation: see Function

	Wait   time.Duration // before that
	InVain bool          // the event succeeds, then another resource of the stack fails
	Disturbance
	Then Disturbance // of each event that CloudFormation sends by itself after that
}

// Disturbance is what an event meets on its way.
type Disturbance struct {
	Queued    time.Duration   // how long it waits in Lambda's queue
	Doubled   []time.Duration // Lambda delivers it once more, so long after the first time
	Unheard   bool            // no answer gets through, and the sender knows that
	Late      bool            // the answer gets through once CloudFormation has given the event up, and the sender knows nothing of that
	Cancelled time.Duration   // CloudFormation gives it up then, for a sibling has failed
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
