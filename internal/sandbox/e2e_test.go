package sandbox_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/sandbox"
)

// account is the one local AWS that all tests of this package share. Each test
// leaves it as empty as it found it.
var account *sandbox.Sandbox

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	var err error
	if account, err = sandbox.Start(ctx, sandbox.Options{Root: "../.."}); err == nil {
		defer account.Close()
		err = account.MakeBuckets(ctx)
	}
	if err == nil {
		err = account.DeployProvider(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := leaks(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "--- FAIL: leaks:", err)
		return 1
	}
	return code
}

// leaks looks for what must not be anywhere after the whole run: a secret
// access key, or the query of a ResponseURL, in a log line, an answer, or a
// stack's events.
func leaks(ctx context.Context) error {
	issued, err := account.IssuedSecrets(ctx)
	if err != nil {
		return err
	}
	requests, err := account.Requests(ctx)
	if err != nil {
		return err
	}
	events, err := account.AWS(ctx, "cloudformation", "describe-stack-events", "--stack-name", sandbox.ProviderStack)
	if err != nil {
		return err
	}
	places := map[string]string{"the function's log": account.Log(), "the stack's events": events}
	for i, r := range requests {
		for _, a := range r.Answers {
			places[fmt.Sprintf("answer %d", i)] = a.Body
		}
		var event struct{ ResponseURL string }
		if err := json.Unmarshal(r.Event, &event); err != nil {
			return err
		}
		_, signature, _ := strings.Cut(event.ResponseURL, "X-Amz-Signature=")
		issued = append(issued, signature)
	}
	whole := flag.Lookup("test.run").Value.String() == ""
	if whole && (len(issued) < 20 || len(requests) < 20 || len(places["the function's log"]) < 10_000) {
		return fmt.Errorf("only %d secrets, %d requests and %d bytes of log: nothing to look for", len(issued), len(requests), len(places["the function's log"]))
	}
	for place, text := range places {
		for _, secret := range append(issued, "SecretAccessKey", "X-Amz-") {
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
	found, err := account.Inventory(context.Background())
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

// stack writes a template with one resource called Credentials, deploys it as
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
	return account.Deploy(ctxOf(t), stack, file)
}

func remove(t *testing.T, stack string) {
	t.Helper()
	if err := account.DeleteStack(ctxOf(t), stack); err != nil {
		t.Error(err)
	}
}

func outputs(t *testing.T, stack string) map[string]string {
	t.Helper()
	values, err := account.Outputs(ctxOf(t), stack)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
