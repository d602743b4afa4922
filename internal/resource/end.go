package resource

import (
	"context"
	"errors"
	"time"

	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/spec"
)

// An event ends at the earlier of two times: the function's deadline, and when
// CloudFormation stops waiting. The work, undoing it and the response come before that.

const (
	// keepForResponse is how much of the time is reserved for sending the response: this
	// much, or a quarter of the time if less than four times as much is left.
	keepForResponse = 10 * time.Second
	// keepForRecord is how much of it is reserved for the log line and the metric.
	keepForRecord = time.Second
	// least is how much time has to be left to begin a Create that waited in the queue:
	// enough to carry it out or to undo it, and to respond. An Update needs none: its
	// rollback corrects it.
	least = 15 * time.Second
)

// ending returns a context that ends earlier, to keep that much time.
func ending(ctx context.Context, keep time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(keep, time.Until(deadline)/4)))
}

// runOf returns the run of an event that was just delivered. If its time is missing, or in
// the future, it counts as now.
func runOf(r request, now time.Time) order.Run {
	run := order.Run{Type: order.Type(r.RequestType), Request: r.RequestID, Sent: now, Began: now}
	if signed, ok := r.address.Signed(); ok && signed.Before(now) {
		run.Sent = signed
	}
	return run
}

// waiting is how long CloudFormation waits for the response, from the event's time on.
func (r request) waiting() time.Duration {
	return time.Duration(spec.ServiceTimeout(r.ResourceProperties)) * time.Second
}

// noteTimeout logs what a missing ServiceTimeout may cost.
func (h *Handler) noteTimeout(ctx context.Context, r request) {
	if r.ResourceProperties["ServiceTimeout"] != nil {
		return
	}
	h.Log.InfoContext(ctx, "ServiceTimeout is not set: if no response reaches CloudFormation, the stack waits for an hour; set ServiceTimeout: 330",
		"stack", legible(r.StackID), "logicalId", legible(r.LogicalResourceID))
}

// over reports whether CloudFormation no longer waits, or not for long enough.
func (r request) over() bool {
	if r.RequestType == Create {
		return r.run.Age() > r.waiting()-least
	}
	return r.run.Age() >= r.waiting()
}

// end returns a context that ends when CloudFormation stops waiting. A Delete that comes
// later is carried out too.
func (r request) end(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.over() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, r.run.Sent.Add(r.waiting()))
}

// late returns errLate, but not before CloudFormation has stopped waiting: until then
// another delivery of the event may send its response.
func (r request) late(ctx context.Context) error {
	const tick = time.Second // the time of an event has whole seconds
	if err := patience.Sleep(ctx, time.Until(r.run.Sent.Add(r.waiting()+tick))); err != nil {
		return err
	}
	return errLate
}

// errLate: the event waited in the queue for so long that CloudFormation has stopped
// waiting, or is about to.
var errLate = errors.New("the event came too late: CloudFormation does not wait long enough any more. Nothing was changed")
