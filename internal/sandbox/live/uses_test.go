package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
)

// object is in every bucket, and beside is an object outside of its prefix.
const object, beside = "in/holiday.jpg", "in-other/holiday.jpg"

// key returns the configuration for the key in a secret.
func (a *account) key(t *testing.T, secret string) aws.Config {
	t.Helper()
	value, err := secretsmanager.NewFromConfig(a.config).GetSecretValue(ctxOf(t), &secretsmanager.GetSecretValueInput{SecretId: &secret})
	must(t, err)
	var stored struct{ AccessKeyId, SecretAccessKey string }
	must(t, json.Unmarshal([]byte(*value.SecretString), &stored))
	issued := a.config.Copy()
	issued.Credentials = credentials.NewStaticCredentialsProvider(stored.AccessKeyId, stored.SecretAccessKey, "")
	return issued
}

func (a *account) client(t *testing.T, secret string) *s3.Client {
	t.Helper()
	return a.s3(a.key(t, secret))
}

// use is one call to S3.
type use struct {
	what string
	do   func(context.Context, *s3.Client) error
}

func listing(bucket string) use { return listingUnder(bucket, "") }

func listingUnder(bucket, prefix string) use {
	return use{"list " + bucket + " under " + prefix, func(ctx context.Context, c *s3.Client) error {
		_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
		return err
	}}
}

func reading(bucket, key string) use {
	return use{"read " + bucket + "/" + key, func(ctx context.Context, c *s3.Client) error {
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err == nil {
			err = out.Body.Close()
		}
		return err
	}}
}

func writing(bucket, key string) use {
	return use{"write " + bucket + "/" + key, func(ctx context.Context, c *s3.Client) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("sun and sea")})
		return err
	}}
}

func inParts(bucket, key string) use {
	return use{"write in parts to " + bucket, func(ctx context.Context, c *s3.Client) error {
		begun, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
		if err != nil {
			return err
		}
		if _, err = c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("a part")}); err != nil {
			return err
		}
		if _, err = c.ListParts(ctx, &s3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: begun.UploadId}); err != nil {
			return err
		}
		_, err = c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: begun.UploadId})
		return err
	}}
}

func deleting(bucket, key string) use {
	return use{"delete from " + bucket, func(ctx context.Context, c *s3.Client) error {
		_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
		return err
	}}
}

func listingBuckets() use {
	return use{"list the account's buckets", func(ctx context.Context, c *s3.Client) error {
		_, err := c.ListBuckets(ctx, &s3.ListBucketsInput{})
		return err
	}}
}

func locating(bucket string) use {
	return use{"find the region of " + bucket, func(ctx context.Context, c *s3.Client) error {
		_, err := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: &bucket})
		return err
	}}
}

// may checks that uses are allowed. A change of IAM takes some time to arrive everywhere.
func (a *account) may(t *testing.T, who string, c *s3.Client, uses ...use) {
	t.Helper()
	for _, u := range uses {
		if err := a.until(t, func(err error) bool { return err == nil }, func(ctx context.Context) error { return u.do(ctx, c) }); err != nil {
			t.Errorf("%s should %s: %v", who, u.what, err)
		}
	}
}

// mayNot checks that uses are denied.
func (a *account) mayNot(t *testing.T, who string, c *s3.Client, uses ...use) {
	t.Helper()
	for _, u := range uses {
		if err := u.do(ctxOf(t), c); code(err) != "AccessDenied" {
			t.Errorf("%s should be refused to %s: %v", who, u.what, err)
		}
	}
}

// gone checks that something does not exist, as soon as AWS shows that.
func (a *account) gone(t *testing.T, what string, look func(context.Context) error) {
	t.Helper()
	gone := func(err error) bool {
		return code(err) == "NoSuchEntity" || code(err) == "NoSuchEntityException" || code(err) == "ResourceNotFoundException"
	}
	if err := a.until(t, gone, look); !gone(err) {
		t.Errorf("%s is still there: %v", what, err)
	}
}

