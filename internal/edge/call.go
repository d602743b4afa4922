package edge

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/metric"
)

// watched counts every call of every service: each attempt, and the call once AWS has
// acknowledged it. It also adds to errors what the SDK's own text lacks.
func watched(stack *middleware.Stack) error {
	call := middleware.InitializeMiddlewareFunc("WatchCall", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		attempts, _ := retry.GetAttemptResults(metadata)
		for range len(attempts.Results) - 1 {
			metric.Retry(ctx)
		}
		switch operation := awsmiddleware.GetOperationName(ctx); {
		case err == nil:
			metric.Done(ctx, operation)
			err = complete(operation, out.Result)
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			// Go's HTTP client reports the end of callTimeout as an end of the context too,
			// but the event has time left.
			err = fmt.Errorf("AWS did not answer within %v", callTimeout)
		case len(attempts.Results) > 1:
			// An attempt whose answer was lost may have been carried out. Then the next
			// attempt meets "exists already".
			err = doubt(err)
		}
		return out, metadata, err
	})
	attempt := middleware.FinalizeMiddlewareFunc("WatchAttempt", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		metric.Request(ctx)
		return next.HandleFinalize(ctx, in)
	})
	if err := stack.Initialize.Add(call, middleware.After); err != nil {
		return err
	}
	return stack.Finalize.Insert(attempt, "Retry", middleware.After)
}

func doubt(err error) error { return fmt.Errorf("%w; %w", err, access.ErrDoubt) }

// required is what a successful answer must contain, by operation; in a list, each element.
// AWS was seen to answer 200 with an empty body, and a key without a date would look very
// old.
var required = map[string][]string{
	"GetUser":              {"User.UserId", "User.UserName", "User.Arn"},
	"ListUsers":            {"Users.UserName", "Users.UserId", "Users.CreateDate"},
	"CreateUser":           {"User.UserId", "User.UserName", "User.Arn"},
	"CreateAccessKey":      {"AccessKey.AccessKeyId", "AccessKey.SecretAccessKey"},
	"ListAccessKeys":       {"AccessKeyMetadata.AccessKeyId", "AccessKeyMetadata.Status", "AccessKeyMetadata.CreateDate"},
	"GetAccessKeyLastUsed": {"AccessKeyLastUsed.ServiceName", "AccessKeyLastUsed.Region"},
	"GetPolicy":            {"Policy.DefaultVersionId"},
	"GetPolicyVersion":     {"PolicyVersion.Document"},
	"CreatePolicy":         {"Policy.Arn"},
	"ListPolicies":         {"Policies.PolicyName", "Policies.DefaultVersionId"},
	"DescribeSecret":       {"Name", "ARN"},
	"CreateSecret":         {"ARN"},
	"GetSecretValue":       {"ARN"},
	"GetResourcePolicy":    {"Name"},
	"ListSecrets":          {"SecretList.Name", "SecretList.ARN"},
	// Each event that was accepted has an id.
	"PutEvents":             {"Entries"},
	"Publish":               {"MessageId"},
	"DescribeStackResource": {"StackResourceDetail.ResourceStatus"},
}

// complete returns an error if the answer lacks a required field: then the call may have
// been carried out.
func complete(operation string, answer any) error {
	for _, path := range required[operation] {
		if lacks(reflect.ValueOf(answer), strings.Split(path, ".")) {
			return fmt.Errorf("its answer lacks %s", path)
		}
	}
	return nil
}

func lacks(value reflect.Value, path []string) bool {
	switch value = reflect.Indirect(value); {
	case !value.IsValid():
		return true
	case len(path) == 0:
		return value.IsZero()
	case value.Kind() == reflect.Slice:
		for i := range value.Len() {
			if lacks(value.Index(i), path) {
				return true
			}
		}
		return value.IsNil() // an empty list is not nil
	}
	return lacks(value.FieldByName(path[0]), path[1:])
}
