package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/traces"
)

// The kinds of events, in the order in which the report has them.
const (
	create         = "Create"
	verified       = "Create, verified"
	nothing        = "Update, nothing changes"
	anotherBucket  = "Update, another bucket"
	newSerial      = "Update, a new Serial"
	aSchedule      = "Update, a schedule"
	createSecret   = "Rotation, createSecret"
	setSecret      = "Rotation, setSecret"
	testSecret     = "Rotation, testSecret"
	finishSecret   = "Rotation, finishSecret"
	remove         = "Delete"
	schedule       = "rate(30 days)"
	token          = "arn:aws:lambda:" + sandbox.Region + ":" + sandbox.Account + ":function:" + sandbox.ProviderStack
	resourceType   = "Custom::CloneyS3Credentials"
	logicalID      = "Credentials"
	stackOfNumber  = "arn:aws:cloudformation:" + sandbox.Region + ":" + sandbox.Account + ":stack/bench-%d/6f1d2c3b-4a59-4868-9776-%012d"
	userOfNumber   = "bench-%d"
	secretOfNumber = "cloney/bench-%d.key"
)

var kinds = []string{create, verified, nothing, anotherBucket, newSerial, aSchedule, createSecret, setSecret, testSecret, finishSecret, remove}

// resource is one custom resource of a stack of its own.
type resource struct {
	stack    string
	physical string
	props    traces.Properties // as the last event declared it
	sent     time.Time         // the last event
	events   int
}

// longLife is how many events a resource may have.
const longLife = 400

// newResource is one that no other run has. It begins in the past, because an event has
// its time in seconds, and the next event has to have a later one.
func (b *bench) newResource(more traces.Properties) *resource {
	n := b.numbers.Add(1)
	return &resource{
		stack: fmt.Sprintf(stackOfNumber, n, n),
		sent:  time.Now().Add(-longLife * time.Second),
		props: traces.Properties{
			"ServiceToken": token, "Access": "Source", "Buckets": []string{sandbox.SourceBucket}, "Verify": "false",
			"UserName": fmt.Sprintf(userOfNumber, n), "SecretName": fmt.Sprintf(secretOfNumber, n),
		}.With(more),
	}
}

func (r *resource) requestID() string { return fmt.Sprintf("request-%d", r.events) }

// next is the next event of the type, with these properties changed, to be answered
// in that bucket.
func (r *resource) next(kind traces.Kind, change traces.Properties, bucket string) (string, error) {
	old := r.props
	r.props, r.sent, r.events = r.props.With(change), r.sent.Add(time.Second), r.events+1
	fields := map[string]any{
		"RequestType": kind.Type(), "RequestId": r.requestID(), "ResourceType": resourceType,
		"ResponseURL": traces.Sign(bucket+"/"+url.PathEscape(r.stack+"|"+logicalID+"|"+r.requestID()), r.sent),
		"StackId":     r.stack, "LogicalResourceId": logicalID, "ResourceProperties": r.props,
	}
	if kind != traces.Create {
		fields["PhysicalResourceId"] = r.physical
	}
	if kind == traces.Update {
		fields["OldResourceProperties"] = old
	}
	event, err := json.Marshal(fields)
	return string(event), err
}

// step is one event of a life.
type step struct {
	kind   string
	event  traces.Kind
	change traces.Properties
}

var (
	creation = step{create, traces.Create, nil}
	removal  = step{remove, traces.Delete, nil}
	// asIs, widened and renewed are what the Python version can do too.
	asIs      = step{nothing, traces.Update, nil}
	widened   = step{anotherBucket, traces.Update, traces.Properties{"Buckets": []string{sandbox.SourceBucket, sandbox.SecondBucket}}}
	renewed   = step{newSerial, traces.Update, traces.Properties{"Serial": "2"}}
	scheduled = step{aSchedule, traces.Update, traces.Properties{"RotationSchedule": schedule}}
)

// play has the process carry out a step.
func (e *environment) play(ctx context.Context, r *resource, s step, latency time.Duration) (measured, error) {
	return e.playBy(ctx, r, s, &watch{latency: latency})
}

func (e *environment) playBy(ctx context.Context, r *resource, s step, w *watch) (measured, error) {
	event, err := r.next(s.event, s.change, e.proxy.Responses())
	if err != nil {
		return measured{}, err
	}
	got, err := e.ask(ctx, r, event, w)
	if err != nil {
		return measured{}, fmt.Errorf("%s: %w", s.kind, err)
	}
	return got, nil
}

