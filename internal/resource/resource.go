// Package resource turns one CloudFormation request into exactly one answer.
//
// Whatever happens in between (bad input, a refusal of AWS, a panic, a call
// that hangs) the answer is sent before the function's deadline, and only to
// CloudFormation's own response buckets. An event that cannot be answered
// there is refused before anything is done.
package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"cloney-s3-credentials/internal/guard"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/spec"
)

// Provisioner does what a request asks for.
type Provisioner interface {
	Create(ctx context.Context, want plan.Desired) (provision.Result, error)
	Update(ctx context.Context, want plan.Desired) (provision.Result, error)
	Delete(ctx context.Context, target plan.Target) error
}

// Sender sends an answer.
type Sender interface {
	Send(ctx context.Context, to reply.Address, response reply.Response) error
}

// Guard keeps the provider's own stack from being deleted, see package guard.
type Guard interface {
	// MayGo returns nil if no user is left. of is the guard itself.
	MayGo(ctx context.Context, of name.Owner) error
}

// Handler answers requests. Provisioner, Guard, Sender and Log are required;
// without Metrics none are written.
type Handler struct {
	Provisioner   Provisioner
	Guard         Guard
	Sender        Sender
	Log           *slog.Logger
	Limits        spec.Limits // what the provider's owner allows and asks for
	Rotates       bool        // the provider has a function that rotates
	ResponseHosts []string    // of local runs, see reply.ParseAddress
	RefuseUnbound bool        // events whose ResponseURL is not their own, see reply.Address.Bound
	Home          Home        // whose events are served; zero: anyone's
	Closed        *Closed     // why nothing is given; nil: it is
	LogStream     string      // named in answers, so that the log is found
	Metrics       *metric.Sink
}

// Handle answers one event. It returns an error, which makes Lambda count a
// failure, only if no answer was accepted, or what should have been given was not
// because the provider is Closed.
func (h *Handler) Handle(ctx context.Context, raw json.RawMessage) (err error) {
	// Also where there is no answer to give, or none any more: Lambda's own handler
	// would print what panicked.
	accepted := false
	defer func() {
		if panicked := recover(); panicked != nil {
			h.panicked(ctx, panicked)
			err = nil
			if !accepted {
				err = errInternal
			}
		}
	}()
	started := time.Now()
	ctx, tally := metric.Start(ctx)
	r, err := h.receive(ctx, raw)
	if err != nil {
		h.Log.ErrorContext(ctx, "event refused", "error", err.Error())
		h.Metrics.Tell(metric.Told{Cause: metric.Unanswerable, Took: time.Since(started), Counts: tally.Counts()})
		return err
	}
	r.run = runOf(r, started)
	end, cancel := r.end(ctx)
	defer cancel()
	work, cancel := ending(end, keepForAnswer)
	defer cancel()
	a := h.respond(work, r)
	// Given up early enough to note that nobody took the answer.
	sending, cancel := ending(ctx, keepForRecord)
	defer cancel()
	err = h.Sender.Send(sending, r.address, a.Response)
	accepted = err == nil
	h.record(ctx, r, a, tally.Counts(), time.Since(started), err)
	if err == nil && a.cause == metric.Settings {
		return h.Closed
	}
	return err
}

// receive decodes an event as far as it takes to know whether it can be
// answered at all.
func (h *Handler) receive(ctx context.Context, raw json.RawMessage) (request, error) {
	e, problems := decode(raw)
	r := request{event: e}
	stack, err := name.ParseStackID(e.StackID)
	if err != nil && problems == nil {
		problems = err
	}
	// The stack says which region's response bucket may be answered. Without
	// one, only the hosts of a local run are left.
	r.owner = name.Owner{Stack: stack, Logical: e.LogicalResourceID}
	answerable := stack
	if err == nil {
		if err = h.Home.near(stack); err != nil {
			problems, answerable = together(problems, err), name.Stack{}
		}
	}
	if r.address, err = reply.ParseAddress(e.ResponseURL, answerable, h.ResponseHosts); err != nil {
		return request{}, together(problems, err)
	}
	if err := h.bound(ctx, r); err != nil {
		return request{}, together(problems, err)
	}
	if problems != nil {
		r.problems = problems
	}
	return r, nil
}

