package edge

import (
	"context"
	"errors"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"cloney-s3-credentials/internal/access"
)

// WhenDenied has an edge look around after AWS has denied a call: what is gone
// has neither the path nor the tags that the function's role asks for, so AWS
// denies what it would else not find. An error of look takes the place of the
// denial.
func WhenDenied(look func(ctx context.Context, input any) error) func(*middleware.Stack) error {
	denied := middleware.InitializeMiddlewareFunc("WhenDenied", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		var api smithy.APIError
		if errors.As(err, &api) && common(api.ErrorCode()) == access.ErrDenied {
			if instead := look(ctx, in.Parameters); instead != nil {
				err = instead
			}
		}
		return out, metadata, err
	})
	return func(stack *middleware.Stack) error { return stack.Initialize.Add(denied, middleware.Before) }
}
