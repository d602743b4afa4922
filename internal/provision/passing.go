package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/order"
)

// inTheWay says why an entity cannot be deleted until a person removes the obstacle.
type inTheWay struct{ error }

func (e inTheWay) Unwrap() error { return e.error }

// passBy lets an Update go on although an entity stays: the Update may be a rollback, and a
// rollback that fails leaves the stack stuck. The log names what stays. A later Delete of
// the user finds its policies by their numbers; of an incomplete user only the log tells. A
// Delete fails, and so does undoing a Create, because a Delete follows.
func (r *run) passBy(ctx context.Context, err error) error {
	var stays inTheWay
	if r.event.Type != order.Update || !errors.As(err, &stays) {
		return err
	}
	r.Log.WarnContext(ctx, "not deleted: a person has to remove an obstacle first", "error", stays.Error())
	return nil
}

// someOf leaves an Update time for the steps after one that may be passed by. An obstacle is
// certain only once IAM shows what was just detached.
func (r *run) someOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || r.event.Type != order.Update {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// finish is what a person does once the obstacle is removed.
func (r *run) finish() string {
	if r.event.Type == order.Update {
		return "delete it by hand"
	}
	return "delete again"
}

// toldError is a message that names its property first. The step is in the log.
type toldError struct{ error }

// Unwrap returns the cause.
func (e toldError) Unwrap() error { return e.error }

func told(format string, args ...any) error { return toldError{fmt.Errorf(format, args...)} }
