package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/spec"
)

// shippedHost is where events/ say that the sandbox is, as a container knows it.
var shippedHost = fmt.Sprintf("host.docker.internal:%d", sandbox.Port)

// responses is where the sandbox takes responses.
func responses(host string) string { return "http://" + host + "/" + sandbox.ResponsesBucket + "/" }

// shippedEnv is what events/ need of the function's environment.
const shippedEnv = "events/env.json"

// The functions, by their logical ids.
const (
	provider = "ProviderFunction"
	rotator  = "RotatorFunction"
)

// event is one that CloudFormation sends, or could have; or one of the rotator's,
// which has no response.
type event struct {
	original string // the file that was named
	path     string // of the file that SAM is given
	function string // that it is for
	env      string // of the file of the function's environment
	key      string // of the response, in the sandbox's bucket; empty: there is none
	stack    name.Stack

	fields map[string]json.RawMessage
	own    bool // it answers to the sandbox
}

func readEvent(path string) (*event, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	e := &event{original: path, path: path, function: provider, env: shippedEnv}
	// Not the cause: it could quote the ResponseURL.
	if json.Unmarshal(text, &e.fields) != nil || e.fields == nil {
		return nil, fmt.Errorf("%s is not an event: it is not a JSON object", path)
	}
	if e.text("Step") != "" || e.text("source") == "aws.events" {
		e.function, e.own, e.stack = rotator, true, name.Stack{Region: sandbox.Region, Account: sandbox.Account}
		return e, nil
	}
	e.stack, err = name.ParseStackID(e.text("StackId"))
	if err != nil {
		e.stack = name.Stack{Region: sandbox.Region, Account: sandbox.Account}
	}
	if to, err := url.Parse(e.text("ResponseURL")); err == nil {
		to.RawQuery, to.ForceQuery = "", false
		e.key, e.own = strings.CutPrefix(to.String(), responses(shippedHost))
	}
	if !e.own || e.key == "" {
		e.own, e.key = false, strings.TrimSuffix(filepath.Base(path), ".json")+".json"
	}
	return e, nil
}

func (e *event) text(field string) string {
	var s string
	_ = json.Unmarshal(e.fields[field], &s)
	return s
}

// copies is where what differs from the shipped files is.
const copies = ".aws-sam/invoke"

// prepare makes the event and the function's environment fit the running sandbox. The
// shipped files fit a sandbox at the default port. For any other event or port, prepare
// writes copies, and leaves the files as they are.
func (e *event) prepare(ctx context.Context, aws account) error {
	if err := os.MkdirAll(copies, 0o700); err != nil {
		return err
	}
	if err := e.environment(aws); err != nil {
		return err
	}
	if e.own && (e.key == "" || aws.host() == shippedHost) {
		return nil
	}
	if err := e.redirect(aws); err != nil {
		return err
	}
	if e.own {
		return nil
	}
	say("%s answers to a stack. Its copy %s answers to the sandbox, and is sent instead: the stack gets no response.", e.original, e.path)
	return e.needBuckets(ctx, aws)
}

// redirect writes a copy of the event that answers to the sandbox.
func (e *event) redirect(aws account) error {
	e.fields["ResponseURL"], _ = json.Marshal(responses(aws.host()) + url.PathEscape(e.key) + "?X-Amz-Signature=none")
	text, err := json.MarshalIndent(e.fields, "", "  ")
	if err != nil {
		return err
	}
	e.path = copies + "/event.json"
	return os.WriteFile(e.path, text, 0o600)
}

// needBuckets creates the buckets that a stack's event names and the sandbox does not
// have.
func (e *event) needBuckets(ctx context.Context, aws account) error {
	if e.text("RequestType") == "Delete" {
		return nil
	}
	for _, bucket := range e.buckets() {
		created, err := aws.bucket(ctx, bucket, e.stack.Region)
		if err != nil {
			return fmt.Errorf("creating bucket %s in the sandbox: %w", bucket, err)
		}
		if created {
			say("The sandbox had no bucket %s. It has an empty one now.", bucket)
		}
	}
	return nil
}

// buckets are those that the event names, if its properties are valid.
func (e *event) buckets() (names []string) {
	var properties map[string]any
	_ = json.Unmarshal(e.fields["ResourceProperties"], &properties)
	declared, err := spec.Parse(properties, spec.Rules{Owner: name.Owner{Stack: e.stack, Logical: e.text("LogicalResourceId")}})
	if err != nil {
		return nil // the function says why
	}
	for _, place := range declared.Scope.Places {
		names = append(names, place.Bucket())
	}
	return names
}

// environment has the function serve the event's account, and find the sandbox at its
// port. The function's own account stays the sandbox's: what it creates is there.
func (e *event) environment(aws account) error {
	if e.stack.Account == sandbox.Account && aws.host() == shippedHost {
		return nil
	}
	text, err := os.ReadFile(shippedEnv)
	if err != nil {
		return err
	}
	var env map[string]map[string]string
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), shippedHost, aws.host())), &env); err != nil {
		return fmt.Errorf("%s: %w", shippedEnv, err)
	}
	if e.stack.Account != sandbox.Account {
		env[provider]["STACK_ACCOUNTS"] = sandbox.Account + "," + e.stack.Account
	}
	if text, err = json.MarshalIndent(env, "", "  "); err != nil {
		return err
	}
	e.env = copies + "/env.json"
	return os.WriteFile(e.env, text, 0o600)
}
