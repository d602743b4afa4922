package resource

import (
	"context"
	"errors"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

var (
	errInternal = errors.New("the provider failed inside, which is a defect of its own; try again, and show its log to whoever maintains it")
	errTime     = errors.New("the provider ran out of time, and its log has what took so long")
)

// malformed is an event that is not a request; foreign is one of a stack that is
// not served.
type (
	malformed struct{ error }
	foreign   struct{ error }
)

// Closed says why the provider gives nothing: its environment is not as its template sets
// it, so that a limit of its owner may be missing.
type Closed struct{ Problem error }

func (c *Closed) Error() string {
	return c.Problem.Error() + ". Nothing was done; ask the owner of the provider's stack to deploy it with another MemorySize, which sets the whole environment anew, and try again"
}

// outcomes are told by package access; the first that fits counts.
var outcomes = []struct {
	outcome error
	cause   metric.Cause
}{
	{errInternal, metric.Internal},
	{errTime, metric.Deadline},
	{errLate, metric.Deadline},
	{access.ErrThrottled, metric.Throttled}, // before Deadline: what it waited for
	{context.DeadlineExceeded, metric.Deadline},
	{access.ErrDenied, metric.Denied},
	{access.ErrLimit, metric.Limit},
	{access.ErrKMS, metric.Invalid},
	{access.ErrInvalid, metric.Invalid},
	{access.ErrPrincipal, metric.Invalid},
	{access.ErrPublic, metric.Invalid},
}

// cause is why an event failed, by the type of its error and never by its text.
func cause(err error) metric.Cause {
	switch {
	case err == nil:
		return metric.None
	case is[malformed](err):
		return metric.Event
	case is[foreign](err):
		return metric.Account
	case is[*Closed](err):
		return metric.Settings
	case is[spec.Problems](err), is[policy.TooManyError](err):
		return metric.Properties
	case is[plan.Refused](err):
		return metric.Refused
	case is[issue.Unproven](err):
		return metric.Verification
	}
	for _, known := range outcomes {
		if errors.Is(err, known.outcome) {
			return known.cause
		}
	}
	return metric.Unclear
}

// refused reports whether the same event would fail in the same way again.
func refused(err error) bool {
	return is[malformed](err) || is[foreign](err) || is[spec.Problems](err) || is[policy.TooManyError](err) || is[plan.Refused](err)
}

func is[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}
