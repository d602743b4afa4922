package sandbox_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/sandbox"
)

// foreigner is an account that has nothing to do with the provider's.
const foreigner = "999988887777"

// event is what the function is sent.
type event = map[string]any

// identity is somebody with a key.
type identity struct {
	arn    string
	key    keyPair
	policy *iamtest.Policy
}

type keyPair struct{ id, secret string }

// scene is an account with the provider, stacks that use it, and strangers.
type scene struct {
	t       *testing.T
	s       *sandbox.Sandbox
	account string
	config  aws.Config // an administrator's

	victims                 string            // the StackId of credentials of others
	issued                  map[string]string // their access key ids, by logical id
	stranger, byName, byTag identity          // may invoke; and read some secrets
	administrator           identity
	made                    int  // by the stranger
	refused                 bool // the stranger was not let in
}

var victims = []string{"Answered", "Deleted", "Exported", "Narrowed", "Read", "Renamed", "Rotated", "Tagged", "Widened"}

// set deploys the provider in an account, and all that is to be attacked.
func set(t *testing.T, s *sandbox.Sandbox, account string, parameters []string) *scene {
	t.Helper()
	ctx := ctxOf(t)
	config, err := s.ConfigIn(ctx, account, sandbox.Region)
	must(t, err)
	c := &scene{t: t, s: s, account: account, config: config, issued: map[string]string{}}
	c.deploy(parameters...)
	client := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	for _, bucket := range []string{"data", "data-two", "other", "cdk"} {
		bucket = c.bucket(bucket)
		must(t, sandbox.MakeBucket(ctx, client, bucket))
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(sandbox.Object), Body: strings.NewReader("sun and sea")})
		must(t, err)
	}
	const invoke = `{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "%s"}`
	const read = `{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "%s"%s}`
	mayInvoke := fmt.Sprintf(invoke, c.token())
	c.stranger = c.person("stranger", mayInvoke)
	c.byName = c.person("by-name", mayInvoke, fmt.Sprintf(read, "arn:aws:secretsmanager:*:*:secret:cloney/team-a/*", ""))
	c.byTag = c.person("by-tag", mayInvoke, fmt.Sprintf(read, "*", `, "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}}`))
	c.administrator = c.person("administrator", `{"Effect": "Allow", "Action": "*", "Resource": "*"}`)
	c.victims = c.use("victims", victims...)
	c.use("own", "Own")
	for _, victim := range victims {
		key, ok := c.reads(c.administrator, "cloney/victims/"+victim)
		if !ok {
			t.Fatalf("the secret of %s cannot be read", victim)
		}
		c.issued[victim] = key.id
	}
	return c
}

// deploy deploys the provider, or updates it to these parameters.
func (c *scene) deploy(parameters ...string) {
	c.t.Helper()
	must(c.t, c.s.DeployProviderIn(ctxOf(c.t), c.account, sandbox.Region, parameters...))
}

// bucket is the name of one of the account's, which no other account has too.
func (c *scene) bucket(name string) string { return name + "-" + c.account }

// token is the function's ARN.
func (c *scene) token() string {
	return "arn:aws:lambda:" + sandbox.Region + ":" + c.account + ":function:" + sandbox.ProviderStack
}

// person makes an IAM user with a policy and a key.
func (c *scene) person(name string, statements ...string) identity {
	c.t.Helper()
	ctx, client := ctxOf(c.t), iam.NewFromConfig(c.config)
	document := `{"Version": "2012-10-17", "Statement": [` + strings.Join(statements, ", ") + `]}`
	user, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: &name})
	must(c.t, err)
	_, err = client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("own"), PolicyDocument: &document})
	must(c.t, err)
	key, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	must(c.t, err)
	return identity{aws.ToString(user.User.Arn), keyPair{*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey}, iamtest.MustParse(document)}
}

// use deploys a stack with credentials under these logical ids, and returns its id.
func (c *scene) use(stack string, logicals ...string) string {
	c.t.Helper()
	template := "Resources:\n"
	for _, logical := range logicals {
		template += fmt.Sprintf("  %s:\n    Type: Custom::CloneyS3Credentials\n    Properties: {ServiceToken: '%s', ServiceTimeout: 900, Access: Source, Buckets: [%s], Verify: false, UserName: victim-%[1]s, SecretName: cloney/victims/%[1]s}\n", logical, c.token(), c.bucket("data"))
	}
	file := filepath.Join(c.t.TempDir(), "stack.yaml")
	must(c.t, os.WriteFile(file, []byte(template), 0o600))
	must(c.t, sandbox.StacksOf(c.config).Deploy(ctxOf(c.t), stack, file))
	return c.sent(logicals[0]).StackID
}

// sentEvent is what of CloudFormation's events the stranger makes use of.
type sentEvent struct {
	StackID     string `json:"StackId"`
	RequestID   string `json:"RequestId"`
	ResponseURL string
}

