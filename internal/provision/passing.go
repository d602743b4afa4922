package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/order"
)

// inTheWay is why something stays that has to go: only a person can take out of the
// way what keeps it.
type inTheWay struct{ error }

func (e inTheWay) Unwrap() error { return e.error }

// passBy lets an Update go on where something stays: it may be a rollback, and
// CloudFormation has no third way. The log says what stays. A policy of the user is
// found by its number when the user is deleted; of a half-made user nothing but the
// log tells. A Delete fails, and so does undoing a Create: a Delete follows it.
func (r *run) passBy(ctx context.Context, err error) error {
	var stays inTheWay
	if r.event.Type != order.Update || !errors.As(err, &stays) {
		return err
	}
	r.Log.WarnContext(ctx, "left: only a person can take away what is in the way", "error", stays.Error())
	return nil
}

// someOf leaves an Update time for what comes after a step that is passed by: that
// something is in the way shows only when what was just detached is no longer why.
func (r *run) someOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || r.event.Type != order.Update {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// finish is what a person does once nothing is in the way any more.
func (r *run) finish() string {
	if r.event.Type == order.Update {
		return "delete it by hand"
	}
	return "delete again"
}

// toldError is a sentence that names its property first. The step is in the log.
type toldError struct{ error }

// Unwrap returns what the sentence was made of.
func (e toldError) Unwrap() error { return e.error }

func told(format string, args ...any) error { return toldError{fmt.Errorf(format, args...)} }
