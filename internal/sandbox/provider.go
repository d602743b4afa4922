package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Buckets of a sandbox, for the events and the demo. Responses holds what the
// events' ResponseURLs are answered with.
const (
	SourceBucket      = "cloney-sandbox-source"
	SecondBucket      = "cloney-sandbox-source-2"
	DestinationBucket = "cloney-sandbox-destination"
	ResponsesBucket   = "cloney-responses"
	artifactsBucket   = "cloney-sandbox-artifacts"
)

// ProviderStack is the name of the provider's own stack.
const ProviderStack = "cloney-s3-credentials"

// Object is in each of the source buckets.
const Object = "holiday.jpg"

// MakeBuckets makes the buckets that events and demo name.
func (s *Sandbox) MakeBuckets(ctx context.Context) error {
	client := s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	for _, bucket := range []string{SourceBucket, SecondBucket, DestinationBucket, ResponsesBucket, artifactsBucket} {
		if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			return fmt.Errorf("making bucket %s: %w", bucket, err)
		}
	}
	for _, bucket := range []string{SourceBucket, SecondBucket} {
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(Object), Body: strings.NewReader("sun and sea")}); err != nil {
			return fmt.Errorf("filling bucket %s: %w", bucket, err)
		}
	}
	return nil
}

// DeployProvider deploys our own template: what `sam build` made is packaged
// and deployed by the real AWS CLI, after SAM's own translator has made plain
// CloudFormation of it.
func (s *Sandbox) DeployProvider(ctx context.Context, parameters ...string) error {
	dir, err := os.MkdirTemp("", "cloney-sandbox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	packaged, plain := filepath.Join(dir, "packaged.yaml"), filepath.Join(dir, "plain.json")
	if _, err := s.AWS(ctx, "cloudformation", "package", "--s3-bucket", artifactsBucket,
		"--template-file", s.template(), "--output-template-file", packaged); err != nil {
		return err
	}
	text, err := run(ctx, s.root, s.Env(), s.tool("python"), filepath.Join(s.root, "internal/sandbox/translate.py"), packaged)
	if err != nil {
		return fmt.Errorf("translating the template: %w", err)
	}
	if err := os.WriteFile(plain, []byte(text), 0o600); err != nil {
		return err
	}
	return s.Deploy(ctx, ProviderStack, plain, append([]string{"--capabilities", "CAPABILITY_IAM"}, parameters...)...)
}
