package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"cloney-s3-credentials/internal/sandbox"
)

// issuedKey is an S3 client with the key that a stack's secret holds.
func issuedKey(t *testing.T, secret string) *s3.Client {
	t.Helper()
	value, err := secretsmanager.NewFromConfig(account(t).Config()).GetSecretValue(ctxOf(t), &secretsmanager.GetSecretValueInput{SecretId: &secret})
	must(t, err)
	var stored struct {
		Version                      int
		AccessKeyId, SecretAccessKey string
	}
	must(t, json.Unmarshal([]byte(*value.SecretString), &stored))
	if stored.Version != 1 {
		t.Errorf("the secret is not credential_process JSON of version 1 but %d", stored.Version)
	}
	return s3.NewFromConfig(account(t).ConfigFor(stored.AccessKeyId, stored.SecretAccessKey), func(o *s3.Options) { o.UsePathStyle = true })
}

// calls are S3 calls of one kind each, on any bucket.
var calls = map[string]func(context.Context, *s3.Client, string) error{
	"ListBucket": func(ctx context.Context, c *s3.Client, b string) error {
		_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b})
		return err
	},
	"GetBucketLocation": func(ctx context.Context, c *s3.Client, b string) error {
		_, err := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: &b})
		return err
	},
	"GetObject": func(ctx context.Context, c *s3.Client, b string) error {
		_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: aws.String(sandbox.Object)})
		return err
	},
	"PutObject": func(ctx context.Context, c *s3.Client, b string) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: aws.String(sandbox.Object), Body: strings.NewReader("sun and sea")})
		return err
	},
	"Multipart": func(ctx context.Context, c *s3.Client, b string) error {
		key := aws.String("parts")
		begun, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &b, Key: key})
		if err != nil {
			return err
		}
		_, err = c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &b, Key: key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part")})
		if err != nil {
			return err
		}
		if _, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: &b, Key: key, UploadId: begun.UploadId}); err != nil {
			return err
		}
		_, err = c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b, Key: key, UploadId: begun.UploadId})
		return err
	},
	"PutObjectAcl": func(ctx context.Context, c *s3.Client, b string) error {
		_, err := c.PutObjectAcl(ctx, &s3.PutObjectAclInput{Bucket: &b, Key: aws.String(sandbox.Object), ACL: types.ObjectCannedACLPrivate})
		return err
	},
	"DeleteObject": func(ctx context.Context, c *s3.Client, b string) error {
		_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b, Key: aws.String("never-there")})
		return err
	},
	"DeleteBucket": func(ctx context.Context, c *s3.Client, b string) error {
		_, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &b})
		return err
	},
	"GetBucketPolicy": func(ctx context.Context, c *s3.Client, b string) error {
		_, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &b})
		return err
	},
	"PutBucketAcl": func(ctx context.Context, c *s3.Client, b string) error {
		_, err := c.PutBucketAcl(ctx, &s3.PutBucketAclInput{Bucket: &b, ACL: types.BucketCannedACLPrivate})
		return err
	},
	"ListAllMyBuckets": func(ctx context.Context, c *s3.Client, _ string) error {
		_, err := c.ListBuckets(ctx, &s3.ListBucketsInput{})
		return err
	},
}

// With IAM enforced: what the role allows works on the named bucket, through a
// real S3 client with the issued key; all else is refused, and everything is
// refused on another bucket.
func TestIssuedKeysDoWhatTheGuideSays(t *testing.T) {
	own(t)
	for role, allowed := range map[string][]string{
		"Source":      {"ListBucket", "GetBucketLocation", "GetObject"},
		"Destination": {"ListBucket", "GetBucketLocation", "PutObject", "PutObjectAcl", "Multipart"},
	} {
		t.Run(role, func(t *testing.T) {
			ctx, stack := ctxOf(t), "permissions-"+strings.ToLower(role)
			must(t, account(t).EnforceIAM(ctx, true))
			defer func() { must(t, account(t).EnforceIAM(context.Background(), false)) }()
			must(t, deploy(t, stack, "Access: "+role+", Buckets: ["+sandbox.SourceBucket+"]"))
			signaturesCount(t)
			client := issuedKey(t, outputs(t, stack)["SecretName"])
			for name, call := range calls {
				for _, bucket := range []string{sandbox.SourceBucket, sandbox.SecondBucket} {
					err := call(ctx, client, bucket)
					var api smithy.APIError
					denied := errors.As(err, &api) && api.ErrorCode() == "AccessDenied"
					switch want := bucket == sandbox.SourceBucket && slices.Contains(allowed, name); {
					case want && err != nil:
						t.Errorf("%s may not %s on %s: %v", role, name, bucket, err)
					case !want && !denied:
						t.Errorf("%s was not refused %s on %s: %v", role, name, bucket, err)
					}
				}
			}
			remove(t, stack)
			empty(t)
		})
	}
}

