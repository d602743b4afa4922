//go:build bench

// Package python_test plays a life with the Python version of the provider: what
// the benchmark compares with has to do the job.
package python_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/traces"
)

// enough is the time of an event whose time does not matter.
const enough = 3 * time.Minute

const root = "../../.."

const stackID = "arn:aws:cloudformation:" + sandbox.Region + ":" + sandbox.Account + ":stack/python/0b6a1c70-0000-11f0-0000-000000000000"

var owner = name.Owner{Stack: name.Stack{ID: stackID}, Logical: "Credentials"}

// world is a sandbox with the Python version of the provider in it.
type world struct {
	*testing.T
	ctx     context.Context
	sandbox *sandbox.Sandbox
	proxy   *sandbox.Proxy
	process *sandbox.Bootstrap
	events  int
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, ctx: t.Context()}
	var err error
	w.sandbox, err = sandbox.Start(w.ctx, sandbox.Options{Root: root, WithoutFunction: true})
	w.must(err)
	t.Cleanup(func() { _ = w.sandbox.Close() })
	w.must(w.sandbox.MakeBuckets(w.ctx))
	w.proxy = w.sandbox.NewProxy(sandbox.ProviderStack)
	t.Cleanup(w.proxy.Close)
	python, err := filepath.Abs(filepath.Join(root, ".tools/bench-venv/bin/python"))
	w.must(err)
	here, err := filepath.Abs(".")
	w.must(err)
	w.process, err = w.sandbox.StartProgram(sandbox.Program{
		Function: sandbox.ProviderStack,
		Command:  []string{python, "-m", "awslambdaric", "provider.handler"},
		Env:      append(w.proxy.Env(), "PYTHONPATH="+here),
	})
	w.must(err)
	t.Cleanup(func() { _ = w.process.Stop() })
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// properties are what the stack declares at first.
func properties() traces.Properties {
	return traces.Properties{
		"ServiceToken": "arn:aws:lambda:us-east-1:" + sandbox.Account + ":function:cloney-s3-credentials", "ServiceTimeout": "330",
		"Access": []string{"Source", "Destination"}, "Buckets": []string{sandbox.SourceBucket, sandbox.DestinationBucket + "/in*side/"},
	}
}

// send has an event carried out, and returns its one answer.
func (w *world) send(kind, physical string, wanted, former traces.Properties) reply.Response {
	w.Helper()
	w.events++
	event := map[string]any{
		"RequestType": kind, "RequestId": fmt.Sprint("request-", w.events), "StackId": stackID, "LogicalResourceId": owner.Logical,
		"ResourceType": "Custom::CloneyS3Credentials", "ResourceProperties": wanted,
		"ResponseURL": traces.Sign(w.proxy.Responses()+"/answer", time.Now()),
	}
	if physical != "" {
		event["PhysicalResourceId"] = physical
	}
	if former != nil {
		event["OldResourceProperties"] = former
	}
	raw, err := json.Marshal(event)
	w.must(err)
	w.proxy.Begin(nil)
	// crhelper tries for ever to send an answer that is not taken: no end, no log.
	ctx, cancel := context.WithTimeout(w.ctx, enough)
	defer cancel()
	outcome, err := w.process.Invoke(ctx, "invocation", string(raw), enough)
	if err != nil {
		w.Fatalf("%s: %v; the process printed:\n%s", kind, err, w.process.Log())
	}
	answers := w.proxy.Answers()
	if outcome.Failed || len(answers) != 1 {
		w.Fatalf("%s: %d answers; the process says %s and printed:\n%s", kind, len(answers), outcome.Body, w.process.Log())
	}
	var answer reply.Response
	w.must(json.Unmarshal([]byte(answers[0].Body), &answer))
	return answer
}

// succeed is send, for an event that has to succeed.
func (w *world) succeed(kind, physical string, wanted, former traces.Properties) reply.Response {
	w.Helper()
	answer := w.send(kind, physical, wanted, former)
	if answer.Status != reply.Success {
		w.Fatalf("%s: %s: %s\n%s", kind, answer.Status, answer.Reason, w.process.Log())
	}
	return answer
}