// bound counts and tells an event whose ResponseURL is not its own, and refuses it if
// the provider's owner asks for that. Those of local runs need not be.
func (h *Handler) bound(ctx context.Context, r request) error {
	if r.address.Bound(r.StackID, r.LogicalResourceID, r.RequestID) || r.address.Local() && !h.RefuseUnbound {
		return nil
	}
	metric.Unbound(ctx)
	if h.RefuseUnbound {
		return reply.ErrUnbound
	}
	h.Log.WarnContext(ctx, "the ResponseURL is not of this event, whose StackId, LogicalResourceId and RequestId CloudFormation would have put into its path: somebody may have made the event up",
		"requestType", legible(string(r.RequestType)), "stack", legible(r.StackID), "logicalId", legible(r.LogicalResourceID))
	return nil
}

// answer is a response, and what CloudFormation is not told.
type answer struct {
	reply.Response
	cause metric.Cause
}

// respond does what is asked and returns the answer, at the latest when ctx
// ends: what hangs then is left behind.
func (h *Handler) respond(ctx context.Context, r request) answer {
	a := answer{Response: reply.Response{
		PhysicalResourceID: h.physicalID(ctx, r),
		StackID:            r.StackID,
		RequestID:          r.RequestID,
		LogicalResourceID:  r.LogicalResourceID,
	}}
	type outcome struct {
		result provision.Result
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() {
			if panicked := recover(); panicked != nil {
				// Answered and not raised again: Lambda would deliver the event
				// once more, after CloudFormation has rolled back.
				h.panicked(ctx, panicked)
				done <- outcome{err: errInternal}
			}
		}()
		result, err := h.work(ctx, r)
		done <- outcome{result, err}
	}()
	var got outcome
	select {
	case got = <-done:
	case <-ctx.Done():
		got.err = errTime
	}
	if got.err != nil {
		if r.RequestType == Create && !r.isGuard() {
			a.PhysicalResourceID = idOf(r, a.PhysicalResourceID, got.err, got.result.Left)
		}
		a.Status, a.Reason, a.cause = reply.Failed, reason(r, got.err), cause(got.err)
		if h.LogStream != "" {
			a.Where = " (log stream " + h.LogStream + ")"
		}
		return a
	}
	a.Status = reply.Success
	if r.RequestType == Delete || r.isGuard() {
		return a
	}
	a.PhysicalResourceID = got.result.UserName
	a.Data = attributes(got.result)
	return a
}

// idOf is the id of a Create that has failed: the Delete that follows takes away
// what this event has made, on whichever delivery, and nothing else.
func idOf(r request, user string, err error, left provision.Left) string {
	switch {
	case left == provision.Unknown: // also when it ran out of time, or panicked
		return name.NotFinished(r.run.Event(), user)
	case left == provision.Nothing && refused(err):
		return name.NotCreated(user)
	}
	return user
}

// physicalID is the id of an answer that fails: the one that came in, or for a
// Create the one that it would have got, so that the Delete that follows finds
// what is left.
func (h *Handler) physicalID(ctx context.Context, r request) (id string) {
	// The properties are anyone's: a panic over them is answered too.
	defer func() {
		if panicked := recover(); panicked != nil {
			h.panicked(ctx, panicked)
			id = r.owner.User()
		}
	}()
	if r.PhysicalResourceID != "" && r.RequestType != Create {
		return r.PhysicalResourceID
	}
	if r.isGuard() {
		return guard.ID
	}
	return spec.Peek(r.ResourceProperties, r.owner).UserName
}

// ample is a ServiceTimeout that leaves the function its own 300 s.
const ample = 330 * time.Second

// reason is what a stack owner reads. Where time is short it says how there is more.
func reason(r request, err error) string {
	text := err.Error()
	switch {
	case errors.Is(err, errTime) || errors.Is(err, errLate):
	case errors.Is(err, context.DeadlineExceeded):
		text = "the provider ran out of time: " + strings.TrimSuffix(text, ": "+context.DeadlineExceeded.Error())
	default:
		return text
	}
	if r.waiting() < ample {
		return text + ". Set ServiceTimeout to 330 or more, and try again"
	}
	return text + ". Try again"
}

// attributes are what Fn::GetAtt gives. The secret access key is none of them.
func attributes(result provision.Result) map[string]string {
	return map[string]string{
		"UserName":        result.UserName,
		"UserArn":         result.UserARN,
		"PolicyArns":      strings.Join(result.PolicyARNs, ","),
		"AccessKeyId":     result.AccessKeyID,
		"SecretArn":       result.SecretARN,
		"SecretName":      result.SecretName,
		"SecretVersionId": result.SecretVersionID,
	}
}