// until repeats a call, on AWS, until its outcome is right.
func (a *account) until(t *testing.T, right func(error) bool, call func(context.Context) error) error {
	t.Helper()
	ctx, started := ctxOf(t), time.Now()
	for {
		err := call(ctx)
		if right(err) || !real || time.Since(started) > time.Minute {
			return err
		}
		time.Sleep(2 * time.Second)
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// uses checks that both keys can do what the guide says, and nothing else.
func (a *account) uses(t *testing.T, outputs map[string]string) {
	t.Helper()
	source, destination := a.client(t, outputs["SourceSecretName"]), a.client(t, outputs["DestinationSecretName"])
	a.may(t, "the Source key", source, listing(a.source), locating(a.source), reading(a.source, object))
	a.mayNot(t, "the Source key", source, writing(a.source, "new"), deleting(a.source, object), listingBuckets())
	a.may(t, "the Destination key", destination, listing(a.destination), locating(a.destination), writing(a.destination, object), inParts(a.destination, "large"))
	a.mayNot(t, "the Destination key", destination, reading(a.destination, object), deleting(a.destination, object),
		listing(a.source), writing(a.source, "new"), listingBuckets())
}

// prefixed uses objects under the prefix, and logs AWS's answer to the read of an object
// that does not exist.
func (a *account) prefixed(t *testing.T, outputs map[string]string) {
	narrow := a.client(t, outputs["NarrowSecretName"])
	a.may(t, "the narrow key", narrow, listingUnder(a.source, "in/"), listingUnder(a.source, "in/deeper"), reading(a.source, object), locating(a.source))
	a.mayNot(t, "the narrow key", narrow, listing(a.source), listingUnder(a.source, "in"), listingUnder(a.source, "in-other/"), reading(a.source, beside))
	t.Logf("a key under the prefix that is not there: %s", code(reading(a.source, "in/never").do(ctxOf(t), narrow)))
}

// bounded gives the Source user all rights by hand, and checks that the boundary still
// limits it.
func (a *account) bounded(t *testing.T, outputs map[string]string) {
	ctx, admin := ctxOf(t), iam.NewFromConfig(a.config)
	user := outputs["SourceUserName"]
	everything := aws.String("arn:" + partition(outputs["SourcePolicyArns"]) + ":iam::aws:policy/AdministratorAccess")
	_, err := admin.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &user, PolicyArn: everything})
	must(t, err)
	defer func() {
		_, err := admin.DetachUserPolicy(context.Background(), &iam.DetachUserPolicyInput{UserName: &user, PolicyArn: everything})
		must(t, err)
	}()
	key := a.key(t, outputs["SourceSecretName"])
	client := a.s3(key)
	// This call shows that the policy has arrived: the boundary allows it, and the user's
	// own policy does not.
	a.may(t, "the Source key, with AdministratorAccess", client, writing(a.source, "in/by-administrator"))
	a.mayNot(t, "the Source key, with AdministratorAccess", client, deleting(a.source, object), listingBuckets())
	if _, err := iam.NewFromConfig(key).ListUsers(ctx, &iam.ListUsersInput{}); code(err) != "AccessDenied" {
		t.Errorf("the Source key, with AdministratorAccess, should not list users: %v", err)
	}
	if _, err := iam.NewFromConfig(key).CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &user}); code(err) != "AccessDenied" {
		t.Errorf("the Source key, with AdministratorAccess, should not make keys: %v", err)
	}
	secret := outputs["SourceSecretName"]
	if _, err := secretsmanager.NewFromConfig(key).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secret}); code(err) != "AccessDeniedException" {
		t.Errorf("the Source key, with AdministratorAccess, should not read its own secret: %v", err)
	}
}

// confined asks IAM itself about the rights of the provider's role.
func (a *account) confined(t *testing.T) {
	ctx, admin := ctxOf(t), iam.NewFromConfig(a.config)
	provider, err := a.Outputs(ctx, "cloney-s3-credentials")
	must(t, err)
	role := provider["ProviderRoleArn"]
	arn := func(rest string) string {
		return "arn:" + partition(role) + ":iam::" + strings.Split(role, ":")[4] + ":" + rest
	}
	own := "/cloney/" + a.config.Region + "/"
	for _, attack := range []struct {
		action, resource string
		context          []types.ContextEntry
	}{
		{"iam:CreateUser", arn("user" + own + "x"), nil},
		{"iam:CreateUser", arn("user/admin"), nil},
		{"iam:CreateAccessKey", arn("user/admin"), nil},
		{"iam:AttachUserPolicy", arn("user" + own + "x"), []types.ContextEntry{
			{ContextKeyName: aws.String("iam:PolicyARN"), ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{"arn:" + partition(role) + ":iam::aws:policy/AdministratorAccess"}},
			{ContextKeyName: aws.String("iam:PermissionsBoundary"), ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{provider["UserBoundaryArn"]}},
		}},
		{"iam:DeleteUserPermissionsBoundary", arn("user" + own + "x"), nil},
		{"iam:PutUserPermissionsBoundary", arn("user" + own + "x"), []types.ContextEntry{
			{ContextKeyName: aws.String("iam:PermissionsBoundary"), ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{"arn:" + partition(role) + ":iam::aws:policy/AdministratorAccess"}},
		}},
		{"iam:PutUserPolicy", arn("user" + own + "x"), nil},
		{"iam:CreatePolicyVersion", provider["UserBoundaryArn"], nil},
		{"iam:PassRole", arn("role/admin"), nil},
		{"iam:CreateRole", arn("role/admin"), nil},
		{"sts:AssumeRole", arn("role/admin"), nil},
		{"s3:GetObject", "arn:" + partition(role) + ":s3:::" + a.source + "/" + object, nil},
		{"secretsmanager:GetSecretValue", "arn:" + partition(role) + ":secretsmanager:" + a.config.Region + ":" + strings.Split(role, ":")[4] + ":secret:other-AbCdEf", nil},
	} {
		out, err := admin.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{
			PolicySourceArn: &role, ActionNames: []string{attack.action}, ResourceArns: []string{attack.resource}, ContextEntries: attack.context,
		})
		must(t, err)
		for _, result := range out.EvaluationResults {
			if result.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed {
				t.Errorf("the provider's role may %s on %s", attack.action, attack.resource)
			}
		}
	}
}

func partition(arn string) string { return strings.Split(arn, ":")[1] }

// readBy checks that the secret's policy lets the stack's role read.
func (a *account) readBy(t *testing.T, outputs map[string]string) {
	t.Helper()
	secret := outputs["SourceSecretName"]
	out, err := secretsmanager.NewFromConfig(a.config).GetResourcePolicy(ctxOf(t), &secretsmanager.GetResourcePolicyInput{SecretId: &secret})
	must(t, err)
	if !strings.Contains(aws.ToString(out.ResourcePolicy), `"`+outputs["ReaderArn"]+`"`) {
		t.Errorf("%s is not let read: %s", outputs["ReaderArn"], aws.ToString(out.ResourcePolicy))
	}
}
