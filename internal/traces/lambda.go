package traces

import (
	"sync"
	"time"

	"cloney-s3-credentials/internal/reply"
)

// MaximumEventAge is the value in the template: Lambda drops an event that has waited
// longer. It does not repeat an event that ended in an error.
const MaximumEventAge = 60 * time.Second

// Function receives the events, and watches them. Deliveries of one resource may overlap;
// the other methods are called one at a time.
type Function interface {
	// Sends is called before each event is sent.
	Sends(*Event)
	// Run is one delivery, the nth from 1. It calls answer for each response that S3
	// accepts, which may take time, and returns when nothing of the run is at work any
	// more.
	Run(e *Event, nth int, answer func(reply.Response))
	// Heard is called when CloudFormation continues, with a response or without.
	Heard(*Event)
	// Hand makes the change by hand that the word names.
	Hand(what string)
}

// deliver delivers the event as often as Lambda does. With Haste, over is closed when no
// response can come any more; otherwise it is nil.
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
	// After a Delete nobody remembers a Create: the contract says so.
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
