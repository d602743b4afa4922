// Package resource turns one event of CloudFormation into exactly one response.
//
// It sends the response before the function's deadline, also after bad input, a refusal
// of AWS, a panic, or a call that hangs. It sends it only to CloudFormation's own
// response buckets. An event that cannot be answered there is refused before anything
// is done.
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

// Provisioner carries out events.
type Provisioner interface {
	Create(ctx context.Context, want plan.Desired) (provision.Result, error)
	Update(ctx context.Context, want plan.Desired) (provision.Result, error)
	Delete(ctx context.Context, target plan.Target) error
}

// Sender sends responses.
type Sender interface {
	Send(ctx context.Context, to reply.Address, response reply.Response) error
}

// Guard keeps the provider's own stack from being deleted while there are users, see
// package guard.
type Guard interface {
	// MayGo returns nil if no user is left. of is the guard resource itself.
	MayGo(ctx context.Context, of name.Owner) error
}

// Handler answers events. Provisioner, Guard, Sender and Log are required. Without
// Metrics it writes no metrics.
type Handler struct {
	Provisioner   Provisioner
	Guard         Guard
	Sender        Sender
	Log           *slog.Logger
	Limits        spec.Limits // what the provider's owner allows and requires
	Rotates       bool        // the provider has a function that rotates keys
	ResponseHosts []string    // of local runs, see reply.ParseAddress
	RefuseUnbound bool        // refuse events whose ResponseURL is not their own, see reply.Address.Bound
	Home          Home        // whose stacks are served; zero: anyone's
	Closed        *Closed     // why no credentials are given; nil: they are given
	LogStream     string      // named in responses, so that a stack owner finds the log
	Metrics       *metric.Sink
}

