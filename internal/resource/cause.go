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
	errInternal = errors.New("the provider failed because of a defect of its own; try again, and show its log to its maintainers")
	errTime     = errors.New("the provider ran out of time, and its log shows what took so long")
)

// malformed is an event in another form than CloudFormation's; foreign is an event of a
// stack that is not served.
type (
	malformed struct{ error }
	foreign   struct{ error }
)

// Closed says why the provider gives no credentials: its environment is not the one that
// its template sets, so a limit of its owner may be missing.
type Closed struct{ Problem error }

func (c *Closed) Error() string {
	return c.Problem.Error() + ". Nothing was changed; ask the owner of the provider's stack to deploy it with another MemorySize, which sets the whole environment again, and then try again"
}

// outcomes are errors of package access and of this one; the first that matches counts.
var outcomes = []struct {
	outcome error
	cause   metric.Cause
}{
	{errInternal, metric.Internal},
	{errTime, metric.Deadline},
	{errLate, metric.Deadline},
	{access.ErrThrottled, metric.Throttled}, // before Deadline: throttling is why time ran out
	{context.DeadlineExceeded, metric.Deadline},
	{access.ErrDenied, metric.Denied},
	{access.ErrLimit, metric.Limit},
	{access.ErrKMS, metric.Invalid},
	{access.ErrInvalid, metric.Invalid},
	{access.ErrPrincipal, metric.Invalid},
	{access.ErrPublic, metric.Invalid},
}

// cause is why an event failed, by the type of its error, never by its text.
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
