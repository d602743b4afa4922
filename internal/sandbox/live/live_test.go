// Package live_test plays the life of a migration's credentials in an account, from the
// first deployment to the empty account at the end.
//
// With CLONEY_LIVE the account and region are those of AWS in the environment, in which the
// provider is deployed. There AWS shows whether the other tests have read its pages right:
// the lines that begin with SEEN say so. It costs cents, takes about half an hour, and
// creates buckets, secrets, an access point, two stacks and some change sets, all called
// cloney-live-…, which it removes. It puts one event on the default event bus. Without
// CLONEY_LIVE the account is the sandbox, which shows that this code works. Checks that
// moto does not make are left out there.
package live_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/spec"
)

// real says whether the account is AWS itself.
var real = os.Getenv("CLONEY_LIVE") != ""

// account is the account in which the life is played, with everything that it creates
// there.
type account struct {
	sandbox.Stacks
	config              aws.Config
	source, destination string // buckets
	stack               string
	began               time.Time
	made                map[output]bool  // all that the stack ever told
	sandbox             *sandbox.Sandbox // nil: it is AWS
}

// output is one output of the stack at one moment.
type output struct{ name, value string }

// resources are what the stack declares at one moment.
type resources struct {
	sourceBuckets, prefix, serial, userName string
	reader, rotated                         bool
}

func TestTheLifeOfCredentials(t *testing.T) {
	a := open(t)
	now := resources{sourceBuckets: a.source, prefix: "in/", serial: "1"}
	var first map[string]string
	for _, step := range []struct {
		title string
		aws   bool // only AWS shows it
		do    func(t *testing.T)
	}{
		{"the stack is made", false, func(t *testing.T) { a.deploy(t, now); first = a.outputs(t) }},
		{"the keys do what the guide says", false, func(t *testing.T) { a.uses(t, first) }},
		{"a prefix ends where it ends", true, func(t *testing.T) { a.prefixed(t, first) }},
		{"nothing gets past the boundary", true, func(t *testing.T) { a.bounded(t, first) }},
		{"an object under a KMS key is read", false, func(t *testing.T) { a.readsEncrypted(t, first) }},
		{"a session made from a key is worth nothing", true, func(t *testing.T) { a.sessions(t, first) }},
		{"nobody encrypts by a key of his own", true, func(t *testing.T) { a.customerKeys(t, first) }},
		{"an access point lets nobody in", true, func(t *testing.T) { a.accessPoints(t, first) }},
		{"the boundary closes what deployments read", true, func(t *testing.T) { a.closed(t, first) }},
		{"there is room for a quarantine policy", true, func(t *testing.T) { a.quarantined(t, first) }},
		{"the provider's role is confined", true, a.confined},
		{"a bucket more, the same keys", false, func(t *testing.T) {
			now.sourceBuckets += "," + a.destination
			a.deploy(t, now)
			same(t, first, a.outputs(t))
		}},
		{"a bucket that is not there: refused, rolled back", false, func(t *testing.T) {
			wrong := now
			wrong.sourceBuckets += ",cloney-live-no-such-bucket-" + rand.Text()[:8]
			wrong.sourceBuckets = strings.ToLower(wrong.sourceBuckets)
			if err := a.try(t, wrong); err == nil || !strings.Contains(err.Error(), "there is no such bucket") {
				t.Errorf("the update of a missing bucket came to: %v", err)
			}
			same(t, first, a.outputs(t))
			a.uses(t, first)
		}},
		{"a reader of the secret", false, func(t *testing.T) {
			now.reader = true
			a.deploy(t, now)
			a.readBy(t, a.outputs(t))
			same(t, first, a.outputs(t))
		}},
		{"a new Serial: new keys, the former ones work", false, func(t *testing.T) {
			former := a.client(t, first["SourceSecretName"])
			now.serial = "2"
			a.deploy(t, now)
			if next := a.outputs(t); next["SourceAccessKeyId"] == first["SourceAccessKeyId"] {
				t.Error("the key is the same")
			} else {
				a.uses(t, next)
			}
			a.may(t, "the former key", former, listing(a.source))
		}},
		{"another user name: another user, the former one goes", false, func(t *testing.T) {
			now.userName = a.stack + "-renamed"
			a.deploy(t, now)
			next := a.outputs(t)
			if next["SourceUserName"] != now.userName {
				t.Errorf("the user is %s", next["SourceUserName"])
			}
			a.uses(t, next)
			a.gone(t, "GetUser "+first["SourceUserName"], a.user(first["SourceUserName"]))
		}},
		{"a schedule: nothing rotates yet", false, func(t *testing.T) {
			before := a.outputs(t)
			now.rotated = true
			a.deploy(t, now)
			same(t, before, a.outputs(t))
			a.uses(t, before)
		}},
		{"rotated by hand: a new key, the former one works", false, func(t *testing.T) { a.rotates(t, a.outputs(t)) }},
		{"every event was bound to its ResponseURL", true, a.bound},
		{"deleted: nothing is left", false, a.nothingLeft},
	} {
		if step.aws && !real {
			continue
		}
		started := time.Now()
		if !t.Run(step.title, step.do) {
			t.FailNow()
		}
		t.Logf("%-55s %6.1f s", step.title, time.Since(started).Seconds())
	}
}