// sent is the first event that CloudFormation sent about a logical id.
func (c *scene) sent(logical string) (e sentEvent) {
	c.t.Helper()
	must(c.t, json.Unmarshal(c.request(logical).Event, &e))
	return e
}

// request is what CloudFormation sent about the account's resource of that logical id.
func (c *scene) request(logical string) sandbox.Request {
	c.t.Helper()
	requests, err := c.s.Requests(ctxOf(c.t))
	must(c.t, err)
	for _, r := range requests {
		if strings.Contains(string(r.Event), `"LogicalResourceId": "`+logical+`"`) && strings.Contains(string(r.Event), c.token()) {
			return r
		}
	}
	c.t.Fatalf("nothing was asked about %s", logical)
	return sandbox.Request{}
}

// ---- events of the stranger's own ----------------------------------------------------------

// own is the id of a stack of the account, stackOf that of any account.
func (c *scene) own(stack string) string { return stackOf(c.account, stack) }

func stackOf(account, stack string) string {
	return "arn:aws:cloudformation:" + sandbox.Region + ":" + account + ":stack/" + stack + "/51af3dc0-da77-11e4-872e-1234567db123"
}

// creating is an event that makes credentials in a stack's name.
func (c *scene) creating(stack, logical, user, access, bucket string, more event) event {
	properties := event{"ServiceToken": c.token(), "Access": access, "Buckets": []string{bucket}, "Verify": "false", "UserName": user, "SecretName": "cloney/" + user}
	maps.Copy(properties, more)
	return c.signed(event{"RequestType": "Create", "StackId": stack, "LogicalResourceId": logical,
		"ResourceType": "Custom::CloneyS3Credentials", "ServiceToken": c.token(), "ResourceProperties": properties})
}

// about is an event about a victim, with changed properties.
func (c *scene) about(kind, victim string, change event) event {
	c.t.Helper()
	var e event
	must(c.t, json.Unmarshal(c.request(victim).Event, &e))
	e["RequestType"], e["PhysicalResourceId"] = kind, "victim-"+victim
	if kind == "Update" {
		e["OldResourceProperties"] = maps.Clone(e["ResourceProperties"].(event))
	}
	maps.Copy(e["ResourceProperties"].(event), change)
	return c.signed(e)
}

// signed gives an event an id, and the ResponseURL that is its own in all but the
// signature, which CloudFormation alone can make.
func (c *scene) signed(e event) event {
	c.made++
	e["RequestId"] = fmt.Sprintf("51af3dc0-da77-11e4-872e-%012d", c.made)
	path := url.PathEscape(fmt.Sprintf("%s|%s|%s", e["StackId"], e["LogicalResourceId"], e["RequestId"]))
	e["ResponseURL"] = c.s.Responses + "/" + path +
		"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=" + time.Now().UTC().Format("20060102T150405Z") + "&X-Amz-Signature=made-up"
	return e
}

// told is what an invoker hears.
type told struct {
	letIn  bool
	failed string // the function's own error
	tail   string // the end of its log
}

// users counts the users that the log tells of, with the stack that each is of.
func (l told) users() int {
	return len(regexp.MustCompile(`victim-\w+ \(\w+ of stack victims\)`).FindAllString(l.tail, -1))
}

// forge has somebody invoke the function.
func (c *scene) forge(by identity, e event) told {
	c.t.Helper()
	payload, err := json.Marshal(e)
	must(c.t, err)
	reply, body := c.invoke(by.key, payload)
	if reply.StatusCode == http.StatusForbidden && strings.Contains(body, "with an explicit deny in a resource-based policy") {
		c.refused = true
		return told{}
	}
	if reply.StatusCode != http.StatusOK {
		c.t.Fatalf("Lambda answers %s: %s", reply.Status, body)
	}
	log, err := base64.StdEncoding.DecodeString(reply.Header.Get("X-Amz-Log-Result"))
	must(c.t, err)
	return told{true, body, string(log)}
}

// invoke calls lambda:Invoke and asks for the end of the log. A process of the AWS CLI for
// each of so many events would cost more than all else here, and a client of Lambda would
// be a dependency for this alone.
func (c *scene) invoke(key keyPair, payload []byte) (*http.Response, string) {
	c.t.Helper()
	address := c.s.Endpoint + "/2015-03-31/functions/" + url.PathEscape(c.token()) + "/invocations"
	request, err := http.NewRequestWithContext(ctxOf(c.t), http.MethodPost, address, bytes.NewReader(payload))
	must(c.t, err)
	request.Header.Set("X-Amz-Log-Type", "Tail")
	signer := aws.Credentials{AccessKeyID: key.id, SecretAccessKey: key.secret}
	must(c.t, v4.NewSigner().SignHTTP(ctxOf(c.t), signer, request, fmt.Sprintf("%x", sha256.Sum256(payload)), "lambda", sandbox.Region, time.Now()))
	reply, err := http.DefaultClient.Do(request)
	must(c.t, err)
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	must(c.t, err)
	return reply, string(body)
}

// ---- what they have then ----------------------------------------------------------------------