func (w *world) calls() (names []string) {
	for _, call := range w.proxy.Calls() {
		names = append(names, call.Kind())
	}
	return names
}

// writes are calls of IAM and Secrets Manager that change something.
func (w *world) writes() []string {
	return slices.DeleteFunc(w.calls(), func(call string) bool {
		service, operation, _ := strings.Cut(call, " ")
		return service != "iam" && service != "secretsmanager" || strings.HasPrefix(operation, "Get") || strings.HasPrefix(operation, "List") || strings.HasPrefix(operation, "Describe")
	})
}

func (w *world) held() sandbox.Holdings {
	w.Helper()
	held, err := w.sandbox.Holdings(w.ctx)
	w.must(err)
	held.Users = slices.DeleteFunc(held.Users, func(u sandbox.HeldUser) bool { return u.Stack == "" })
	return held
}

// key is the current value of the secret, which must be the answer's key, and live.
func (w *world) key(answer reply.Response) (id, secret string) {
	w.Helper()
	held := w.held()
	if len(held.Users) != 1 || len(held.Secrets) != 1 {
		w.Fatalf("there are %d users and %d secrets", len(held.Users), len(held.Secrets))
	}
	var key struct{ AccessKeyId, SecretAccessKey string }
	for _, version := range held.Secrets[0].Versions {
		if slices.Contains(version.Labels, "AWSCURRENT") {
			w.must(json.Unmarshal([]byte(version.Value), &key))
		}
	}
	for _, k := range held.Users[0].Keys {
		if k.ID == key.AccessKeyId && k.Secret == key.SecretAccessKey && k.Active && k.ID == answer.Data["AccessKeyId"] {
			return key.AccessKeyId, key.SecretAccessKey
		}
	}
	w.Fatalf("the secret's key is not a live key of the user, or not that of the answer %v", answer.Data)
	return "", ""
}

// allows looks at the one policy: it has to be the provider's own.
func (w *world) allows(answer reply.Response, places ...access.Place) {
	w.Helper()
	held := w.held()
	want, err := policy.Documents(1, access.Scope{Source: true, Destination: true, Places: places}, "aws", nil)
	w.must(err)
	if len(held.Policies) != 1 || !policy.Same(held.Policies[0].Document, want[0].Text) {
		w.Errorf("the policies are %+v\nand not %s", held.Policies, want[0].Text)
	}
	if !slices.Equal(held.Users[0].Policies, []string{answer.Data["PolicyArns"]}) {
		w.Errorf("attached are %q, answered was %q", held.Users[0].Policies, answer.Data["PolicyArns"])
	}
}

