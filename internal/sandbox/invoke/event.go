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

// responses is where the sandbox takes answers, as a container knows it.
var responses = fmt.Sprintf("http://host.docker.internal:%d/%s/", sandbox.Port, sandbox.ResponsesBucket)

// shippedEnv is what events/ need of the function's environment.
const shippedEnv = "events/env.json"

// The functions, by their logical ids.
const (
	provider = "ProviderFunction"
	rotator  = "RotatorFunction"
)

// event is one that CloudFormation sends, or could have; or one of the rotator's,
// which nobody waits for an answer to.
type event struct {
	path     string // of the file that SAM is given
	function string // that it is for
	env      string // of the file of the function's environment
	key      string // of the answer, in the sandbox's bucket; empty: there is none
	stack    name.Stack

	fields map[string]json.RawMessage
	own    bool // it answers to the sandbox
}

func readEvent(path string) (*event, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	e := &event{path: path, function: provider, env: shippedEnv}
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
		e.key, e.own = strings.CutPrefix(to.String(), responses)
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

// settle makes an event that was copied from a stack one of the sandbox's: a
// copy of it answers to the sandbox, its account is served, and the buckets
// that it names exist. The file itself stays as it is.
func (e *event) settle(ctx context.Context, aws account) error {
	if err := os.MkdirAll(".aws-sam/invoke", 0o700); err != nil {
		return err
	}
	if e.stack.Account != sandbox.Account {
		if err := e.serve(); err != nil {
			return err
		}
	}
	if e.own {
		return nil
	}
	say("%s answers to a stack. Its copy .aws-sam/invoke/event.json answers to the sandbox, and is sent instead: the stack hears nothing.", e.path)
	return e.redirect(ctx, aws)
}

// redirect writes the copy.
func (e *event) redirect(ctx context.Context, aws account) error {
	e.fields["ResponseURL"], _ = json.Marshal(responses + url.PathEscape(e.key) + "?X-Amz-Signature=none")
	text, err := json.MarshalIndent(e.fields, "", "  ")
	if err != nil {
		return err
	}
	e.path = ".aws-sam/invoke/event.json"
	if err := os.WriteFile(e.path, text, 0o600); err != nil {
		return err
	}
	if e.text("RequestType") == "Delete" {
		return nil
	}
	for _, bucket := range e.buckets() {
		made, err := aws.bucket(ctx, bucket, e.stack.Region)
		if err != nil {
			return fmt.Errorf("making bucket %s in the sandbox: %w", bucket, err)
		}
		if made {
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

// serve has the function serve the event's account. Its own account stays the
// sandbox's: what it makes is there.
func (e *event) serve() error {
	text, err := os.ReadFile(shippedEnv)
	if err != nil {
		return err
	}
	var env map[string]map[string]string
	if err := json.Unmarshal(text, &env); err != nil {
		return fmt.Errorf("%s: %w", shippedEnv, err)
	}
	env[provider]["STACK_ACCOUNTS"] = sandbox.Account + "," + e.stack.Account
	if text, err = json.MarshalIndent(env, "", "  "); err != nil {
		return err
	}
	e.env = ".aws-sam/invoke/env.json"
	return os.WriteFile(e.env, text, 0o600)
}
