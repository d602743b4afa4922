package confinement_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/guard"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/probe"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/secrets"
	"cloney-s3-credentials/internal/users"
)

// These are what the calls are about: a user and a secret of ours, and those of others.
const (
	user, foreignUser     = "shop-Source-abcdefghijkl", "alice"
	secret, foreignSecret = "cloney/" + user, "cloney/of-someone-else"
	bucket                = "data-in"
)

// stack is the StackId of a stack in a place.
func stack(p confinement.Place) string {
	return p.RegionalARN("cloudformation", "stack/shop/6f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0")
}

// owned returns the tags of that stack's entities.
func owned(p confinement.Place) map[string]string {
	return map[string]string{"cloney:stack-id": stack(p), "cloney:logical-id": "Source", "cloney:physical-id": user, "team": "shop"}
}

// scope is everything that a credential can be for, without options that only narrow it.
func scope(p confinement.Place) access.Scope {
	return access.Scope{Source: true, Destination: true, Places: []access.Place{"archive", bucket}, KMSKeys: []string{p.KeyARN()}}
}

// tee is the HTTP client of a function's SDK: an AWS in memory that records its requests.
type tee struct {
	by       confinement.Function
	aws      *edgetest.AWS
	recorder *confinement.Recorder
}

func (t tee) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	response, err := t.answer(r)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(text))
	t.recorder.Saw(t.by, r, body, response.StatusCode, text)
	return response, err
}

func (t tee) answer(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.Header.Get("Authorization"), "/s3/") {
		return t.aws.Do(r)
	}
	answer := edgetest.Answer{Status: 200, Body: "<Result><UploadId>1</UploadId></Result>"}
	if object := strings.Contains(strings.TrimPrefix(r.URL.Path, "/"), "/"); object && r.Method == http.MethodGet {
		answer = edgetest.Answer{Status: 404, Body: "<Error><Code>NoSuchKey</Code></Error>"}
	}
	return &http.Response{StatusCode: answer.Status, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer.Body))}, nil
}

// recorded calls every method that a function uses, in each branch with different calls to
// AWS, and returns the decisions that IAM has to make for them.
func recorded(t *testing.T, s setup) []confinement.Call {
	t.Helper()
	asked := setup{Place: s.Place, options: options{ownBoundary: s.ownBoundary, notifies: s.notifies, otherKeys: s.otherKeys}}
	all := slices.Concat(lambda(confinement.Provider, s), lambda(confinement.Rotator, s))
	if calls, done := driven[asked]; done {
		return append(all, calls...)
	}
	var asks []confinement.Call
	keys := []string{s.KeyARN()}
	if s.otherKeys {
		keys = append(keys, s.hubsKey())
	}
	for _, secretsKey := range keys {
		asks = append(asks, drivenWith(t, s, secretsKey)...)
	}
	driven[asked] = asks
	return append(all, asks...)
}

// drivenWith returns the calls of the functions for a secret that is encrypted by that key.
func drivenWith(t *testing.T, s setup, secretsKey string) (asks []confinement.Call) {
	t.Helper()
	for f, drive := range map[confinement.Function]func(*testing.T, aws.Config, setup, string){confinement.Provider: drive, confinement.Rotator: driveRotator} {
		recorder := confinement.NewRecorder(s.Place)
		// The prober and the SDK wait, so this runs in synctest's time.
		synctest.Test(t, func(t *testing.T) {
			fake := &edgetest.AWS{Answer: answers(s.Place, secretsKey)}
			cfg := fake.Config(t)
			cfg.Region, cfg.HTTPClient, cfg.BaseEndpoint = s.Region, tee{f, fake, recorder}, aws.String("https://aws.test")
			drive(t, cfg, s, secretsKey)
		})
		calls, err := recorder.Calls()
		if err != nil {
			t.Fatal(err)
		}
		asks = append(asks, calls...)
	}
	return asks
}

// driven are the recorded calls of each setup.
var driven = map[setup][]confinement.Call{}

// lambda returns the calls of Lambda in the name of the function's role.
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
func lambda(f confinement.Function, s setup) []confinement.Call {
	stream := s.RegionalARN("logs", "log-group:"+f.LogGroup()+":log-stream:2026/11/25/[$LATEST]1")
	var calls []confinement.Call
	for _, operation := range []string{"CreateLogStream", "PutLogEvents"} {
		calls = append(calls, confinement.Call{Operation: operation, Request: request("logs:"+operation, stream)})
	}
	// This is also so if a version of the function is invoked.
	calls = append(calls, confinement.Call{Operation: "GetUser", Request: request("iam:GetUser", s.ours(), key("lambda:SourceFunctionArn", s.Lambda(f)+":1"))})
	if s.inVPC {
		calls = append(calls, network(s.Place)...)
	}
	for i := range calls {
		calls[i].Function = f
	}
	return calls
}

