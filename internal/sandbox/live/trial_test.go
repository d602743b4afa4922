package live_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/sandbox"
)

// trialCode is the function of the trial stack.
//
//go:embed trial.py
var trialCode string

// trial is a stack of its own, so that an error about AWS's pages stops nobody's stacks.
// Its functions have the same statements that Invocation: CloudFormationOnly and RoleUse:
// OwnFunctionOnly add in template.yaml.
type trial struct {
	*account
	place    confinement.Place
	provider *confinement.Template
	stack    string
	// guarded has the policy of Invocation. All three functions have the role of own.
	guarded, own, other string
	tagged, untagged    string // secrets
	topic               string // ARN
}

// call is a call of a function of the trial, with the right error codes.
type call struct {
	Service    string         `json:"service"`
	Call       string         `json:"call"`
	Parameters map[string]any `json:"parameters"`
	right      string         // the error's code; empty: none
}

// allowed reports whether AWS allows the call in the role's own function.
func (c call) allowed() bool { return !deniedCode(c.right) }

// deniedCode reports whether AWS gives this code to a call that no policy allows, or one
// denies.
func deniedCode(code string) bool {
	return code == "AccessDenied" || code == "AccessDeniedException" || code == "AuthorizationError"
}

// This checks what Invocation and RoleUse rely on, which only AWS shows. Without AWS it
// checks that the trial's template is valid, and that its function answers and makes its
// calls.
func TestTheTrial(t *testing.T) {
	a := enter(t, sandbox.Options{WithoutFunction: true})
	w := &trial{account: a, stack: "cloney-live-trial-" + id()}
	w.guarded, w.own, w.other = w.stack+"-guarded", w.stack+"-own", w.stack+"-other"
	w.tagged, w.untagged = "cloney/"+w.stack+"/tagged", "cloney/"+w.stack+"/untagged"
	w.findPlace(t)
	w.topic = w.place.RegionalARN("sns", w.stack)
	t.Run("the template's rules are read as we read them", w.rules)
	if !real {
		t.Run("the templates are such", func(t *testing.T) { w.linted(t, w.template(t, "1")); w.linted(t, ruled(t)) })
		w.makeSecrets(t)
		t.Run("the function answers", w.answersHere)
		t.Run("the function asks", w.asksHere)
		return
	}
	if !w.hasTheType(t) {
		t.Skip("NOT SEEN: CloudFormation has no AWS::Lambda::ResourcePolicy in this region")
	}
	w.makeSecrets(t)
	t.Cleanup(func() { w.end(t) })
	for _, step := range []struct {
		title string
		do    func(*testing.T)
	}{
		{"CloudFormation reaches a function that only it may invoke", w.onlyCloudFormation},
		{"whether a version or an alias gets past that", w.versions},
		{"the role is of use in its own function", w.ownFunction},
		{"and in no other", w.otherFunction},
		{"both functions log", w.logs},
	} {
		if !t.Run(step.title, step.do) {
			t.FailNow()
		}
	}
}

func (w *trial) findPlace(t *testing.T) {
	t.Helper()
	who, err := sts.NewFromConfig(w.config).GetCallerIdentity(ctxOf(t), &sts.GetCallerIdentityInput{})
	must(t, err)
	w.place = confinement.Place{Partition: partition(*who.Arn), Region: w.config.Region, Account: *who.Account}
	w.provider, err = confinement.ReadTranslated(root)
	must(t, err)
}

// hasTheType reports whether the region has the resource type, by template.yaml.
func (w *trial) hasTheType(t *testing.T) bool {
	t.Helper()
	value, err := w.provider.Value(map[string]any{"is": map[string]any{"Condition": "InvokedByCloudFormation"}}, w.place, switchedOn, nil)
	must(t, err)
	return value.(map[string]any)["is"].(bool)
}

var switchedOn = map[string]string{"AllowedBuckets": "*", "Invocation": "CloudFormationOnly", "RoleUse": "OwnFunctionOnly"}

// trials are the statements of both functions' roles that the trial is about. All except
// the Deny are there so that the Deny has something to deny: the provider's rights on a
// secret depend on the secret's tags, and the rotator also calls other services.
var trials = map[confinement.Function][]string{
	confinement.Provider: {"OwnSecrets", "NeverDisown", "InThisFunctionAlone"},
	confinement.Rotator:  {"SeeResourcesOfStacks", "TellOnTheDefaultEventBus", "TellTheTopic", "InThisFunctionAlone"},
}

