package resource

import (
	"context"
	"errors"
	"time"

	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/spec"
)

// An event has an end: the function's deadline, and the moment at which
// CloudFormation stops waiting. Work, undoing and the answer come before the
// earlier of them.

const (
	// keepForAnswer is how much of the time that is left is kept for sending the
	// answer: at most this, and a quarter where there is less of it.
	keepForAnswer = 10 * time.Second
	// keepForRecord is how much of it is kept for the log line and the metric.
	keepForRecord = time.Second
	// least is how much time has to be left for a Create that waited in the queue to be
	// begun: to be carried out or taken back, and answered. An Update is put right by
	// its rollback.
	least = 15 * time.Second
)

// ending returns a context that ends that much earlier.
func ending(ctx context.Context, keep time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(keep, time.Until(deadline)/4)))
}

// runOf returns the run of an event that was delivered just now. A time that is
// missing, or ahead of ours, is now.
func runOf(r request, now time.Time) order.Run {
	run := order.Run{Type: order.Type(r.RequestType), Request: r.RequestID, Sent: now, Began: now}
	if signed, ok := r.address.Signed(); ok && signed.Before(now) {
		run.Sent = signed
	}
	return run
}

// waiting is how long CloudFormation waits for the answer, from when it was sent.
func (r request) waiting() time.Duration {
	return time.Duration(spec.ServiceTimeout(r.ResourceProperties)) * time.Second
}

// over reports whether CloudFormation waits no more, or not for long enough.
func (r request) over() bool {
	if r.RequestType == Create {
		return r.run.Age() > r.waiting()-least
	}
	return r.run.Age() >= r.waiting()
}

// end returns a context that ends when CloudFormation stops waiting. A Delete
// that comes later than that is carried out all the same.
func (r request) end(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.over() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, r.run.Sent.Add(r.waiting()))
}

// late says so, once CloudFormation waits no more: until then another delivery of
// the event may have an answer.
func (r request) late(ctx context.Context) error {
	const tick = time.Second // the time of an event has whole seconds
	if err := patience.Sleep(ctx, time.Until(r.run.Sent.Add(r.waiting()+tick))); err != nil {
		return err
	}
	return errLate
}

// errLate: the event waited in the queue for so long that CloudFormation has
// given it up, or is about to.
var errLate = errors.New("the event came too late: CloudFormation no longer waits long enough. Nothing was done")
