// Package reply sends one response to CloudFormation, to the presigned URL of an event.
//
// It sends only to CloudFormation's own response buckets. It follows no redirect, and sets
// no Content-Type, because S3 would refuse the signature. It cuts a body to the size that
// CloudFormation accepts, and retries after a failure on the way. No error holds the URL.
package reply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"cloney-s3-credentials/internal/patience"
)

// MaxBytes is the size of the largest response that CloudFormation accepts.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
const MaxBytes = 4096

// Status of a response.
const (
	Success = "SUCCESS"
	Failed  = "FAILED"
)

// Response is CloudFormation's response object.
type Response struct {
	Status             string
	Reason             string            `json:",omitempty"`
	PhysicalResourceID string            `json:"PhysicalResourceId"`
	StackID            string            `json:"StackId"`
	RequestID          string            `json:"RequestId"`
	LogicalResourceID  string            `json:"LogicalResourceId"`
	Data               map[string]string `json:",omitempty"`
	// Where says where to read on. It ends the Reason, also if that is cut.
	Where string `json:"-"`
}

// Encode returns the JSON of the response, at most MaxBytes long. If there is too much, it
// cuts the Reason at its end, between characters: the beginning names the cause.
func (r Response) Encode() []byte {
	r.bound()
	for reason := cut(r.Reason, MaxBytes); ; {
		r.Reason = reason + r.Where
		body := r.marshal()
		if len(body) <= MaxBytes || reason == "" {
			return body
		}
		// With escapes a character has up to twelve bytes. Cut the excess, at least one
		// character, and measure again.
		reason = cut(reason, max(0, len(reason)-max(1, (len(body)-MaxBytes)/12)))
	}
}

// bound cuts ids that leave no room for a Reason. CloudFormation's ids are never that
// long, so a response with ids that are cut harms nobody.
func (r *Response) bound() {
	for len(Response{PhysicalResourceID: r.PhysicalResourceID, StackID: r.StackID, RequestID: r.RequestID, LogicalResourceID: r.LogicalResourceID}.marshal()) > MaxBytes/2 {
		longest := &r.PhysicalResourceID
		for _, id := range []*string{&r.StackID, &r.RequestID, &r.LogicalResourceID} {
			if len(*id) > len(*longest) {
				longest = id
			}
		}
		*longest = cut(*longest, len(*longest)/2)
	}
}

// cut returns at most that many bytes of s, ending between characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

func (r Response) marshal() []byte {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	// Strings always marshal.
	_ = encoder.Encode(r)
	return bytes.TrimSpace(body.Bytes())
}

// Sender sends responses. Use New.
type Sender struct{ client *http.Client }

const (
	attemptTimeout = 4 * time.Second
	firstWait      = 250 * time.Millisecond
	mostWait       = 4 * time.Second
)

// New returns a Sender with connections of its own.
func New() *Sender {
	return &Sender{client: &http.Client{
		Timeout: attemptTimeout,
		// A response bucket never redirects, so a redirect is not to be trusted.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Send puts the response. Until the context ends, it retries after a failure of the
// network, after a 5xx answer of S3, and if S3 did not receive the body in time. Any other
// 4xx answer is final: the URL has expired, or its signature does not match.
func (s *Sender) Send(ctx context.Context, to Address, response Response) error {
	body := response.Encode()
	for wait := firstWait; ; wait = min(wait*2, mostWait) {
		again, err := s.put(ctx, to, body)
		if err == nil || !again || patience.Sleep(ctx, wait) != nil {
			return err
		}
	}
}

// put makes one attempt. again says whether to retry.
func (s *Sender) put(ctx context.Context, to Address, body []byte) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, to.url.String(), bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the ResponseURL cannot be requested")
	}
	response, err := s.client.Do(request)
	if err != nil {
		return true, fmt.Errorf("sending the response: %w", withoutURL(err))
	}
	defer response.Body.Close()
	// To its end, so that the connection can be used again, but with a limit.
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if response.StatusCode == http.StatusOK {
		return false, nil
	}
	return retryable(response.StatusCode, answer), fmt.Errorf("the response bucket answered %d", response.StatusCode)
}

// retryable reports whether S3 may accept a retry. RequestTimeout: the body did not arrive in
// time.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
func retryable(status int, answer []byte) bool {
	return status >= 500 || status == http.StatusBadRequest && bytes.Contains(answer, []byte("<Code>RequestTimeout</Code>"))
}

// withoutURL removes the URL with which every error of net/http begins.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
