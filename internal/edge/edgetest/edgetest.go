// Package edgetest is AWS's side of the wire, in memory, for the tests of the
// edges: it answers in the protocols of IAM (CloudFormation and SNS speak the same)
// and of Secrets Manager (as does EventBridge), and writes down what was asked. It is
// for tests only.
package edgetest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"cloney-s3-credentials/internal/edge"
)

// Call is one request: the operation, and its parameters, of the query
// protocol by name, of JSON as the text under "".
type Call struct {
	Operation string
	Form      url.Values
	JSON      string
}

// Answer is one answer. A zero Status is a connection that broke.
type Answer struct {
	Status int
	Body   string
}

// AWS answers calls. Answer decides what to the nth call (from 1) of an
// operation.
type AWS struct {
	Answer func(call Call, n int) Answer

	mu    sync.Mutex
	calls []Call
}

// Do is the HTTP client of the SDK.
func (a *AWS) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var call Call
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, operation, _ := strings.Cut(target, ".")
		call = Call{Operation: operation, JSON: string(body)}
	} else {
		call.Form, err = url.ParseQuery(string(body))
		call.Operation = call.Form.Get("Action")
	}
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call)
	n := 0
	for _, c := range a.calls {
		if c.Operation == call.Operation {
			n++
		}
	}
	answer := a.Answer(call, n)
	if answer.Status == 0 {
		return nil, fmt.Errorf("read tcp: connection reset by peer")
	}
	return &http.Response{
		StatusCode: answer.Status, Request: r, Header: http.Header{}, ContentLength: int64(len(answer.Body)),
		Body: io.NopCloser(strings.NewReader(answer.Body)),
	}, nil
}

// Operations are the names of all calls, in order.
func (a *AWS) Operations() []string {
	var names []string
	for _, call := range a.Calls() {
		names = append(names, call.Operation)
	}
	return names
}

// Calls are all calls, in order.
func (a *AWS) Calls() []Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls
}

// Config is the configuration of the functions, with this AWS behind it.
// Repeated calls wait: use it where time is made up.
func (a *AWS) Config(t *testing.T) aws.Config {
	t.Helper()
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ENDPOINT_URL", "")
	cfg := edge.Config()
	cfg.HTTPClient = a
	cfg.Credentials = credentials.NewStaticCredentialsProvider("AKIAFUNCTION", "function", "")
	return cfg
}

// Query is a success of the query protocol: what stands in <OPERATIONResult>.
func Query(operation, result string) Answer {
	return Answer{200, fmt.Sprintf(`<%[1]sResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><%[1]sResult>%[2]s</%[1]sResult><ResponseMetadata><RequestId>x</RequestId></ResponseMetadata></%[1]sResponse>`, operation, result)}
}

// QueryError is a refusal of the query protocol.
func QueryError(status int, code, message string) Answer {
	return Answer{status, fmt.Sprintf(`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>x</RequestId></ErrorResponse>`, code, message)}
}

// JSON is a success of the JSON protocol.
func JSON(body string) Answer { return Answer{200, body} }

// JSONError is a refusal of the JSON protocol.
func JSONError(status int, code, message string) Answer {
	return Answer{status, fmt.Sprintf(`{"__type": %q, "Message": %q}`, code, message)}
}
