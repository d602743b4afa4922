package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Request is one request that the sandbox's CloudFormation sent to the
// function, and the answers that came to its ResponseURL.
type Request struct {
	Event   json.RawMessage
	Answers []Answer
	Outcome string // SUCCESS or FAILED
	Reason  string
}

// Answer is one PUT to a ResponseURL.
type Answer struct {
	Status int // that the response bucket gave
	Body   string
}

// Requests returns every request so far, the first one first.
func (s *Sandbox) Requests(ctx context.Context) ([]Request, error) {
	var requests []Request
	return requests, s.ask(ctx, "requests", &requests)
}

// IssuedSecrets returns the secret half of every access key that the sandbox's
// IAM ever created, for tests that look for them where they must not be.
func (s *Sandbox) IssuedSecrets(ctx context.Context) ([]string, error) {
	var issued []string
	return issued, s.ask(ctx, "issued", &issued)
}

func (s *Sandbox) ask(ctx context.Context, what string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Responses+"/_sandbox/"+what, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking the sandbox for its %s: %w", what, err)
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(into)
}

// AnswerAtOnce has the sandbox's CloudFormation answer a request for an operation on a
// stack at once, as AWS does, and not when the operation has ended.
func (s *Sandbox) AnswerAtOnce(ctx context.Context) error {
	return post(ctx, s.Responses+"/_sandbox/answer-seconds", "0")
}

// Invoke has the function that answers CloudFormation handle an event. The error is
// what the function itself returned: a resource that failed is an answer, and no error.
func (s *Sandbox) Invoke(ctx context.Context, event string) error {
	return s.invoke(ctx, ProviderStack, event)
}

// invoke goes through moto's Lambda, which gives an emulator one event at a time.
func (s *Sandbox) invoke(ctx context.Context, function, event string) error {
	return post(ctx, s.Responses+"/_sandbox/invoke/"+function, event)
}
