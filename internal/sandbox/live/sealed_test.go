package live_test

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/sandbox"
)

// readsEncrypted checks that S3's calls to KMS in the user's name are not denied.
func (a *account) readsEncrypted(t *testing.T, outputs map[string]string) {
	const key = "in/encrypted.jpg"
	_, err := a.s3(a.config).PutObject(ctxOf(t), &s3.PutObjectInput{
		Bucket: &a.source, Key: aws.String(key), Body: strings.NewReader("sun and sea"), ServerSideEncryption: types.ServerSideEncryptionAwsKms,
	})
	must(t, err)
	a.may(t, "the Source key", a.client(t, outputs["SourceSecretName"]), reading(a.source, key))
	a.seen(t, "the boundary lets S3 decrypt an object under aws/s3")
}

// seen logs a finding, if the account is AWS itself.
func (a *account) seen(t *testing.T, what string) {
	t.Helper()
	if real && !t.Failed() {
		t.Log("SEEN: " + what)
	}
}

// sessions checks NoSessions: a deactivated key must have ended, with its sessions.
func (a *account) sessions(t *testing.T, outputs map[string]string) {
	issued := a.key(t, outputs["SourceSecretName"])
	made, err := sts.NewFromConfig(issued).GetSessionToken(ctxOf(t), &sts.GetSessionTokenInput{})
	must(t, err)
	session := issued.Copy()
	session.Credentials = credentials.NewStaticCredentialsProvider(*made.Credentials.AccessKeyId, *made.Credentials.SecretAccessKey, *made.Credentials.SessionToken)
	a.mayNot(t, "a session made from the Source key", a.s3(session), listing(a.source), reading(a.source, object), locating(a.source))
	a.may(t, "the Source key itself", a.s3(issued), listing(a.source), reading(a.source, object))
	a.seen(t, "aws:TokenIssueTime tells a session from its key: the session may do nothing in S3, the key all that it should")
}

// customerKeys checks NoCustomerKeys, on a bucket that accepts such keys.
func (a *account) customerKeys(t *testing.T, outputs map[string]string) {
	admin := a.s3(a.config)
	_, err := admin.PutBucketEncryption(ctxOf(t), &s3.PutBucketEncryptionInput{Bucket: &a.destination, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256},
			BlockedEncryptionTypes:             &types.BlockedEncryptionTypes{EncryptionType: []types.EncryptionType{types.EncryptionTypeNone}},
		}},
	}})
	must(t, err)
	var key [32]byte
	_, err = rand.Read(key[:])
	must(t, err)
	sum := md5.Sum(key[:])
	ransom := use{"write an object by a key of its own", func(ctx context.Context, c *s3.Client) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &a.destination, Key: aws.String(object), Body: strings.NewReader("no sun"), SSECustomerAlgorithm: aws.String("AES256"),
			SSECustomerKey: aws.String(base64.StdEncoding.EncodeToString(key[:])), SSECustomerKeyMD5: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		})
		return err
	}}
	a.may(t, "the administrator", admin, ransom)
	destination := a.client(t, outputs["DestinationSecretName"])
	a.mayNot(t, "the Destination key", destination, ransom)
	a.may(t, "the Destination key", destination, writing(a.destination, object))
	a.seen(t, "SSE-C by a Destination key is denied, on a bucket that takes it")
}

// accessPoints checks NoAccessPoints, although the access point's own policy lets the user
// in.
func (a *account) accessPoints(t *testing.T, outputs map[string]string) {
	number := strings.Split(outputs["SourcePolicyArns"], ":")[4]
	in := []string{"--account-id", number, "--name", a.stack}
	_, err := a.cli(t, append([]string{"s3control", "create-access-point", "--bucket", a.source}, in...)...)
	must(t, err)
	t.Cleanup(func() {
		if _, err := a.cli(t, append([]string{"s3control", "delete-access-point"}, in...)...); err != nil {
			t.Errorf("delete access point %s by hand: %v", a.stack, err)
		}
	})
	user, err := iam.NewFromConfig(a.config).GetUser(ctxOf(t), &iam.GetUserInput{UserName: aws.String(outputs["SourceUserName"])})
	must(t, err)
	point := "arn:" + partition(outputs["SourcePolicyArns"]) + ":s3:" + a.config.Region + ":" + number + ":accesspoint/" + a.stack
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]any{"AWS": user.User.Arn}, "Action": []any{"s3:ListBucket", "s3:GetObject"}, "Resource": []any{point, point + "/object/*"},
	}}})
	must(t, err)
	_, err = a.cli(t, append([]string{"s3control", "put-access-point-policy", "--policy", string(text)}, in...)...)
	must(t, err)
	a.may(t, "the administrator, by the access point", a.s3(a.config), listing(point), reading(point, object))
	a.mayNot(t, "the Source key, by the access point", a.client(t, outputs["SourceSecretName"]), listing(point), reading(point, object))
	a.seen(t, "an access point whose policy names the user does not let it in")
}

