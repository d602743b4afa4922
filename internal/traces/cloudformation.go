package traces

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"cloney-s3-credentials/internal/reply"
)

// pace is the least time between two events of a resource. After a cancellation the next
// event was seen two seconds later.
// https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1730
const pace = 2 * time.Second

// Invented is the id that CloudFormation invents to delete a Create that it has given up.
const Invented = "migration-Source-1ABCDEFGHIJKL"

// CloudFormation owns one resource of a stack. It sends events and takes responses. The
// first response to an event counts, if it comes while CloudFormation still waits for it.
type CloudFormation struct {
	Function Function
	StackID  string
	Logical  string
	Tries    int // how often an owner sends a rollback or Delete until it succeeds; 0: once
	// Haste is how many times faster the times of a trace pass if they are real; 0: they
	// pass unchanged. A ServiceTimeout and the Pace do not change, but CloudFormation stops
	// waiting for a response that no delivery can send any more.
	Haste int
	// Pace is the least time between two events; 0: two seconds. It is at least a second,
	// because a signature's time has whole seconds.
	Pace time.Duration

	// The following is what CloudFormation knows.
	Physical string // the resource's id; empty: there is none
	Props    Properties
	Stuck    bool  // a rollback or Delete failed for good
	Retained *Life // a resource that still exists, and that CloudFormation does not know any more
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

// Play plays a trace, and returns when no delivery is at work or will come.
func (c *CloudFormation) Play(trace Trace) {
	for _, m := range trace {
		if !c.Stuck {
			time.Sleep(c.hurried(m.Wait))
			c.move(m)
		}
	}
	c.underWay.Wait()
}

// hurried returns how long a time of a trace takes.
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

// create creates the resource. If that or another resource fails, the stack rolls back:
// CloudFormation deletes the id of the response, or an id that it invents.
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

// update changes the resource, and rolls back if that or another resource fails. At the end
// it deletes a replaced user.
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

// rollBack sends the Update back to the previous properties, with the id that
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

// insist sends an event until it succeeds, or until the owner stops trying.
func (c *CloudFormation) insist(send func() *Event) *Event {
	for try := 1; ; try++ {
		if e := send(); e.Succeeded() || try >= c.Tries {
			c.Stuck = !e.Succeeded()
			return e
		}
	}
}

// send sends one event and waits for the response, or until CloudFormation gives it up.
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

// listen waits for the response as long as CloudFormation does, but no longer than until
// over is closed.
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
