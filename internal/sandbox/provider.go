package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/release/published"
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
		if err := MakeBucket(ctx, client, bucket); err != nil {
			return err
		}
	}
	for _, bucket := range []string{SourceBucket, SecondBucket} {
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(Object), Body: strings.NewReader("sun and sea")}); err != nil {
			return fmt.Errorf("filling bucket %s: %w", bucket, err)
		}
	}
	return nil
}

// codeKey is where the provider's code is in the bucket of artifacts. moto looks
// whether it is there, and runs it nowhere: the emulator has the bootstrap.
const codeKey = "provider.zip"

// DeployProvider deploys our own template as `sam build` made it, after SAM's own
// translator has made plain CloudFormation of it. Parameters are NAME=VALUE.
func (s *Sandbox) DeployProvider(ctx context.Context, parameters ...string) error {
	client := s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(artifactsBucket), Key: aws.String(codeKey), Body: strings.NewReader("not run")}); err != nil {
		return fmt.Errorf("uploading the provider's code: %w", err)
	}
	return s.deployTranslated(ctx, s.Stacks, artifactsBucket, parameters...)
}

// DeployProviderIn does the same in another account and region, where functions
// run their own code (Options.OwnFunctions): with a bucket of that account, as
// `sam deploy` makes one.
func (s *Sandbox) DeployProviderIn(ctx context.Context, account, region string, parameters ...string) error {
	config, err := s.ConfigIn(ctx, account, region)
	if err != nil {
		return err
	}
	bootstrap, err := os.ReadFile(s.bootstrap())
	if err != nil {
		return err
	}
	code, err := published.Zip(bootstrap)
	if err != nil {
		return err
	}
	bucket := "sam-" + account + "-" + region
	client := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	if err := MakeBucket(ctx, client, bucket); err != nil {
		return err
	}
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(codeKey), Body: bytes.NewReader(code)}); err != nil {
		return fmt.Errorf("uploading the provider's code: %w", err)
	}
	return s.deployTranslated(ctx, StacksOf(config), bucket, append(parameters, "Architecture="+Arch())...)
}

func (s *Sandbox) deployTranslated(ctx context.Context, stacks Stacks, bucket string, parameters ...string) error {
	text, err := s.translated(ctx, bucket)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cloney-sandbox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	plain := filepath.Join(dir, "plain.json")
	if err := os.WriteFile(plain, []byte(text), 0o600); err != nil {
		return err
	}
	return stacks.Deploy(ctx, ProviderStack, plain, parameters...)
}

// translations are plain CloudFormation by the text that they are of and the
// bucket: what takes a second is done once for all sandboxes of a process.
var translations = struct {
	sync.Mutex
	of map[string]string
}{of: map[string]string{}}

func (s *Sandbox) translated(ctx context.Context, bucket string) (string, error) {
	translations.Lock()
	defer translations.Unlock()
	template, err := os.ReadFile(s.template())
	if err != nil {
		return "", fmt.Errorf("translating the template: %w", err)
	}
	if text, ok := translations.of[bucket+string(template)]; ok {
		return text, nil
	}
	text, err := run(ctx, s.root, s.Env(), s.tool("python"), filepath.Join(s.root, "internal/sandbox/translate.py"), s.template(), "s3://"+bucket+"/"+codeKey)
	if err != nil {
		return "", fmt.Errorf("translating the template: %w", err)
	}
	translations.of[bucket+string(template)] = text
	return text, nil
}