// stored is a secret.
type stored struct {
	arn, kms string
	tags     map[string]string
	policy   *iamtest.Policy
}

// secret is what Secrets Manager says of a secret; its zero, where there is none.
func (c *scene) secret(name string) (found stored) {
	c.t.Helper()
	client := secretsmanager.NewFromConfig(c.config)
	d, err := client.DescribeSecret(ctxOf(c.t), &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		return stored{}
	}
	found = stored{arn: aws.ToString(d.ARN), kms: aws.ToString(d.KmsKeyId), tags: map[string]string{}}
	for _, tag := range d.Tags {
		found.tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	p, err := client.GetResourcePolicy(ctxOf(c.t), &secretsmanager.GetResourcePolicyInput{SecretId: &name})
	must(c.t, err)
	if text := aws.ToString(p.ResourcePolicy); text != "" {
		found.policy = iamtest.MustParse(text)
	}
	return found
}

// reads has somebody read a secret: first it is judged whether they may, for moto
// does not, then they do.
func (c *scene) reads(who identity, name string) (keyPair, bool) {
	c.t.Helper()
	secret := c.secret(name)
	if secret.arn == "" {
		return keyPair{}, false
	}
	verdict := iamtest.Evaluate(iamtest.Account{Identity: []*iamtest.Policy{who.policy}, Resource: secret.policy, Principal: who.arn},
		iamtest.Request{Action: "secretsmanager:GetSecretValue", Resource: secret.arn, Context: confinement.ResourceTags(secret.tags)})
	if verdict.Outcome != iamtest.Allowed {
		return keyPair{}, false
	}
	config := c.config
	config.Credentials = credentials.NewStaticCredentialsProvider(who.key.id, who.key.secret, "")
	value, err := secretsmanager.NewFromConfig(config).GetSecretValue(ctxOf(c.t), &secretsmanager.GetSecretValueInput{SecretId: &name})
	must(c.t, err)
	var key struct{ AccessKeyID, SecretAccessKey string }
	must(c.t, json.Unmarshal([]byte(aws.ToString(value.SecretString)), &key))
	return keyPair{key.AccessKeyID, key.SecretAccessKey}, true
}

// readsFrom is whether a role of another account reads a secret. There the sandbox
// itself looks at the secret's policy and its key.
func (c *scene) readsFrom(account, role, name string) bool {
	c.t.Helper()
	config, err := c.s.ConfigIn(ctxOf(c.t), account, sandbox.Region)
	must(c.t, err)
	_, err = secretsmanager.NewFromConfig(config).GetSecretValue(ctxOf(c.t), &secretsmanager.GetSecretValueInput{SecretId: aws.String(c.secret(name).arn)})
	return err == nil
}

func (c *scene) isUser(name string) bool {
	c.t.Helper()
	_, err := iam.NewFromConfig(c.config).GetUser(ctxOf(c.t), &iam.GetUserInput{UserName: &name})
	var none *iamtypes.NoSuchEntityException
	if err != nil && !errors.As(err, &none) {
		c.t.Fatal(err)
	}
	return err == nil
}

// reaches judges whether a user may do that to a bucket's object, by its policies and
// its boundary as they stand.
func (c *scene) reaches(user, action, bucket string) bool {
	c.t.Helper()
	client := iam.NewFromConfig(c.config)
	found, err := client.GetUser(ctxOf(c.t), &iam.GetUserInput{UserName: &user})
	must(c.t, err)
	attached, err := client.ListAttachedUserPolicies(ctxOf(c.t), &iam.ListAttachedUserPoliciesInput{UserName: &user})
	must(c.t, err)
	account := iamtest.Account{Boundary: c.document(found.User.PermissionsBoundary.PermissionsBoundaryArn)}
	for _, policy := range attached.AttachedPolicies {
		account.Identity = append(account.Identity, c.document(policy.PolicyArn))
	}
	where := confinement.Place{Partition: "aws", Region: sandbox.Region, Account: c.account}
	context := confinement.Wire(confinement.Bucket(where))
	return iamtest.Evaluate(account, iamtest.Request{Action: action, Resource: "arn:aws:s3:::" + bucket + "/" + sandbox.Object, Context: context}).Outcome == iamtest.Allowed
}

func (c *scene) document(arn *string) *iamtest.Policy {
	c.t.Helper()
	client := iam.NewFromConfig(c.config)
	about, err := client.GetPolicy(ctxOf(c.t), &iam.GetPolicyInput{PolicyArn: arn})
	must(c.t, err)
	version, err := client.GetPolicyVersion(ctxOf(c.t), &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: about.Policy.DefaultVersionId})
	must(c.t, err)
	text, err := url.PathUnescape(aws.ToString(version.PolicyVersion.Document))
	must(c.t, err)
	return iamtest.MustParse(text)
}

// s3 is a client with a key.
func (c *scene) s3(key keyPair) *s3.Client {
	return s3.NewFromConfig(c.s.ConfigFor(key.id, key.secret), func(o *s3.Options) { o.UsePathStyle = true })
}
