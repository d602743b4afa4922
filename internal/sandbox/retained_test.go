package sandbox_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/sandbox"
)

// RetainExceptOnCreate: a first deployment that fails leaves nothing behind, and
// a stack that was complete and is deleted does.
func TestRetainExceptOnCreate(t *testing.T) {
	own(t)
	config := account(t).Config()
	stacks := sandbox.StacksOf(config)
	client := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	const bucket = "Resources:\n  Bucket: {Type: AWS::S3::Bucket, DeletionPolicy: RetainExceptOnCreate, Properties: {BucketName: retained-except}}\n"
	const fails = "  Fails: {Type: Custom::Any, DependsOn: Bucket, Properties: {ServiceToken: !ImportValue nobody-exports-this}}\n"
	there := func() bool {
		_, err := client.HeadBucket(ctxOf(t), &s3.HeadBucketInput{Bucket: aws.String("retained-except")})
		return err == nil
	}
	file := filepath.Join(t.TempDir(), "stack.yaml")
	must(t, os.WriteFile(file, []byte(bucket+fails), 0o600))
	if err := stacks.Deploy(ctxOf(t), "retained-fails", file); err == nil {
		t.Error("the stack that cannot be made is made")
	}
	if there() {
		t.Error("a creation that failed leaves its bucket")
	}
	must(t, os.WriteFile(file, []byte(bucket), 0o600))
	must(t, stacks.Deploy(ctxOf(t), "retained", file))
	must(t, stacks.DeleteStack(ctxOf(t), "retained"))
	if !there() {
		t.Error("the bucket went with its stack")
	}
	_, err := client.DeleteBucket(ctxOf(t), &s3.DeleteBucketInput{Bucket: aws.String("retained-except")})
	must(t, err)
	must(t, stacks.DeleteStack(ctxOf(t), "retained-fails"))
}