// statements returns those of a function's role, with the name of the trial's own function.
func (w *trial) statements(t *testing.T, of confinement.Function) (found []any) {
	t.Helper()
	parameters := maps.Clone(switchedOn)
	parameters["AlarmTopicArn"] = w.topic
	documents, err := w.provider.At(w.place, parameters)
	must(t, err)
	for _, s := range documents.Roles[of]["Statement"].([]any) {
		if sid, _ := s.(map[string]any)["Sid"].(string); slices.Contains(trials[of], sid) {
			found = append(found, s)
		}
	}
	if len(found) != len(trials[of]) {
		t.Fatalf("of the statements %v template.yaml has %d", trials[of], len(found))
	}
	return w.renamed(t, found, of, w.own).([]any)
}

// invocation is the policy of the guarded function.
func (w *trial) invocation(t *testing.T) any {
	t.Helper()
	const provider = "ProviderFunction.Arn"
	properties, err := w.provider.Resolved("ProviderInvocation", w.place, switchedOn, map[string]string{provider: w.place.Lambda(confinement.Provider)})
	must(t, err)
	return w.renamed(t, properties["PolicyDocument"], confinement.Provider, w.guarded)
}

// renamed returns a document in which a function of the trial replaces one of the
// provider's stack.
func (w *trial) renamed(t *testing.T, document any, of confinement.Function, function string) any {
	t.Helper()
	text, err := json.Marshal(document)
	must(t, err)
	former := w.place.Lambda(of)
	if !bytes.Contains(text, []byte(former)) {
		t.Fatalf("template.yaml does not name the function %s in %s", former, text)
	}
	var out any
	must(t, json.Unmarshal(bytes.ReplaceAll(text, []byte(former), []byte(w.place.RegionalARN("lambda", "function:"+function))), &out))
	return out
}

type tree = map[string]any