// enter opens the account. Options are those of the sandbox.
func enter(t *testing.T, options sandbox.Options) *account {
	t.Helper()
	ctx, a := ctxOf(t), &account{}
	options.Root = root
	var err error
	if real {
		a.config, err = config.LoadDefaultConfig(ctx)
		must(t, err)
	} else {
		a.sandbox, err = sandbox.Start(ctx, options)
		must(t, err)
		t.Cleanup(func() { _ = a.sandbox.Close() })
		a.config = a.sandbox.Config()
	}
	a.Stacks = sandbox.StacksOf(a.config)
	return a
}

// id is part of the names of everything that a test creates.
func id() string { return strings.ToLower(rand.Text()[:10]) }

// suits ends the test if the provider's parameters do not permit this life. It needs new
// buckets, readers in the account, and keys that work from here.
func (a *account) suits(t *testing.T) {
	t.Helper()
	given, err := a.Parameters(ctxOf(t), sandbox.ProviderStack)
	must(t, err)
	if !slices.ContainsFunc(spec.Patterns(given["AllowedBuckets"]), func(pattern string) bool { return spec.Match(pattern, a.source) }) {
		t.Fatal("the provider's AllowedBuckets do not have cloney-live-*: add it for this test")
	}
	if given["AllowedReaders"] == "none" {
		t.Fatal("the provider's AllowedReaders is none: put the account's id there for this test")
	}
	for name, value := range map[string]string{"MaxDays": "0", "SourceCidrs": "", "RequireSecretKmsKey": "false"} {
		if given[name] != value {
			t.Fatalf("the provider's %s is %q, and the stack of this test does not keep to it: give it its default for this test", name, given[name])
		}
	}
}

// open opens the account, and creates two buckets.
func open(t *testing.T) *account {
	t.Helper()
	ctx := ctxOf(t)
	a := enter(t, sandbox.Options{})
	a.began = time.Now().UTC()
	a.stack = "cloney-live-" + id()
	a.source, a.destination, a.made = a.stack+"-source", a.stack+"-destination", map[output]bool{}
	if real {
		a.suits(t)
	} else {
		must(t, a.sandbox.MakeBuckets(ctx))
		must(t, a.sandbox.EnforceIAM(ctx, true))
		must(t, a.sandbox.DeployProvider(ctx, "AllowedReaders="+sandbox.Account))
		a.config = a.sandbox.Config()
	}
	a.Stacks = sandbox.StacksOf(a.config)
	client := a.s3(a.config)
	for _, bucket := range []string{a.source, a.destination} {
		must(t, sandbox.MakeBucket(ctx, client, bucket))
		t.Cleanup(func() { a.drop(t, bucket) })
		for _, key := range []string{"in/holiday.jpg", "in-other/holiday.jpg"} {
			_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("sun and sea")})
			must(t, err)
		}
	}
	t.Cleanup(func() {
		// No key outlives the test, whatever its result.
		if err := a.DeleteStack(context.Background(), a.stack); err != nil {
			t.Errorf("delete stack %s by hand: %v", a.stack, err)
		}
	})
	return a
}

// drop empties a bucket and deletes it.
func (a *account) drop(t *testing.T, bucket string) {
	ctx, client := context.Background(), a.s3(a.config)
	objects := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket})
	for objects.HasMorePages() {
		page, err := objects.NextPage(ctx)
		if err != nil {
			t.Errorf("delete bucket %s by hand: %v", bucket, err)
			return
		}
		for _, object := range page.Contents {
			_, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: object.Key})
			must(t, err)
		}
	}
	if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		t.Errorf("delete bucket %s by hand: %v", bucket, err)
	}
}

