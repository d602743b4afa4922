// Package edge is shared by the edges to AWS's services: one configuration of the SDK, and
// the translation of its errors into the outcomes of package access, by code and never by
// text.
//
// If AWS refused a call, the error is an outcome with AWS's own sentence, without the
// request. If a call failed on the way, the error is unchanged: it contains at most an
// endpoint, because the SDK puts no body into its errors.
package edge

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"cloney-s3-credentials/internal/access"
)

// notThrottled keeps the SDK from repeating throttled calls of any status, and leaves the
// rest to the SDK's own rules.
func notThrottled(err error) aws.Ternary {
	var api smithy.APIError
	if errors.As(err, &api) && throttled(api.ErrorCode()) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

func throttled(code string) bool {
	_, known := retry.DefaultThrottleErrorCodes[code]
	return known
}

// Outcome translates an error of the SDK. own are the outcomes of the service's own error
// codes.
func Outcome(err error, own map[string]error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		// There was no answer, or none that AWS's protocol knows: the call may have been
		// carried out.
		return fmt.Errorf("no clear answer from AWS: %w", err)
	}
	outcome := own[api.ErrorCode()]
	if outcome == nil {
		outcome = common(api.ErrorCode())
	}
	if outcome == nil {
		return fmt.Errorf("AWS answered %s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	told := fmt.Errorf("%w: %s (%s)", outcome, api.ErrorMessage(), api.ErrorCode())
	if errors.Is(err, access.ErrDoubt) {
		return doubt(told)
	}
	return told
}

// common are the outcomes of error codes that all services share.
// https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
func common(code string) error {
	switch code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation":
		return access.ErrDenied
	case "ValidationError", "ValidationException", "MalformedPolicyDocument":
		return access.ErrInvalid
	}
	if throttled(code) {
		return access.ErrThrottled
	}
	return nil
}

// IgnoreNotFound treats "not found" as success.
func IgnoreNotFound(err error) error {
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	return err
}

// As reports whether err holds an error of type T.
func As[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}
