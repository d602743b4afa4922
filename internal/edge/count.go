package edge

import (
	"context"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"cloney-s3-credentials/internal/metric"
)

// counted has every call of every service counted: each attempt once its turn
// has come, and the call once AWS has acknowledged it.
func counted(stack *middleware.Stack) error {
	first := middleware.InitializeMiddlewareFunc("CountCall", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(context.WithValue(ctx, attempts{}, new(int)), in)
		if err == nil {
			metric.Done(ctx, awsmiddleware.GetOperationName(ctx))
		}
		return out, metadata, err
	})
	each := middleware.FinalizeMiddlewareFunc("CountAttempt", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		metric.Request(ctx)
		if before, ok := ctx.Value(attempts{}).(*int); ok {
			if *before++; *before > 1 {
				metric.Retry(ctx)
			}
		}
		return next.HandleFinalize(ctx, in)
	})
	if err := stack.Initialize.Add(first, middleware.After); err != nil {
		return err
	}
	return stack.Finalize.Insert(each, "Retry", middleware.After)
}

// attempts is where a call's attempts are counted, one after the other.
type attempts struct{}
