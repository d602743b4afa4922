package edge

import (
	"context"
	"errors"
	"reflect"
	"slices"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"cloney-s3-credentials/internal/access"
)

// Absence tells "denied" from "gone": what is gone has neither the path nor the
// tags that the function's role asks for, so AWS denies what it would else not
// find.
type Absence struct {
	Field string // of a call's input: the name of what the call is about
	// Besides are operations with that field of whose denial absence says nothing:
	// the look itself, and what makes it.
	Besides []string
	Look    func(ctx context.Context, name *string) error // at it, by a call that is allowed
	Outcome func(error) error
}

// WhenDenied has an edge look around after AWS has denied a call. That the
// thing is not there takes the place of the denial; so does being throttled at
// the look, after which the call is repeated, denied again, and looked at again.
func WhenDenied(a Absence) func(*middleware.Stack) error {
	denied := middleware.InitializeMiddlewareFunc("WhenDenied", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		var api smithy.APIError
		if errors.As(err, &api) && common(api.ErrorCode()) == access.ErrDenied {
			if instead := a.look(ctx, in.Parameters); instead != nil {
				err = instead
			}
		}
		return out, metadata, err
	})
	return func(stack *middleware.Stack) error { return stack.Initialize.Add(denied, middleware.After) }
}

func (a Absence) look(ctx context.Context, input any) error {
	field := reflect.ValueOf(input).Elem().FieldByName(a.Field)
	if !field.IsValid() || slices.Contains(a.Besides, awsmiddleware.GetOperationName(ctx)) {
		return nil
	}
	name, _ := field.Interface().(*string)
	err := a.Look(ctx, name)
	if found := a.Outcome(err); errors.Is(found, access.ErrNotFound) || errors.Is(found, access.ErrThrottled) {
		return err
	}
	return nil
}