// network returns the calls of Lambda to connect a function to a VPC.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
func network(p confinement.Place) (calls []confinement.Call) {
	interfaces := p.RegionalARN("ec2", "network-interface/eni-1")
	for operation, resource := range map[string]string{
		"CreateNetworkInterface": interfaces, "DeleteNetworkInterface": interfaces, "AssignPrivateIpAddresses": interfaces, "UnassignPrivateIpAddresses": interfaces,
		"DescribeNetworkInterfaces": "*", "DescribeSubnets": "*",
	} {
		calls = append(calls, confinement.Call{Operation: operation, Request: request("ec2:"+operation, resource)})
	}
	return calls
}

type step struct {
	method string
	call   func(context.Context) error
}

// edgeOfUsers is the client for IAM.
func edgeOfUsers(cfg aws.Config, at setup) *users.Client {
	return users.New(cfg, users.Options{
		Path: "/cloney/" + at.Region + "/", Boundary: at.bound(),
		Account: func(context.Context) (string, string, error) { return at.Partition, at.Account, nil },
	})
}

// drive calls the methods that the provider's function uses, in the order of a life. That
// KMS key encrypts the secret.
func drive(t *testing.T, cfg aws.Config, at setup, secretsKey string) {
	t.Helper()
	p, asks := at.Place, methodsOf(reflect.TypeFor[provision.Provisioner](), reflect.TypeFor[guard.Guard]())
	u := edgeOfUsers(cfg, at)
	documents, err := policy.Documents(name.MaxPolicies, scope(p), p.Partition, nil)
	if err != nil || len(documents) != 1 {
		t.Fatal(documents, err)
	}
	play(t, step{"the function's account", func(ctx context.Context) error {
		return second(sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	}})
	complete(t, asks, reflect.ValueOf(u), play(t, userSteps(u, cfg, p, documents[0].Text)...), user)

	s, last := secrets.New(cfg, secrets.Options{Rotator: p.Lambda(confinement.Rotator)}), "DeleteSecret"
	complete(t, asks, reflect.ValueOf(s), append(play(t, secretSteps(s, p, secretsKey)...), last), secret)
	play(t, step{last, func(ctx context.Context) error { return s.DeleteSecret(ctx, secret) }})
}

// These are changes of the tags by the stack's owner.
var set, unset = map[string]string{"cloney:completed": "verified", "team": "web"}, []string{"team"}

func userSteps(u *users.Client, cfg aws.Config, p confinement.Place, text string) []step {
	tags, name := owned(p), user+"-1"
	return []step{
		{"User", func(ctx context.Context) error { return absent(u.User(ctx, user)) }},
		{"User", func(ctx context.Context) error { return second(u.User(ctx, foreignUser)) }},
		{"List", func(ctx context.Context) error { return second(u.List(ctx)) }},
		{"CreateUser", func(ctx context.Context) error { return second(u.CreateUser(ctx, user, tags)) }},
		{"CreatePolicy", func(ctx context.Context) error { return second(u.CreatePolicy(ctx, name, text, tags)) }},
		{"PutBoundary", func(ctx context.Context) error { return u.PutBoundary(ctx, user) }},
		{"AttachPolicy", func(ctx context.Context) error { return u.AttachPolicy(ctx, user, name) }},
		{"CreateKey", func(ctx context.Context) error {
			key, err := u.CreateKey(ctx, user)
			return errors.Join(err, probe.New(cfg, slog.New(slog.DiscardHandler), probe.Options{}).Prove(ctx, key, scope(p), access.Subject{}))
		}},
		{"User", func(ctx context.Context) error { return second(u.User(ctx, user)) }},
		{"Keys", func(ctx context.Context) error { return second(u.Keys(ctx, user)) }},
		{"LastUse", func(ctx context.Context) error { return second(u.LastUse(ctx, "AKIAISSUED")) }},
		{"Attached", func(ctx context.Context) error { return second(u.Attached(ctx, user)) }},
		{"Policy", func(ctx context.Context) error { return second(u.Policy(ctx, name)) }},
		{"UpdatePolicy", func(ctx context.Context) error { return u.UpdatePolicy(ctx, name, text) }},
		{"TagUser", func(ctx context.Context) error { return u.TagUser(ctx, user, set, unset) }},
		{"TagPolicy", func(ctx context.Context) error { return u.TagPolicy(ctx, name, tags, unset) }},
		{"DeleteKey", func(ctx context.Context) error { return u.DeleteKey(ctx, user, "AKIAISSUED") }},
		{"DetachPolicy", func(ctx context.Context) error { return u.DetachPolicy(ctx, user, name) }},
		{"DeletePolicy", func(ctx context.Context) error { return u.DeletePolicy(ctx, name) }},
		{"DeleteUser", func(ctx context.Context) error {
			if err := u.DeleteUser(ctx, user); !errors.As(err, new(access.InGroups)) {
				return fmt.Errorf("in a group: %w", err)
			}
			return nil
		}},
	}
}

func secretSteps(s *secrets.Client, p confinement.Place, key string) []step {
	tags := owned(p)
	return []step{
		{"Secret", func(ctx context.Context) error { return absent(s.Secret(ctx, secret)) }},
		{"Secret", func(ctx context.Context) error { return second(s.Secret(ctx, foreignSecret)) }},
		{"CreateSecret", func(ctx context.Context) error { return second(s.CreateSecret(ctx, secret, key, "first", tags)) }},
		{"PutVersion", func(ctx context.Context) error {
			return s.PutVersion(ctx, secret, "token", access.NewSecret("x"), []string{"AWSPENDING"})
		}},
		{"Value", func(ctx context.Context) error { return second(s.Value(ctx, secret, "token")) }},
		{"Promote", func(ctx context.Context) error { return s.Promote(ctx, secret, "token", "former") }},
		{"Unlabel", func(ctx context.Context) error { return s.Unlabel(ctx, secret, "token", "AWSPENDING") }},
		{"TagSecret", func(ctx context.Context) error { return s.TagSecret(ctx, secret, tags, unset) }},
		{"RekeySecret", func(ctx context.Context) error { return s.RekeySecret(ctx, secret, "alias/other") }},
		{"RekeySecret", func(ctx context.Context) error { return s.RekeySecret(ctx, secret, "") }},
		{"TryKey", func(ctx context.Context) error { return s.TryKey(ctx, secret, "tried", "cloney:tried") }},
		{"RestoreSecret", func(ctx context.Context) error { return s.RestoreSecret(ctx, secret) }},
	}
}

func play(t *testing.T, steps ...step) (played []string) {
	t.Helper()
	for _, s := range steps {
		if err := s.call(t.Context()); err != nil {
			t.Errorf("%s: %v", s.method, err)
		}
		played = append(played, s.method)
	}
	return played
}

// methodsOf returns the methods that a function needs: those of all interfaces in the
// fields of these structs. A field may also be a function that returns an interface.
func methodsOf(structs ...reflect.Type) map[string]bool {
	asks := map[string]bool{}
	for _, s := range structs {
		for field := range s.Fields() {
			port := field.Type
			if port.Kind() == reflect.Func && port.NumOut() == 1 {
				port = port.Out(0)
			}
			if port.Kind() != reflect.Interface {
				continue
			}
			for i := range port.NumMethod() {
				asks[port.Method(i).Name] = true
			}
		}
	}
	return asks
}

// complete calls the other methods that a function needs, if they take only names: so a new
// method is judged by itself.
func complete(t *testing.T, asks map[string]bool, edge reflect.Value, played []string, name string) {
	t.Helper()
	for i := range edge.NumMethod() {
		method, called := edge.Type().Method(i), edge.Method(i)
		if !asks[method.Name] || slices.Contains(played, method.Name) {
			continue
		}
		in := []reflect.Value{reflect.ValueOf(t.Context())}
		for _, value := range []string{name, "{}", "{}", "{}"}[:called.Type().NumIn()-1] {
			in = append(in, reflect.ValueOf(value))
		}
		for n, value := range in {
			if n >= called.Type().NumIn() || !value.Type().AssignableTo(called.Type().In(n)) {
				t.Fatalf("%s.%s is not driven: add it to the steps", edge.Type(), method.Name)
			}
		}
		out := called.Call(in)
		if err := out[len(out)-1]; !err.IsNil() {
			t.Errorf("%s: %v", method.Name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func absent[T any](_ T, err error) error {
	if !errors.Is(err, access.ErrNotFound) {
		return fmt.Errorf("it is there: %w", err)
	}
	return nil
}
