package traces

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"cloney-s3-credentials/internal/reply"
)

// pace is what passes at the least between two events of a resource. After a
// cancellation the next one has been seen two seconds later.
// https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1730
const pace = 2 * time.Second

// Invented is the id under which CloudFormation deletes what it knows no id of:
// a Create that it has given up.
const Invented = "migration-Source-1ABCDEFGHIJKL"

// CloudFormation owns one resource of a stack: what it sends, and what it
// takes from the answers. The first answer to an event counts, if it comes
// while CloudFormation still waits for it.
type CloudFormation struct {
	Function Function
	StackID  string
	Logical  string
	Tries    int // how often an owner sends a rollback or Delete until it succeeds; 0: once
	// Haste is how many times faster a trace's times pass, where they are real;
	// 0: they pass as they are. A ServiceTimeout and the Pace stay what they are,
	// but nobody waits for an answer once nothing is under way that could give it.
	Haste int
	// Pace is what passes at the least between two events; 0: two seconds. A
	// second is the least: a signature's time has no parts of it.
	Pace time.Duration

	// What CloudFormation knows.
	Physical string // the resource's id; empty: there is none
	Props    Properties
	Stuck    bool  // a rollback or Delete failed for good
	Retained *Life // what it knows no more, and still stands
	Given    Given

	Events  []*Event
	LeftOut atomic.Int64 // second deliveries of a Create after a Delete

	deleting atomic.Bool // a Delete has been delivered
	underWay sync.WaitGroup
}

// Life is a resource as it was last declared.
type Life struct {
	Physical string
	Props    Properties
}

// Play plays a trace, and returns once no delivery is under way or to come.
func (c *CloudFormation) Play(trace Trace) {
	for _, m := range trace {
		if !c.Stuck {
			time.Sleep(c.hurried(m.Wait))
			c.move(m)
		}
	}
	c.underWay.Wait()
}

// hurried is how long a time of a trace takes.
func (c *CloudFormation) hurried(d time.Duration) time.Duration {
	return d / time.Duration(max(c.Haste, 1))
}

func (c *CloudFormation) pause() { time.Sleep(cmp.Or(c.Pace, pace)) }

func (c *CloudFormation) move(m Move) {
	switch {
	case m.Hand != "":
		c.pause()
		c.Function.Hand(m.Hand)
	case m.Retain:
		c.Retained = &Life{c.Physical, c.Props}
		c.Physical, c.Props = "", nil
	case m.Remove && c.Physical != "":
		c.delete(Delete, c.Physical, c.Props, m.Disturbance)
		c.Physical, c.Props = "", nil
	case m.Remove:
	case c.Physical == "":
		c.create(m)
	default:
		c.update(m)
	}
}

// create makes the resource. If that fails, or if it is in vain, the stack
// rolls back: CloudFormation deletes what was answered, or an id of its own.
func (c *CloudFormation) create(m Move) {
	e := c.send(Create, "", m.Declare, nil, m.Disturbance)
	if e.Succeeded() {
		c.Physical, c.Props = e.Heard.PhysicalResourceID, m.Declare
		if !m.InVain {
			return
		}
	}
	physical := Invented
	if e.Heard != nil {
		physical = e.Heard.PhysicalResourceID
	}
	c.delete(Delete, physical, m.Declare, m.Then)
	c.Physical, c.Props = "", nil
}

// update changes the resource, and rolls back if that fails or is in vain. What
// a replacement has replaced is deleted at last.
func (c *CloudFormation) update(m Move) {
	former, before := c.Physical, c.Props
	e := c.send(Update, former, m.Declare, before, m.Disturbance)
	if !e.Succeeded() {
		c.rollBack(before, m.Declare, m.Then)
		return
	}
	c.Physical, c.Props = e.Heard.PhysicalResourceID, m.Declare
	if m.InVain {
		replacement := c.Physical
		c.rollBack(before, m.Declare, m.Then)
		former, before = replacement, m.Declare
	}
	if c.Physical != former && !c.Stuck {
		c.delete(CleanUp, former, before, m.Then)
	}
}

// rollBack sends the Update back to what was before, under the id that
// CloudFormation knows.
func (c *CloudFormation) rollBack(to, from Properties, how Disturbance) {
	e := c.insist(func() *Event { return c.send(RollBack, c.Physical, to, from, how) })
	if c.Props = to; e.Succeeded() {
		c.Physical = e.Heard.PhysicalResourceID
	}
}

func (c *CloudFormation) delete(kind Kind, physical string, props Properties, how Disturbance) {
	c.insist(func() *Event { return c.send(kind, physical, props, nil, how) })
}

// insist sends an event until it succeeds, or the owner tires.
func (c *CloudFormation) insist(send func() *Event) *Event {
	for try := 1; ; try++ {
		if e := send(); e.Succeeded() || try >= c.Tries {
			c.Stuck = !e.Succeeded()
			return e
		}
	}
}

// send sends one event and waits until it is answered, or given up.
func (c *CloudFormation) send(kind Kind, physical string, props, old Properties, how Disturbance) *Event {
	c.pause()
	e := &Event{
		Kind: kind, Physical: physical, Props: props, Old: old, Number: len(c.Events) + 1, Sent: time.Now(), Disturbance: how,
		stack: c, answers: make(chan reply.Response, 1), over: make(chan struct{}),
	}
	c.Events = append(c.Events, e)
	c.Given.sends(e)
	c.Function.Sends(e)
	c.listen(e, c.deliver(e))
	close(e.over)
	e.Broken = c.Given.heard(e)
	c.Function.Heard(e)
	return e
}

// listen waits for the answer, as long as CloudFormation waits for it, and not
// longer than until it is over.
func (c *CloudFormation) listen(e *Event, over <-chan struct{}) {
	patience := time.Until(e.Ends())
	if e.Cancelled > 0 {
		patience = min(patience, c.hurried(e.Cancelled))
	}
	select {
	case answer := <-e.answers:
		e.Heard = &answer
		return
	case <-over:
	case <-time.After(patience):
	}
	select {
	case answer := <-e.answers: // in the same moment
		e.Heard = &answer
	default:
		e.GivenUp = true
	}
}
