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

// Absence distinguishes "access denied" from "not found". An entity that does not exist has
// neither the path nor the tags that the function's role requires, so AWS denies the call
// instead of not finding it.
type Absence struct {
	Field string // of a call's input: the name of the entity
	// Besides are operations with that field that are left out: the look itself, and the
	// call that creates the entity.
	Besides []string
	Look    func(ctx context.Context, name *string) error // reads the entity, by a call that is allowed
	Outcome func(error) error
}

// WhenDenied makes an edge look after AWS has denied a call. If the entity does not exist,
// the error is "not found" instead of the denial. If the look is throttled, the error is
// that: then the call is repeated, denied again, and looked at again.
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