// nothing comes of an event that is refused before anything is asked of AWS.
var nothing = provision.Result{Left: provision.Nothing}

// work does what the request asks for.
func (h *Handler) work(ctx context.Context, r request) (provision.Result, error) {
	if err := together(r.problems, r.validate()); err != nil {
		return nothing, malformed{fmt.Errorf("the event is malformed, and not as CloudFormation sends them: %w", err)}
	}
	// A Delete only takes, and needs no limit for that.
	if h.Closed != nil && r.RequestType != Delete {
		return nothing, h.Closed
	}
	if r.isGuard() {
		return provision.Result{}, h.guard(ctx, r)
	}
	if r.RequestType == Delete {
		// Properties that are no longer valid, or never were, do not stop it.
		return provision.Result{}, h.Provisioner.Delete(ctx, r.target())
	}
	unserved := h.Home.serves(r.owner.Stack)
	if unserved != nil && r.RequestType == Create {
		return nothing, foreign{unserved}
	}
	rules := spec.Rules{
		Owner: r.owner, Limits: h.Limits, Account: h.Home.account(), Rotates: h.Rotates,
		Update: r.RequestType == Update,
		Now:    r.run.Sent, // every delivery of an event is judged alike
	}
	declared, err := spec.Parse(r.ResourceProperties, rules)
	if err != nil && unserved != nil {
		return nothing, foreign{unserved}
	}
	if err != nil {
		return nothing, err
	}
	// Only now: what is refused fails in the same way on every delivery, so that its
	// answer need not wait for another one.
	if r.over() {
		return provision.Result{}, r.late(ctx)
	}
	want := plan.Desired{Owner: r.owner, Run: r.run, Spec: declared}
	if r.RequestType == Create {
		return h.Provisioner.Create(ctx, want)
	}
	former := spec.Peek(r.OldResourceProperties, r.owner)
	want.PhysicalID = r.PhysicalResourceID
	want.Former = plan.Former{UserName: former.UserName, SecretName: former.SecretName, TagKeys: former.TagKeys, Readers: former.Readers}
	want.Unchanged = h.unchanged(r, declared, rules)
	want.Frozen = unserved != nil
	result, err := h.Provisioner.Update(ctx, want)
	if want.Frozen && refused(err) {
		return nothing, foreign{unserved}
	}
	return result, err
}

// isGuard reports whether the event is about the provider's own stack.
func (r request) isGuard() bool { return r.ResourceType == guard.Type }

// guard answers for the guard of the provider's own stack. To make or change it does
// nothing. Only a stack of the function's own account can hold the provider.
func (h *Handler) guard(ctx context.Context, r request) error {
	own := h.Home.account()
	foreigner := own != "" && r.owner.Stack.Account != own
	_, credentials := r.ResourceProperties["Buckets"]
	switch {
	case r.RequestType != Delete && credentials:
		return plan.Refused(fmt.Sprintf("the resource type %s is for the provider's own stack, and makes no credentials; write Custom::CloneyS3Credentials", guard.Type))
	case r.RequestType == Delete && !foreigner:
		return h.Guard.MayGo(ctx, r.owner)
	case r.RequestType != Delete && foreigner:
		return foreign{fmt.Errorf("the resource type %s is for the provider's own stack, in account %s; write Custom::CloneyS3Credentials in this one", guard.Type, own)}
	}
	return nil
}

// unchanged reports whether the former properties say the same as those of now.
func (h *Handler) unchanged(r request, declared spec.Spec, rules spec.Rules) bool {
	former, err := spec.Parse(r.OldResourceProperties, rules)
	return err == nil && reflect.DeepEqual(former, declared)
}

// target is what a Delete names. Its properties need not be valid.
func (r request) target() plan.Target {
	names := spec.Peek(r.ResourceProperties, r.owner)
	t := plan.Target{Owner: r.owner, Run: r.run, PhysicalID: r.PhysicalResourceID, UserName: names.UserName, SecretName: names.SecretName}
	if event, user, ok := name.ParseNotFinished(r.PhysicalResourceID); ok {
		t.PhysicalID, t.UserName, t.Of = user, user, event
	}
	return t
}