// Handle answers one event. It returns an error, which Lambda counts as a failure, only
// if no response was accepted, or if the event failed because the provider is Closed.
func (h *Handler) Handle(ctx context.Context, raw json.RawMessage) (err error) {
	// Also where nothing is sent, or where the response is sent already: Lambda's own
	// handler would print the value of the panic.
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
	work, cancel := ending(end, keepForResponse)
	defer cancel()
	a := h.respond(work, r)
	// Ends early enough to log that the response was not accepted.
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

// receive decodes an event, and decides whether it can be answered at all.
func (h *Handler) receive(ctx context.Context, raw json.RawMessage) (request, error) {
	e, problems := decode(raw)
	r := request{event: e}
	stack, err := name.ParseStackID(e.StackID)
	if err != nil && problems == nil {
		problems = err
	}
	// The stack decides which region's response bucket is answered. Without a stack,
	// only the hosts of a local run are left.
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

// bound counts and logs an event whose ResponseURL is not its own, and refuses it if the
// provider's owner wants that. In local runs the ResponseURL need not be the event's own.
func (h *Handler) bound(ctx context.Context, r request) error {
	if r.address.Bound(r.StackID, r.LogicalResourceID, r.RequestID) || r.address.Local() && !h.RefuseUnbound {
		return nil
	}
	metric.Unbound(ctx)
	if h.RefuseUnbound {
		return reply.ErrUnbound
	}
	h.Log.WarnContext(ctx, "the path of the ResponseURL does not have the StackId, LogicalResourceId and RequestId of this event, as CloudFormation would write it: somebody may have forged the event",
		"requestType", legible(string(r.RequestType)), "stack", legible(r.StackID), "logicalId", legible(r.LogicalResourceID))
	return nil
}

// response is what is sent, and the cause of a failure, which is not sent.
type response struct {
	reply.Response
	cause metric.Cause
}

// respond carries out the event and returns the response, at the latest when ctx ends: it
// does not wait for a call that hangs then.
func (h *Handler) respond(ctx context.Context, r request) response {
	a := response{Response: reply.Response{
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
				// Not raised again: Lambda would deliver the event once more, after
				// CloudFormation has rolled back.
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

// idOf is the id of a Create that has failed. By it, the Delete that follows deletes what
// any delivery of this event has created, and nothing else.
func idOf(r request, user string, err error, left provision.Left) string {
	switch {
	case left == provision.Unknown: // also when it ran out of time, or panicked
		return name.MaybeCreated(r.run.Event(), user)
	case left == provision.Nothing && refused(err):
		return name.NotCreated(user)
	}
	return user
}

// physicalID is the id of a response that fails: the id in the event, or for a Create the
// id that it would have got, so that the Delete that follows finds what is left.
func (h *Handler) physicalID(ctx context.Context, r request) (id string) {
	// The properties are untrusted: an event over which this panics is answered too.
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

// ample is a ServiceTimeout that leaves the function all of its own 300 s.
const ample = 330 * time.Second

// reason is what a stack owner reads. If time was short, it says how to get more.
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
		return "ServiceTimeout: " + text + ". Set ServiceTimeout to 330 or more, and try again"
	}
	return text + ". Try again"
}

// attributes are what Fn::GetAtt returns. The secret access key is not one of them.
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

// nothing is the result of an event that is refused before any call to AWS.
var nothing = provision.Result{Left: provision.Nothing}

// work carries out the event.
func (h *Handler) work(ctx context.Context, r request) (provision.Result, error) {
	if err := together(r.problems, r.validate()); err != nil {
		return nothing, malformed{fmt.Errorf("the event does not have the form in which CloudFormation sends events: %w", err)}
	}
	// A Delete gives nothing, so it needs no limits.
	if h.Closed != nil && r.RequestType != Delete {
		return nothing, h.Closed
	}
	if r.isGuard() {
		return provision.Result{}, h.guard(ctx, r)
	}
	if r.RequestType == Delete {
		// Properties that are not valid do not stop a Delete.
		return provision.Result{}, h.Provisioner.Delete(ctx, r.target())
	}
	unserved := h.Home.serves(r.owner.Stack)
	if unserved != nil && r.RequestType == Create {
		return nothing, foreign{unserved}
	}
	rules := spec.Rules{
		Owner: r.owner, Limits: h.Limits, Account: h.Home.account(), Rotates: h.Rotates,
		Update: r.RequestType == Update,
		Now:    r.run.Sent, // the same for every delivery of the event
	}
	declared, err := spec.Parse(r.ResourceProperties, rules)
	if err != nil && unserved != nil {
		return nothing, foreign{unserved}
	}
	if err != nil {
		return nothing, err
	}
	// Only now: an event that is refused fails in the same way on every delivery, so its
	// response need not wait for that of another delivery.
	if r.over() {
		return provision.Result{}, r.late(ctx)
	}
	h.noteTimeout(ctx, r)
	want := plan.Desired{Owner: r.owner, Run: r.run, Spec: declared}
	if r.RequestType == Create {
		return h.Provisioner.Create(ctx, want)
	}
	previous := spec.Peek(r.OldResourceProperties, r.owner)
	want.PhysicalID = r.PhysicalResourceID
	want.Old = plan.Old{UserName: previous.UserName, SecretName: previous.SecretName, TagKeys: previous.TagKeys, Readers: previous.Readers}
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

// guard carries out an event of the guard in the provider's own stack. A Create or Update
// does nothing. Only a stack in the function's own account can hold the provider.
func (h *Handler) guard(ctx context.Context, r request) error {
	own := h.Home.account()
	foreigner := own != "" && r.owner.Stack.Account != own
	_, credentials := r.ResourceProperties["Buckets"]
	switch {
	case r.RequestType != Delete && credentials:
		return plan.Refused(fmt.Sprintf("the resource type %s is for the provider's own stack, and creates no credentials; write Custom::CloneyS3Credentials", guard.Type))
	case r.RequestType == Delete && !foreigner:
		return h.Guard.MayGo(ctx, r.owner)
	case r.RequestType != Delete && foreigner:
		return foreign{fmt.Errorf("the resource type %s is for the provider's own stack, in account %s; write Custom::CloneyS3Credentials in this one", guard.Type, own)}
	}
	return nil
}

// unchanged reports whether the previous properties declare the same as the new ones.
func (h *Handler) unchanged(r request, declared spec.Spec, rules spec.Rules) bool {
	previous, err := spec.Parse(r.OldResourceProperties, rules)
	return err == nil && reflect.DeepEqual(previous, declared)
}

// target is what a Delete names. Its properties need not be valid.
func (r request) target() plan.Target {
	names := spec.Peek(r.ResourceProperties, r.owner)
	t := plan.Target{Owner: r.owner, Run: r.run, PhysicalID: r.PhysicalResourceID, UserName: names.UserName, SecretName: names.SecretName}
	if event, user, ok := name.ParseMaybeCreated(r.PhysicalResourceID); ok {
		t.PhysicalID, t.UserName, t.Of = user, user, event
	}
	return t
}
