package traces

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"cloney-s3-credentials/internal/reply"
)

// Kind is the reason for an event.
type Kind string

// The type of an event is Create, Update or Delete. A rollback is an Update, and the
// clean-up after a replacement is a Delete.
const (
	Create   Kind = "Create"
	Update   Kind = "Update"
	RollBack Kind = "rollback"
	Delete   Kind = "Delete"
	CleanUp  Kind = "clean-up"
)

// Type returns the event's RequestType.
func (k Kind) Type() string {
	switch k {
	case RollBack:
		return string(Update)
	case CleanUp:
		return string(Delete)
	}
	return string(k)
}

// Event is one request as CloudFormation sends it, and its result.
type Event struct {
	Kind     Kind
	Physical string // of an Update or Delete
	Props    Properties
	Old      Properties // of an Update
	Number   int        // from 1
	Sent     time.Time
	Disturbance

	Heard   *reply.Response // the response that CloudFormation took; nil: none
	GivenUp bool            // CloudFormation has stopped waiting, and took no response
	Broken  error           // the promise that the response breaks, as far as CloudFormation knows

	stack   *CloudFormation
	answers chan reply.Response
	over    chan struct{} // closed when CloudFormation has continued
}

// LongestWait is how long CloudFormation waits without a ServiceTimeout.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
const LongestWait = time.Hour

// Ends returns when CloudFormation stops waiting for a response, unless another resource
// fails before that.
func (e *Event) Ends() time.Time {
	if seconds, err := strconv.Atoi(fmt.Sprint(e.Props["ServiceTimeout"])); err == nil {
		return e.Sent.Add(time.Duration(seconds) * time.Second)
	}
	return e.Sent.Add(LongestWait)
}

// Dropped reports whether Lambda never delivers the event.
func (e *Event) Dropped() bool { return e.Queued > MaximumEventAge }

// RequestID is the event's.
func (e *Event) RequestID() string { return fmt.Sprintf("request-%d", e.Number) }

// Succeeded reports whether CloudFormation heard of success.
func (e *Event) Succeeded() bool { return e.Heard != nil && e.Heard.Status == reply.Success }

// Encode returns the event as the function gets it, with a response URL in the bucket of
// this URL.
func (e *Event) Encode(bucket string) json.RawMessage {
	fields := map[string]any{
		"RequestType": e.Kind.Type(), "RequestId": e.RequestID(),
		"ResponseURL": Sign(bucket+"/"+url.PathEscape(e.stack.StackID+"|"+e.stack.Logical+"|"+e.RequestID()), e.Sent),
		"StackId":     e.stack.StackID, "LogicalResourceId": e.stack.Logical, "ResourceType": "Custom::CloneyS3Credentials",
		"ResourceProperties": e.Props,
	}
	if e.Physical != "" {
		fields["PhysicalResourceId"] = e.Physical
	}
	if e.Old != nil {
		fields["OldResourceProperties"] = e.Old
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return raw
}

// Signature is the signature in every ResponseURL, for the tests that look for leaks.
const Signature = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"

// Sign returns the address as CloudFormation presigns it at that time: for two hours,
// whatever the ServiceTimeout.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func Sign(address string, at time.Time) string {
	at = at.UTC()
	return fmt.Sprintf("%s?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=%s&X-Amz-SignedHeaders=host&X-Amz-Expires=7200"+
		"&X-Amz-Credential=AKIAEXAMPLE%%2F%s%%2Feu-west-1%%2Fs3%%2Faws4_request&X-Amz-Signature="+Signature,
		address, at.Format("20060102T150405Z"), at.Format("20060102"))
}