// template returns the trial's stack. Another serial makes CloudFormation send an Update.
func (w *trial) template(t *testing.T, serial string) string {
	t.Helper()
	resources := tree{
		"Role": tree{"Type": "AWS::IAM::Role", "Properties": tree{
			"AssumeRolePolicyDocument": tree{"Version": "2012-10-17", "Statement": []any{
				tree{"Effect": "Allow", "Principal": tree{"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
			}},
			"Policies": []any{
				policy("trial",
					tree{"Effect": "Allow", "Action": []any{"logs:CreateLogStream", "logs:PutLogEvents"}, "Resource": w.place.RegionalARN("logs", "log-group:/aws/lambda/"+w.stack+"-*")},
					tree{"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*"}),
				policy("provider", w.statements(t, confinement.Provider)...),
				policy("rotator", w.statements(t, confinement.Rotator)...),
			},
		}},
		"Topic": tree{"Type": "AWS::SNS::Topic", "Properties": tree{"TopicName": w.stack}},
		"OnlyCloudFormation": tree{"Type": "AWS::Lambda::ResourcePolicy", "Properties": tree{
			"ResourceArn": tree{"Fn::GetAtt": []any{"Guarded", "Arn"}}, "PolicyDocument": w.invocation(t),
		}},
		"Resource": tree{"Type": "Custom::Trial", "DependsOn": []any{"OnlyCloudFormation"}, "Properties": tree{
			"ServiceToken": tree{"Fn::GetAtt": []any{"Guarded", "Arn"}}, "ServiceTimeout": 120, "Serial": serial,
		}},
	}
	for logical, name := range map[string]string{"Guarded": w.guarded, "Own": w.own, "Other": w.other} {
		resources[logical+"Log"] = tree{"Type": "AWS::Logs::LogGroup", "Properties": tree{"LogGroupName": "/aws/lambda/" + name, "RetentionInDays": 1}}
		resources[logical] = tree{"Type": "AWS::Lambda::Function", "DependsOn": []any{logical + "Log"}, "Properties": tree{
			"FunctionName": name, "Runtime": "python3.13", "Handler": "index.handler", "Timeout": 60, "Code": tree{"ZipFile": trialCode},
			"Role": tree{"Fn::GetAtt": []any{"Role", "Arn"}},
		}}
	}
	text, err := json.Marshal(tree{"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})
	must(t, err)
	return string(text)
}

func policy(name string, statements ...any) any {
	return tree{"PolicyName": name, "PolicyDocument": tree{"Version": "2012-10-17", "Statement": statements}}
}

func (w *trial) deploy(t *testing.T, serial string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trial.json")
	must(t, os.WriteFile(file, []byte(w.template(t, serial)), 0o600))
	return w.Deploy(ctxOf(t), w.stack, file)
}

func (w *trial) onlyCloudFormation(t *testing.T) {
	if err := w.deploy(t, "1"); err != nil {
		t.Fatalf("SEEN: the trial of Invocation fails. Leave it Unrestricted. The stack says: %v", err)
	}
	must(t, w.deploy(t, "2"))
	t.Log("SEEN: a custom resource's Create and Update came through aws:CalledViaLast, and the policy takes lambda:InvokeAsync")
	// The caller has the right to invoke, so only the policy can refuse.
	must(t, w.until(t, func(err error) bool { return err == nil }, func(context.Context) error { return w.invoke(t, w.own, tree{"calls": []any{}}, nil) }))
	for _, how := range [][]string{
		{w.guarded},
		{w.guarded, "--invocation-type", "Event"},
		{w.guarded, "--invocation-type", "DryRun"},
		{w.guarded + ":$LATEST"},
		{w.guarded, "--qualifier", "$LATEST"},
	} {
		w.turnedAway(t, strings.Join(how, " "), w.invoke(t, how[0], tree{"calls": []any{}}, nil, how[1:]...))
	}
	empty := filepath.Join(t.TempDir(), "empty.json")
	must(t, os.WriteFile(empty, []byte("{}"), 0o600))
	_, err := w.cli(t, "lambda", "invoke-async", "--function-name", w.guarded, "--invoke-args", empty)
	w.turnedAway(t, "InvokeAsync", err)
	w.seen(t, "nobody else's invocation came through, nor by :$LATEST or InvokeAsync")
}

// turnedAway checks that AWS denies the call. Another failure shows nothing about the
// policy.
func (w *trial) turnedAway(t *testing.T, how string, err error) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("SEEN: %s: the function may be invoked directly", how)
	case !denied(err):
		t.Errorf("NOT SEEN: %s failed in another way, and whether the policy denies it is not known: %v", how, err)
	}
}

func denied(err error) bool { return err != nil && strings.Contains(err.Error(), "AccessDenied") }

// versions answers a question of docs/deploying.md: a version and an alias have policies of
// their own, so the policy of the function may not protect them.
func (w *trial) versions(t *testing.T) {
	const alias = "trial"
	out, err := w.cli(t, "lambda", "publish-version", "--function-name", w.guarded)
	must(t, err)
	var published struct{ Version string }
	must(t, json.Unmarshal([]byte(out), &published))
	_, err = w.cli(t, "lambda", "create-alias", "--function-name", w.guarded, "--name", alias, "--function-version", "$LATEST")
	must(t, err)
	for what, qualifier := range map[string]string{"a published version": published.Version, "an alias": alias} {
		// A new version or alias is ready after some seconds.
		err := w.until(t, func(err error) bool { return err == nil || denied(err) }, func(context.Context) error {
			return w.invoke(t, w.guarded+":"+qualifier, tree{"calls": []any{}}, nil)
		})
		switch {
		case err == nil:
			t.Logf("SEEN: %s may be invoked directly: whoever may make one gets past Invocation", what)
		case denied(err):
			t.Logf("SEEN: nor may %s be invoked directly", what)
		default:
			t.Errorf("NOT SEEN: whether %s may be invoked directly: %v", what, err)
		}
	}
}

// calls are those that the role may and may not make in its own function.
func (w *trial) calls() []call {
	tag := func(secret, key string) map[string]any {
		return map[string]any{"SecretId": secret, "Tags": []any{tree{"Key": key, "Value": w.stackTag()}}}
	}
	untag := func(key string) map[string]any {
		return map[string]any{"SecretId": w.tagged, "TagKeys": []any{key}}
	}
	return []call{
		{"iam", "get_user", map[string]any{"UserName": w.stack}, "NoSuchEntity"},
		{"secretsmanager", "get_secret_value", map[string]any{"SecretId": w.tagged}, ""},
		{"secretsmanager", "tag_resource", tag(w.tagged, "note"), ""},
		{"secretsmanager", "untag_resource", untag("note"), ""},
		{"events", "put_events", map[string]any{"Entries": []any{tree{"Source": "cloney.s3-credentials", "DetailType": "Trial", "Detail": "{}"}}}, ""},
		{"sns", "publish", map[string]any{"TopicArn": w.topic, "Message": "trial"}, ""},
		{"cloudformation", "describe_stack_resource", map[string]any{"StackName": w.stack + "-gone", "LogicalResourceId": "Resource"}, "ValidationError"},
		// A tag does not make a stranger's secret under cloney/ the provider's.
		{"secretsmanager", "tag_resource", tag(w.untagged, "cloney:stack-id"), "AccessDeniedException"},
		// NeverDisown.
		{"secretsmanager", "untag_resource", untag("cloney:stack-id"), "AccessDeniedException"},
	}
}

func (w *trial) ownFunction(t *testing.T) {
	var codes []string
	err := w.until(t, func(err error) bool { return err == nil }, func(context.Context) error {
		if err := w.invoke(t, w.own, tree{"calls": w.calls()}, &codes); err != nil {
			return err
		}
		return w.wrong(codes)
	})
	must(t, err)
	t.Log("SEEN: IAM, Secrets Manager, EventBridge, SNS and CloudFormation are told lambda:SourceFunctionArn; an untagged secret cannot be tagged into the provider's own; a secret cannot be disowned")
}

// wrong returns the calls with another result.
func (w *trial) wrong(codes []string) error {
	if len(codes) != len(w.calls()) {
		return fmt.Errorf("%d calls were made", len(codes))
	}
	var wrong []error
	for i, c := range w.calls() {
		if codes[i] != c.right {
			wrong = append(wrong, fmt.Errorf("%s %v came to %q, not %q", c.Call, c.Parameters, codes[i], c.right))
		}
	}
	return errors.Join(wrong...)
}

func (w *trial) otherFunction(t *testing.T) {
	var codes []string
	must(t, w.invoke(t, w.other, tree{"calls": w.calls()}, &codes))
	if len(codes) != len(w.calls()) {
		t.Fatalf("%d calls were made", len(codes))
	}
	for i, c := range w.calls() {
		if !deniedCode(codes[i]) {
			t.Errorf("SEEN: another function with the role may %s: %q", c.Call, codes[i])
		}
	}
	if !t.Failed() {
		t.Log("SEEN: another function with the same role may do nothing")
	}
}

func (w *trial) logs(t *testing.T) {
	for _, name := range []string{w.guarded, w.own, w.other} {
		must(t, w.until(t, func(err error) bool { return err == nil }, func(context.Context) error {
			out, err := w.cli(t, "logs", "filter-log-events", "--log-group-name", "/aws/lambda/"+name)
			if err == nil && !strings.Contains(out, "the trial was invoked") {
				err = fmt.Errorf("%s has logged nothing", name)
			}
			return err
		}))
	}
	t.Log("SEEN: the functions log, with the Deny in their role")
}

func (w *trial) stackTag() string {
	return w.place.RegionalARN("cloudformation", "stack/"+w.stack+"/1")
}

func (w *trial) makeSecrets(t *testing.T) {
	t.Helper()
	client := secretsmanager.NewFromConfig(w.config)
	for _, secret := range []string{w.tagged, w.untagged} {
		in := &secretsmanager.CreateSecretInput{Name: &secret, SecretString: aws.String("no key")}
		if secret == w.tagged {
			in.Tags = []types.Tag{{Key: aws.String("cloney:stack-id"), Value: aws.String(w.stackTag())}}
		}
		_, err := client.CreateSecret(ctxOf(t), in)
		must(t, err)
		t.Cleanup(func() {
			if _, err := client.DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{SecretId: &secret, ForceDeleteWithoutRecovery: aws.Bool(true)}); err != nil {
				t.Errorf("delete secret %s by hand: %v", secret, err)
			}
		})
	}
}

// end deletes the stack. If AWS's pages were read wrong, CloudFormation cannot invoke the
// function for the Delete either. Then end retains the custom resource, which stands for
// nothing.
func (w *trial) end(t *testing.T) {
	ctx := context.Background()
	if err := w.DeleteStack(ctx, w.stack); err == nil {
		return
	}
	client := cloudformation.NewFromConfig(w.config)
	_, err := client.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &w.stack, RetainResources: []string{"Resource"}})
	if err == nil {
		err = w.DeleteStack(ctx, w.stack)
	}
	if err != nil {
		t.Errorf("delete stack %s by hand: %v", w.stack, err)
	}
}
