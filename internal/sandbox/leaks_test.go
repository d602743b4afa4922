package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/sandbox"
)

// leaks gathers, from every sandbox of the run, what must not be anywhere and
// where it could be: secret access keys and the queries of ResponseURLs; log
// lines, answers, tags, notices and the events of stacks.
var leaks = gathered{places: map[string]string{}}

type gathered struct {
	mu      sync.Mutex
	secrets []string
	places  map[string]string
	looked  int
}

// look takes in what a sandbox has, before it is closed.
func (g *gathered) look(s *sandbox.Sandbox) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	ctx := context.Background()
	issued, err := s.IssuedSecrets(ctx)
	if err != nil {
		return err
	}
	requests, err := s.Requests(ctx)
	if err != nil {
		return err
	}
	events, err := s.Events(ctx, sandbox.ProviderStack)
	if err != nil {
		return err
	}
	announced, err := s.Told(ctx)
	if err != nil {
		return err
	}
	g.looked++
	g.secrets = append(g.secrets, issued...)
	g.places[fmt.Sprintf("sandbox %d: the function's log", g.looked)] = s.Log()
	g.places[fmt.Sprintf("sandbox %d: the rotator's log", g.looked)] = s.RotatorLog()
	g.places[fmt.Sprintf("sandbox %d: the notices", g.looked)] = fmt.Sprint(announced)
	var told strings.Builder
	for _, event := range events {
		fmt.Fprintln(&told, aws.ToString(event.ResourceStatusReason), aws.ToString(event.ResourceProperties), aws.ToString(event.PhysicalResourceId))
	}
	g.places[fmt.Sprintf("sandbox %d: the stack's events", g.looked)] = told.String()
	for i, r := range requests {
		for _, a := range r.Answers {
			g.places[fmt.Sprintf("sandbox %d: answer %d", g.looked, i)] += a.Body
		}
		var event struct{ ResponseURL string }
		if err := json.Unmarshal(r.Event, &event); err != nil {
			return err
		}
		_, signature, _ := strings.Cut(event.ResponseURL, "X-Amz-Signature=")
		g.secrets = append(g.secrets, signature)
	}
	return nil
}

// found is where a secret or a ResponseURL is. After a whole run there have to
// be enough of both to look for.
func (g *gathered) found() error {
	seenTags.Range(func(user, tags any) bool {
		g.places["the tags of "+user.(string)] = tags.(string)
		return true
	})
	if whole := flag.Lookup("test.run").Value.String() == ""; whole && (len(g.secrets) < 80 || len(g.places) < 60) {
		return fmt.Errorf("only %d secrets and %d places: nothing to look for", len(g.secrets), len(g.places))
	}
	for place, text := range g.places {
		for _, secret := range append(g.secrets, "SecretAccessKey", "X-Amz-") {
			if secret == "" || strings.Contains(text, secret) {
				return errors.New(place + " holds a secret or a ResponseURL")
			}
		}
	}
	return nil
}