func TestALife(t *testing.T) {
	w := start(t)
	wanted := properties()

	// It is proven as often as by the provider itself, then as the client uses it.
	made := w.succeed("Create", "", wanted, nil)
	id, secret := w.key(made)
	if asked := w.calls(); count(asked, "sts GetCallerIdentity") != 3 || count(asked, "s3 POST") != 4 || count(asked, "s3 DELETE") != 4 || !slices.Equal(w.writes(), []string{
		"iam CreateUser", "iam CreatePolicy", "iam AttachUserPolicy", "iam CreateAccessKey", "secretsmanager CreateSecret",
	}) {
		t.Errorf("a Create asks %q", asked)
	}
	config := w.sandbox.ConfigFor(id, secret)
	who, err := sts.NewFromConfig(config).GetCallerIdentity(w.ctx, &sts.GetCallerIdentityInput{})
	w.must(err)
	if aws.ToString(who.Arn) != made.Data["UserArn"] {
		t.Errorf("the key is of %s, not of %s", aws.ToString(who.Arn), made.Data["UserArn"])
	}
	_, err = s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true }).GetObject(w.ctx, &s3.GetObjectInput{Bucket: aws.String(sandbox.SourceBucket), Key: aws.String(sandbox.Object)})
	w.must(err)
	w.allows(made, sandbox.DestinationBucket+"/in*side/", sandbox.SourceBucket)

	// The same event once more, and an Update that changes nothing, change nothing.
	for _, again := range []reply.Response{w.succeed("Create", "", wanted, nil), w.succeed("Update", made.PhysicalResourceID, wanted, wanted)} {
		if again.Data["AccessKeyId"] != id || again.PhysicalResourceID != made.PhysicalResourceID {
			t.Errorf("again: %+v, after %+v", again, made)
		}
		w.key(again)
	}
	if asked := w.calls(); len(w.writes()) > 0 || count(asked, "sts") > 0 {
		t.Errorf("an Update that changes nothing writes or verifies: %q", asked)
	}

	// Other buckets: the same key, another policy, at no moment none.
	wider := wanted.With(traces.Properties{"Buckets": []string{sandbox.SourceBucket, sandbox.SecondBucket}})
	changed := w.succeed("Update", made.PhysicalResourceID, wider, wanted)
	if now, _ := w.key(changed); now != id {
		t.Errorf("other buckets made another key")
	}
	w.allows(changed, sandbox.SourceBucket, sandbox.SecondBucket)

	// A raised Serial: another key; the former one still works.
	raised := wider.With(traces.Properties{"Serial": "2"})
	rotated := w.succeed("Update", made.PhysicalResourceID, raised, wider)
	if now, _ := w.key(rotated); now == id {
		t.Errorf("a raised Serial made no other key")
	}
	_, err = sts.NewFromConfig(config).GetCallerIdentity(w.ctx, &sts.GetCallerIdentityInput{})
	w.must(err)

	// Another secret's name: the same key in it, and none in the former.
	moved := raised.With(traces.Properties{"SecretName": "cloney/moved"})
	if now, _ := w.key(w.succeed("Update", made.PhysicalResourceID, moved, raised)); now != rotated.Data["AccessKeyId"] {
		t.Errorf("another name of the secret made another key")
	}

	// Another user takes the secret over; the former user's Delete leaves it alone.
	renamed := moved.With(traces.Properties{"UserName": "renamed"})
	replaced := w.succeed("Update", made.PhysicalResourceID, renamed, moved)
	w.succeed("Delete", made.PhysicalResourceID, moved, nil)
	w.key(replaced)

	w.succeed("Delete", replaced.PhysicalResourceID, renamed, nil)
	w.nothing()
}

// A Create that fails leaves nothing: because a bucket is not there, or because AWS
// says no on the way.
func TestAFailedCreateLeavesNothing(t *testing.T) {
	w := start(t)
	misspelt := properties().With(traces.Properties{"Buckets": []string{"-"}, "Verfy": "true"})
	if answer := w.send("Create", "", misspelt, nil); answer.Status != reply.Failed || !strings.Contains(answer.Reason, "Verfy") || !strings.Contains(answer.Reason, "Buckets") || len(w.calls()) != 1 {
		t.Errorf("%+v, asking %q", answer, w.calls())
	}
	// A secret of somebody else's has the name.
	_, err := w.sandbox.AWS(w.ctx, "secretsmanager", "create-secret", "--name", "cloney/taken", "--secret-string", "theirs")
	w.must(err)
	answer := w.send("Create", "", properties().With(traces.Properties{"SecretName": "cloney/taken"}), nil)
	if answer.Status != reply.Failed || !strings.Contains(answer.Reason, "cloney/taken") {
		t.Errorf("%+v", answer)
	}
	w.succeed("Delete", answer.PhysicalResourceID, properties().With(traces.Properties{"SecretName": "cloney/taken"}), nil)
	_, err = w.sandbox.AWS(w.ctx, "secretsmanager", "delete-secret", "--secret-id", "cloney/taken", "--force-delete-without-recovery")
	w.must(err) // theirs is still there
	w.nothing()
}

func (w *world) nothing() {
	w.Helper()
	left, err := w.sandbox.Inventory(w.ctx)
	w.must(err)
	if len(left) > 0 {
		w.Errorf("left behind: %q", left)
	}
}

func count(calls []string, begin string) (n int) {
	for _, call := range calls {
		if strings.HasPrefix(call, begin) {
			n++
		}
	}
	return n
}