// costs are what events cost, by their kind.
type costs map[string]measured

// after are the events that follow a Create. Each has a resource of its own: otherwise
// an event would also look at what the one before it has left.
func after(program string) []step {
	if program == python {
		return []step{asIs, widened, renewed, removal}
	}
	return []step{asIs, widened, renewed, scheduled, removal}
}

// lives plays every kind of event that the program knows once.
func (b *bench) lives(ctx context.Context, program string, e, rotates *environment, latency time.Duration) (costs, error) {
	found := costs{}
	for kind, verify := range map[string]string{create: "false", verified: "true"} {
		if err := b.created(ctx, e, step{kind, traces.Create, traces.Properties{"Verify": verify}}, latency, found); err != nil {
			return nil, fmt.Errorf("%s: %w", program, err)
		}
	}
	for _, s := range after(program) {
		if err := b.changed(ctx, e, s, latency, found); err != nil {
			return nil, fmt.Errorf("%s: %w", program, err)
		}
	}
	if program == python {
		return found, nil
	}
	return found, b.rotated(ctx, e, rotates, latency, found)
}

// created plays a Create, and removes what it made.
func (b *bench) created(ctx context.Context, e *environment, s step, latency time.Duration, into costs) (err error) {
	r := b.newResource(nil)
	if into[s.kind], err = e.play(ctx, r, s, latency); err != nil {
		return err
	}
	_, err = e.play(ctx, r, removal, 0)
	return err
}

// changed plays what follows a Create, and removes what is there then.
func (b *bench) changed(ctx context.Context, e *environment, s step, latency time.Duration, into costs) (err error) {
	r := b.newResource(nil)
	if _, err = e.play(ctx, r, creation, 0); err != nil {
		return err
	}
	if s.kind == aSchedule {
		if err := b.keepFromTesting(ctx); err != nil {
			return err
		}
	}
	if into[s.kind], err = e.play(ctx, r, s, latency); err != nil || s.event == traces.Delete {
		return err
	}
	_, err = e.play(ctx, r, removal, 0)
	return err
}

// keepFromTesting keeps Secrets Manager from testing the function after the next event
// that declares a schedule: the test would run at the same time as the next measurement.
func (b *bench) keepFromTesting(ctx context.Context) error {
	return b.sandbox.Interrupt(ctx, "testSecret")
}

// rotated plays the four steps of a rotation of a resource, and removes it.
func (b *bench) rotated(ctx context.Context, e, rotates *environment, latency time.Duration, into costs) error {
	r := b.newResource(traces.Properties{"RotationSchedule": schedule})
	if err := b.keepFromTesting(ctx); err != nil {
		return err
	}
	if _, err := e.play(ctx, r, creation, 0); err != nil {
		return err
	}
	secret, version, err := b.beginRotation(ctx, r.props["SecretName"].(string))
	if err != nil {
		return err
	}
	for _, s := range []struct{ kind, step string }{
		{createSecret, "createSecret"}, {setSecret, "setSecret"}, {testSecret, "testSecret"}, {finishSecret, "finishSecret"},
	} {
		event, err := json.Marshal(map[string]string{"Step": s.step, "SecretId": secret, "ClientRequestToken": version})
		if err != nil {
			return err
		}
		if into[s.kind], err = rotates.invoke(ctx, version, string(event), &watch{latency: latency}); err != nil {
			return fmt.Errorf("%s: %w", s.kind, err)
		}
	}
	_, err = e.play(ctx, r, removal, 0)
	return err
}

// beginRotation has Secrets Manager begin a rotation whose steps are ours to send:
// it returns the ARN of the secret, and the version that shall hold the key.
func (b *bench) beginRotation(ctx context.Context, secret string) (arn, version string, err error) {
	if _, err := b.sandbox.Rotations(ctx); err != nil { // none is under way
		return "", "", err
	}
	if err := b.sandbox.Interrupt(ctx, "createSecret"); err != nil {
		return "", "", err
	}
	began, err := secretsmanager.NewFromConfig(b.sandbox.Config()).RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: &secret})
	if err != nil {
		return "", "", fmt.Errorf("beginning a rotation of %s: %w", secret, err)
	}
	if _, err := b.sandbox.Rotations(ctx); err != nil {
		return "", "", err
	}
	return aws.ToString(began.ARN), aws.ToString(began.VersionId), nil
}
