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
// IAM ever made, for tests that look for them where they must not be.
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

// Invoke sends an event to the function by the real `aws lambda invoke` and
// returns what the function returned.
func (s *Sandbox) Invoke(ctx context.Context, event string) (string, error) {
	return s.AWS(ctx, "lambda", "invoke", "--function-name", ProviderStack, "--payload", event,
		"--cli-read-timeout", "330", "--query", "FunctionError", "--output", "text", "/dev/stderr")
}