func (a *account) s3(of aws.Config) *s3.Client {
	return s3.NewFromConfig(of, func(o *s3.Options) { o.UsePathStyle = !real })
}

// template returns a template as a stack owner would write it.
func template(r resources) string {
	var text strings.Builder
	text.WriteString("Resources:\n")
	readers := ""
	if r.reader {
		text.WriteString(`  Reader:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {AWS: !Ref AWS::AccountId}, Action: sts:AssumeRole}]
`)
		readers = ", SecretReaders: [!GetAtt Reader.Arn]"
	}
	name := ""
	if r.userName != "" {
		name = ", UserName: " + r.userName
	}
	schedule := ""
	if r.rotated {
		schedule = ", RotationSchedule: rate(30 days)"
	}
	const common = "ServiceToken: !ImportValue cloney-s3-credentials-ServiceToken, ServiceTimeout: 330, Serial: "
	for logical, properties := range map[string]string{
		"Source":      "Access: Source, Buckets: \"" + r.sourceBuckets + "\"" + readers + name + schedule,
		"Narrow":      "Access: Source, Buckets: [" + strings.Split(r.sourceBuckets, ",")[0] + "/" + r.prefix + "]",
		"Destination": "Access: Destination, Buckets: [!Ref DestinationBucket]",
	} {
		fmt.Fprintf(&text, "  %s:\n    Type: Custom::CloneyS3Credentials\n    Properties: {%s%s, %s}\n", logical, common, r.serial, properties)
	}
	text.WriteString("Parameters:\n  DestinationBucket: {Type: String}\nOutputs:\n")
	for _, logical := range []string{"Source", "Narrow", "Destination"} {
		for _, attribute := range []string{"UserName", "AccessKeyId", "SecretName", "PolicyArns"} {
			fmt.Fprintf(&text, "  %s%s: {Value: !GetAtt %s.%s}\n", logical, attribute, logical, attribute)
		}
	}
	if r.reader {
		text.WriteString("  ReaderArn: {Value: !GetAtt Reader.Arn}\n")
	}
	return text.String()
}

func (a *account) try(t *testing.T, r resources) error {
	t.Helper()
	file := t.TempDir() + "/template.yaml"
	must(t, os.WriteFile(file, []byte(template(r)), 0o600))
	return a.Deploy(ctxOf(t), a.stack, file, "DestinationBucket="+a.destination)
}

func (a *account) deploy(t *testing.T, r resources) {
	t.Helper()
	must(t, a.try(t, r))
}

// outputs returns the outputs of the stack, and keeps them for the end.
func (a *account) outputs(t *testing.T) map[string]string {
	t.Helper()
	outputs, err := a.Outputs(ctxOf(t), a.stack)
	must(t, err)
	for name, value := range outputs {
		a.made[output{name, value}] = true
	}
	return outputs
}

// same checks that keys, users and secrets have not changed.
func same(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name, value := range before {
		if !strings.HasSuffix(name, "PolicyArns") && after[name] != value {
			t.Errorf("%s was %s and is %s", name, value, after[name])
		}
	}
}

// nothingLeft deletes the stack, and checks that nothing that it ever had is left.
func (a *account) nothingLeft(t *testing.T) {
	must(t, a.DeleteStack(ctxOf(t), a.stack))
	secrets, policies := secretsmanager.NewFromConfig(a.config), iam.NewFromConfig(a.config)
	looked := 0
	for told := range a.made {
		switch {
		case strings.HasSuffix(told.name, "UserName"):
			a.gone(t, "user "+told.value, a.user(told.value))
		case strings.HasSuffix(told.name, "SecretName"):
			a.gone(t, "secret "+told.value, func(ctx context.Context) error {
				_, err := secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &told.value})
				return err
			})
		case strings.HasSuffix(told.name, "PolicyArns"):
			for arn := range strings.SplitSeq(told.value, ",") {
				a.gone(t, "policy "+arn, func(ctx context.Context) error {
					_, err := policies.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
					return err
				})
			}
		default:
			continue
		}
		looked++
	}
	if looked < 10 {
		t.Errorf("looked for %d things only", looked)
	}
}

func (a *account) user(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := iam.NewFromConfig(a.config).GetUser(ctx, &iam.GetUserInput{UserName: &name})
		return err
	}
}

// ctxOf ends a call that hangs, long after the time that AWS or the slowest machine needs.
func ctxOf(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
