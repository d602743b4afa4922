package traces

import (
	"sync"
	"time"

	"cloney-s3-credentials/internal/reply"
)

// MaximumEventAge is what the template sets: Lambda drops an event that has
// waited for longer. It never tries one again that ended in an error.
const MaximumEventAge = 60 * time.Second

// Function is what the events are delivered to, and who looks on. Deliveries of
// one resource may overlap; the other methods are called one at a time.
type Function interface {
	// Sends is told of each event before it leaves.
	Sends(*Event)
	// Run is one delivery, the nth from 1. It calls answer for each answer that
	// S3 accepts, which may last, and returns when nothing of the run is at work
	// any more.
	Run(e *Event, nth int, answer func(reply.Response))
	// Heard is told when CloudFormation goes on, with an answer or without.
	Heard(*Event)
	// Hand does by hand what the word says.
	Hand(what string)
}

// deliver has Lambda deliver the event, as often as it does. Over is closed when
// no answer can come any more, where there is no time to wait; else it is nil.
func (c *CloudFormation) deliver(e *Event) (over chan struct{}) {
	deliveries := append([]time.Duration{0}, e.Doubled...)
	if e.Dropped() {
		deliveries = nil
	}
	var running sync.WaitGroup
	for i, after := range deliveries {
		running.Go(func() { c.run(e, i+1, e.Queued+after) })
	}
	ended := make(chan struct{})
	c.underWay.Go(func() {
		running.Wait()
		close(ended)
	})
	if c.Haste == 0 {
		return nil
	}
	return ended
}

// run is the nth delivery.
func (c *CloudFormation) run(e *Event, nth int, after time.Duration) {
	time.Sleep(c.hurried(after))
	// After a Delete nothing remembers a Create: the contract says so.
	if nth > 1 && e.Kind == Create && c.deleting.Load() {
		c.LeftOut.Add(1)
		return
	}
	if e.Kind.Type() == string(Delete) {
		c.deleting.Store(true)
	}
	c.Function.Run(e, nth, func(answer reply.Response) {
		if e.Late {
			<-e.over
		}
		select {
		case e.answers <- answer:
		default: // S3 keeps the last one, CloudFormation has taken the first
		}
	})
}
