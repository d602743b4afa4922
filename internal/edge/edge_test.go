package edge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
	"cloney-s3-credentials/internal/edge/edgetest"
)

func answered(code string) error {
	return fmt.Errorf("operation error IAM: CreateUser, https response error: %w", &smithy.GenericAPIError{Code: code, Message: "AWS says why."})
}

func TestOutcomesOfEveryService(t *testing.T) {
	outcomes := map[string]error{
		"AccessDenied": access.ErrDenied, "AccessDeniedException": access.ErrDenied, "UnauthorizedOperation": access.ErrDenied,
		"ValidationError": access.ErrInvalid, "ValidationException": access.ErrInvalid, "MalformedPolicyDocument": access.ErrInvalid,
	}
	for code := range retry.DefaultThrottleErrorCodes {
		outcomes[code] = access.ErrThrottled
	}
	for code, outcome := range outcomes {
		err := edge.Outcome(answered(code), nil)
		if !errors.Is(err, outcome) || !access.Definite(err) {
			t.Errorf("%s: %v", code, err)
		}
		// What stands in the error is AWS's sentence, not the SDK's.
		if want := fmt.Sprintf("%v: AWS says why. (%s)", outcome, code); err.Error() != want {
			t.Errorf("%s: %v, want %s", code, err, want)
		}
	}
}

func TestAServicesOwnTypesComeFirst(t *testing.T) {
	own := map[string]error{"LimitExceededException": access.ErrLimit}
	if err := edge.Outcome(answered("LimitExceededException"), own); !errors.Is(err, access.ErrLimit) || errors.Is(err, access.ErrThrottled) {
		t.Error(err)
	}
}

func TestWhatIsUnclear(t *testing.T) {
	if err := edge.Outcome(nil, nil); err != nil {
		t.Error(err)
	}
	for _, cause := range []error{answered("InternalFailure"), answered(""), errors.New("connection reset"), context.DeadlineExceeded, &smithy.DeserializationError{Err: errors.New("x")}} {
		if err := edge.Outcome(cause, nil); err == nil || access.Definite(err) {
			t.Errorf("%v: %v", cause, err)
		}
	}
	// The flow asks whether its time is up.
	if err := edge.Outcome(fmt.Errorf("x: %w", context.DeadlineExceeded), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := edge.Outcome(answered("InternalFailure"), nil); !strings.Contains(err.Error(), "InternalFailure") {
		t.Error(err)
	}
}

// The SDK repeats a few times what failed on the way, takes no quota that a busy
// minute uses up, and leaves what is throttled to the flow.
func TestConfig(t *testing.T) {
	cfg := new(edgetest.AWS).Config(t)
	retryer := cfg.Retryer()
	if retryer.MaxAttempts() != 4 || cfg.Region != "eu-west-1" {
		t.Errorf("%d attempts, %s", retryer.MaxAttempts(), cfg.Region)
	}
	for range 1000 {
		if _, err := retryer.GetRetryToken(t.Context(), answered("InternalFailure")); err != nil {
			t.Fatal(err)
		}
	}
	for code := range retry.DefaultThrottleErrorCodes {
		if retryer.IsErrorRetryable(answered(code)) {
			t.Errorf("%s is repeated", code)
		}
	}
	if !retryer.IsErrorRetryable(answered("RequestTimeout")) || retryer.IsErrorRetryable(answered("AccessDenied")) {
		t.Error("the SDK's own rules are lost")
	}
}