// closed asks IAM's own evaluator about the deployed boundary: its ARNs have a * for the
// partition, and it closes a bucket that deployments read to a user with all rights.
func (a *account) closed(t *testing.T, _ map[string]string) {
	ctx, admin := ctxOf(t), iam.NewFromConfig(a.config)
	provider, err := a.Outputs(ctx, sandbox.ProviderStack)
	must(t, err)
	arn := provider["UserBoundaryArn"]
	policy, err := admin.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
	must(t, err)
	version, err := admin.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: policy.Policy.DefaultVersionId})
	must(t, err)
	boundary, err := url.QueryUnescape(*version.PolicyVersion.Document)
	must(t, err)
	if !strings.Contains(boundary, "arn:*:s3:::cdk-*") {
		t.Skip("NOT SEEN: the users have another boundary, or ClosedBuckets does not have cdk-*")
	}
	given, err := a.Parameters(ctx, sandbox.ProviderStack)
	must(t, err)
	const everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	for bucket, want := range map[string]iamtypes.PolicyEvaluationDecisionType{
		a.source:                             iamtypes.PolicyEvaluationDecisionTypeAllowed,
		"cdk-hnb659fds-assets-1-us-east-1":   iamtypes.PolicyEvaluationDecisionTypeExplicitDeny,
		"cdk-hnb659fds-assets-1-us-east-1/x": iamtypes.PolicyEvaluationDecisionTypeExplicitDeny,
	} {
		out, err := admin.SimulateCustomPolicy(ctx, &iam.SimulateCustomPolicyInput{
			PolicyInputList: []string{everything}, PermissionsBoundaryPolicyInputList: []string{boundary},
			ActionNames:  []string{map[bool]string{true: "s3:GetObject", false: "s3:ListBucket"}[strings.Contains(bucket, "/")]},
			ResourceArns: []string{"arn:" + partition(arn) + ":s3:::" + bucket},
			ContextEntries: []iamtypes.ContextEntry{
				{ContextKeyName: aws.String("aws:SecureTransport"), ContextKeyType: iamtypes.ContextKeyTypeEnumBoolean, ContextKeyValues: []string{"true"}},
				{ContextKeyName: aws.String("aws:ResourceAccount"), ContextKeyType: iamtypes.ContextKeyTypeEnumString, ContextKeyValues: []string{strings.Split(provider["ProviderRoleArn"], ":")[4]}},
				{ContextKeyName: aws.String("aws:ResourceOrgID"), ContextKeyType: iamtypes.ContextKeyTypeEnumString, ContextKeyValues: []string{given["BucketOrganizationId"]}},
			},
		})
		must(t, err)
		for _, result := range out.EvaluationResults {
			if result.EvalDecision != want {
				t.Errorf("under the boundary, %s on %s is %s", *result.EvalActionName, bucket, result.EvalDecision)
			}
		}
	}
	a.seen(t, "the boundary is accepted with arn:*:s3:::, and closes cdk-*")
}

// quarantined attaches managed policies up to the user's limit: ours are at most nine, so
// that AWS's quarantine policy fits. An account may have a higher quota. These policies
// deny nothing, because IAM applies them for a while after they are detached, and the next
// steps verify keys.
func (a *account) quarantined(t *testing.T, outputs map[string]string) {
	admin, user := iam.NewFromConfig(a.config), outputs["SourceUserName"]
	managed := func(name string) *string {
		return aws.String("arn:" + partition(outputs["SourcePolicyArns"]) + ":iam::aws:policy/" + name)
	}
	for _, name := range []string{
		"AmazonRoute53ReadOnlyAccess", "AmazonDynamoDBReadOnlyAccess", "AmazonS3ReadOnlyAccess", "AmazonSQSReadOnlyAccess", "AmazonSNSReadOnlyAccess",
		"AmazonVPCReadOnlyAccess", "AmazonEC2ReadOnlyAccess", "AmazonRDSReadOnlyAccess", "CloudWatchReadOnlyAccess",
	} {
		_, err := admin.AttachUserPolicy(ctxOf(t), &iam.AttachUserPolicyInput{UserName: &user, PolicyArn: managed(name)})
		must(t, err)
		defer func() {
			_, err := admin.DetachUserPolicy(context.Background(), &iam.DetachUserPolicyInput{UserName: &user, PolicyArn: managed(name)})
			must(t, err)
		}()
	}
	a.seen(t, "a tenth managed policy is attached to a user")
}

// bound asks CloudWatch how many events of this life had a ResponseURL whose path names
// something else. If there are none, UnboundEvents: Refuse is safe. The count of Creates
// shows that the metrics of this time have arrived.
func (a *account) bound(t *testing.T) {
	sum := func(metric string) (float64, error) {
		out, err := a.cli(t, "cloudwatch", "get-metric-statistics", "--namespace", "CloneyS3Credentials", "--metric-name", metric,
			"--dimensions", "Name=FunctionName,Value=cloney-s3-credentials", "--statistics", "Sum", "--period", "60",
			"--start-time", a.began.Format(time.RFC3339), "--end-time", time.Now().UTC().Format(time.RFC3339))
		if err != nil {
			return 0, err
		}
		var counted struct{ Datapoints []struct{ Sum float64 } }
		if err := json.Unmarshal([]byte(out), &counted); err != nil {
			return 0, err
		}
		total := 0.0
		for _, point := range counted.Datapoints {
			total += point.Sum
		}
		return total, nil
	}
	must(t, a.until(t, func(err error) bool { return err == nil }, func(context.Context) error {
		creates, err := sum("Creates")
		if err == nil && creates == 0 {
			err = errors.New("CloudWatch shows no Creates since this test began")
		}
		return err
	}))
	unbound, err := sum("Unbound")
	must(t, err)
	if unbound != 0 {
		t.Errorf("SEEN: %v events since this test began were not bound to their ResponseURL. Leave UnboundEvents as it is", fmt.Sprint(unbound))
	}
	a.seen(t, "every event names itself in its ResponseURL: UnboundEvents: Refuse is safe here")
}