// guide is the guide's table.
var guide = map[string][]string{
	"Source":      {"s3:ListBucket BUCKET", "s3:GetBucketLocation BUCKET", "s3:GetObject BUCKET/", "s3:GetObjectVersion BUCKET/"},
	"Destination": {"s3:ListBucket BUCKET", "s3:GetBucketLocation BUCKET", "s3:PutObject BUCKET/", "s3:PutObjectAcl BUCKET/", "s3:AbortMultipartUpload BUCKET/", "s3:ListMultipartUploadParts BUCKET/"},
}

// signaturesCount: the administrator's requests are taken, also one that has neither a
// body nor a query, and the same request with another secret is refused.
func signaturesCount(t *testing.T) {
	t.Helper()
	function := []string{"lambda", "get-function", "--function-name", sandbox.ProviderStack}
	if _, err := command(t, function...); err != nil {
		t.Errorf("the administrator may not read a function: %v", err)
	}
	if _, err := account(t).AWSWith(ctxOf(t), []string{"AWS_SECRET_ACCESS_KEY=other"}, function...); err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
		t.Errorf("a request with another secret: %v", err)
	}
}

// An IAM evaluator that is not ours judges the policies that are attached, on
// every action of four services, with and without the template's boundary.
func TestOracleAgreesWithTheGuide(t *testing.T) {
	own(t)
	boundary := templateBoundary(t)
	for _, roles := range [][]string{{"Source"}, {"Destination"}, {"Source", "Destination"}} {
		stack := "oracle-" + strings.ToLower(strings.Join(roles, "-"))
		buckets := []string{sandbox.SourceBucket, sandbox.DestinationBucket}
		must(t, deploy(t, stack, fmt.Sprintf("Access: [%s], Buckets: [%s]", strings.Join(roles, ","), strings.Join(buckets, ","))))
		documents, err := account(t).Documents(ctxOf(t), outputs(t, stack)["UserName"])
		must(t, err)
		var want []string
		for _, role := range roles {
			for _, line := range guide[role] {
				for _, bucket := range buckets {
					arn := "arn:aws:s3:::" + bucket
					switch action, level, _ := strings.Cut(line, " "); level {
					case "BUCKET":
						want = append(want, action+" "+arn)
					default:
						want = append(want, action+" "+arn+"/key", action+" "+arn+"/deep/key")
					}
				}
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		for _, limit := range []json.RawMessage{nil, boundary} {
			asked, got := oracle(t, documents, limit, buckets)
			if !slices.Equal(got, want) {
				t.Errorf("%v: the oracle allows\n%s\nthe guide\n%s", roles, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if asked < 1000 {
				t.Errorf("only %d pairs were asked", asked)
			}
		}
		remove(t, stack)
		empty(t)
	}
}

// oracle asks the evaluator for everything that the documents allow.
func oracle(t *testing.T, documents []string, boundary json.RawMessage, buckets []string) (asked int, allowed []string) {
	t.Helper()
	input := map[string]any{
		"account": sandbox.Account, "user": "arn:aws:iam::" + sandbox.Account + ":user/cloney/us-east-1/user",
		"services": []string{"s3", "iam", "secretsmanager", "kms"}, "boundary": boundary,
	}
	var policies, bucketARNs, objectARNs []any
	for _, document := range documents {
		policies = append(policies, json.RawMessage(document))
	}
	for _, bucket := range append([]string{"another-bucket", buckets[0] + "-2"}, buckets...) {
		arn := "arn:aws:s3:::" + bucket
		bucketARNs = append(bucketARNs, arn)
		objectARNs = append(objectARNs, arn+"/key", arn+"/deep/key")
	}
	input["documents"], input["resources"] = policies, map[string]any{"bucket": bucketARNs, "object": objectARNs}
	text, err := json.Marshal(input)
	must(t, err)
	root, err := filepath.Abs("../..")
	must(t, err)
	command := exec.CommandContext(ctxOf(t), filepath.Join(root, ".tools/venv/bin/node"), filepath.Join(root, ".tools/oracle/oracle.mjs"))
	command.Stdin, command.Stderr = strings.NewReader(string(text)), os.Stderr
	out, err := command.Output()
	must(t, err)
	var output struct {
		Asked   int
		Allowed []string
	}
	must(t, json.Unmarshal(out, &output))
	slices.Sort(output.Allowed)
	return output.Asked, slices.Compact(output.Allowed)
}

// templateBoundary is the permissions boundary as the provider's stack made it.
func templateBoundary(t *testing.T) json.RawMessage {
	t.Helper()
	values, err := account(t).Outputs(ctxOf(t), sandbox.ProviderStack)
	must(t, err)
	version, err := iam.NewFromConfig(account(t).Config()).GetPolicyVersion(ctxOf(t), &iam.GetPolicyVersionInput{PolicyArn: aws.String(values["UserBoundaryArn"]), VersionId: aws.String("v1")})
	must(t, err)
	text, err := url.PathUnescape(aws.ToString(version.PolicyVersion.Document))
	must(t, err)
	return json.RawMessage(text)
}
