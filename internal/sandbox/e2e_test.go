package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/sandbox"
)

// pool holds the local AWSes that nobody uses just now. A test takes one for
// its own and leaves it as empty as it found it.
var pool = make(chan *sandbox.Sandbox, sandboxes)

// sandboxes are as many as keep two cores busy: a test waits a good deal.
const sandboxes = 6

// owned says which test has which sandbox.
var owned sync.Map

// seenTags are the tags of users that a test saw, for leaks.
var seenTags sync.Map

// own takes a sandbox from the pool until the test ends, and runs the test
// beside the others.
func own(t *testing.T) {
	t.Helper()
	t.Parallel()
	s := <-pool
	owned.Store(t.Name(), s)
	t.Cleanup(func() { pool <- s })
}

// account is the sandbox of a test, or of the one that it is a part of.
func account(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	whole, _, _ := strings.Cut(t.Name(), "/")
	s, ok := owned.Load(whole)
	if !ok {
		t.Fatal("the test has not taken a sandbox: own(t)")
	}
	return s.(*sandbox.Sandbox)
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	started, err := startAll(ctx)
	defer func() {
		for _, s := range started {
			_ = s.Close()
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := leaks(ctx, started); err != nil {
		fmt.Fprintln(os.Stderr, "--- FAIL: leaks:", err)
		return 1
	}
	if err := judge(); err != nil {
		fmt.Fprintln(os.Stderr, "--- FAIL: calls:", err)
		return 1
	}
	return code
}

// startAll starts the sandboxes side by side, each with the provider deployed.
func startAll(ctx context.Context) ([]*sandbox.Sandbox, error) {
	started, errs := make([]*sandbox.Sandbox, sandboxes), make([]error, sandboxes)
	var wait sync.WaitGroup
	for i := range started {
		wait.Go(func() {
			if started[i], errs[i] = sandbox.Start(ctx, sandbox.Options{Root: "../..", Seen: record()}); errs[i] == nil {
				errs[i] = errors.Join(started[i].MakeBuckets(ctx), started[i].DeployProvider(ctx))
			}
			pool <- started[i]
		})
	}
	wait.Wait()
	return started, errors.Join(errs...)
}

// leaks looks for what must not be anywhere after the whole run: a secret
// access key, or the query of a ResponseURL, in a log line, an answer, a tag,
// or a stack's events.
func leaks(ctx context.Context, run []*sandbox.Sandbox) error {
	var secrets []string
	places := map[string]string{}
	for i, s := range run {
		issued, err := s.IssuedSecrets(ctx)
		if err != nil {
			return err
		}
		requests, err := s.Requests(ctx)
		if err != nil {
			return err
		}
		events, err := s.AWS(ctx, "cloudformation", "describe-stack-events", "--stack-name", sandbox.ProviderStack)
		if err != nil {
			return err
		}
		secrets = append(secrets, issued...)
		places[fmt.Sprintf("sandbox %d: the function's log", i)] = s.Log()
		places[fmt.Sprintf("sandbox %d: the stack's events", i)] = events
		for j, r := range requests {
			for _, a := range r.Answers {
				places[fmt.Sprintf("sandbox %d: answer %d", i, j)] += a.Body
			}
			var event struct{ ResponseURL string }
			if err := json.Unmarshal(r.Event, &event); err != nil {
				return err
			}
			_, signature, _ := strings.Cut(event.ResponseURL, "X-Amz-Signature=")
			secrets = append(secrets, signature)
		}
	}
	seenTags.Range(func(user, tags any) bool {
		places["the tags of "+user.(string)] = tags.(string)
		return true
	})
	if whole := flag.Lookup("test.run").Value.String() == ""; whole && (len(secrets) < 80 || len(places) < 60) {
		return fmt.Errorf("only %d secrets and %d places: nothing to look for", len(secrets), len(places))
	}
	for place, text := range places {
		for _, secret := range append(secrets, "SecretAccessKey", "X-Amz-") {
			if secret == "" || strings.Contains(text, secret) {
				return fmt.Errorf("%s holds a secret or a ResponseURL", place)
			}
		}
	}
	return nil
}

func ctxOf(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// empty fails the test if anything of ours is in the account.
func empty(t *testing.T) {
	t.Helper()
	if left := inventory(t); len(left) > 0 {
		t.Errorf("left in the account:\n%s", strings.Join(left, "\n"))
	}
}

func inventory(t *testing.T) []string {
	t.Helper()
	found, err := account(t).Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// having are the entries of the inventory that begin so.
func having(t *testing.T, prefix string) []string {
	t.Helper()
	return slices.DeleteFunc(inventory(t), func(entry string) bool { return !strings.HasPrefix(entry, prefix) })
}

// deploy writes a template with one resource called Credentials, deploys it as
// a stack of the test's own, and has it deleted at the end.
func deploy(t *testing.T, stack, properties string) error {
	t.Helper()
	return deployTemplate(t, stack, "Resources:\n"+resource("Credentials", properties)+
		"Outputs:\n  AccessKeyId: {Value: !GetAtt Credentials.AccessKeyId}\n  SecretName: {Value: !GetAtt Credentials.SecretName}\n  UserName: {Value: !Ref Credentials}\n")
}

func resource(name, properties string) string {
	return fmt.Sprintf("  %s:\n    Type: Custom::CloneyS3Credentials\n    Properties: {ServiceToken: !ImportValue cloney-s3-credentials-ServiceToken, ServiceTimeout: 60, %s}\n", name, properties)
}

func deployTemplate(t *testing.T, stack, template string) error {
	t.Helper()
	file := t.TempDir() + "/template.yaml"
	if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	return account(t).Deploy(ctxOf(t), stack, file)
}

func remove(t *testing.T, stack string) {
	t.Helper()
	if err := account(t).DeleteStack(ctxOf(t), stack); err != nil {
		t.Error(err)
	}
}

func outputs(t *testing.T, stack string) map[string]string {
	t.Helper()
	values, err := account(t).Outputs(ctxOf(t), stack)
	must(t, err)
	if user, ok := values["UserName"]; ok {
		tags, err := account(t).Tags(ctxOf(t), user, values["SecretName"])
		must(t, err)
		if !strings.Contains(tags, "cloney:stack-id=") {
			t.Errorf("%s has no tags: %s", user, tags)
		}
		seenTags.Store(user, tags)
	}
	return values
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
