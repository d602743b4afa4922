package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/release/published"
)

// Buckets of a sandbox, for the events and the demo. ResponsesBucket holds the
// responses to the events.
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

// Buckets are those of a sandbox, with what each holds.
var Buckets = []struct{ Name, Holds string }{
	{SourceBucket, "to read from: " + Object},
	{SecondBucket, "to read from: " + Object},
	{DestinationBucket, "to write to, empty"},
	{ResponsesBucket, "the responses to events/*.json"},
	{artifactsBucket, "the code of the functions"},
}

// MakeBuckets creates the buckets.
func (s *Sandbox) MakeBuckets(ctx context.Context) error {
	client := s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	for _, bucket := range Buckets {
		if err := MakeBucket(ctx, client, bucket.Name); err != nil {
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

// codeKey is where translate.py says that a function's code is in the bucket of
// artifacts.
func codeKey(logical string) string { return logical + ".zip" }

// anyBucket is what the owner of a sandbox answers where the template asks and has no
// default. Its functions, which are there before their stack, ask for no list either
// (functionEnv).
const anyBucket = "AllowedBuckets=*"

// DeployProvider deploys our own template as `sam build` made it, after SAM's own
// translator has made plain CloudFormation of it. Parameters are NAME=VALUE; all
// others have the template's defaults, and AllowedBuckets is *.
func (s *Sandbox) DeployProvider(ctx context.Context, parameters ...string) error {
	// moto looks whether the code is there, and runs it nowhere: the emulators have the
	// bootstraps.
	code := func(string) ([]byte, error) { return []byte("not run"), nil }
	if err := upload(ctx, s.Config(), artifactsBucket, code); err != nil {
		return err
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
	bucket := "sam-" + account + "-" + region
	client := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	if err := MakeBucket(ctx, client, bucket); err != nil {
		return err
	}
	code := func(logical string) ([]byte, error) {
		bootstrap, err := os.ReadFile(s.bootstrap(logical))
		if err != nil {
			return nil, err
		}
		return zipped(bootstrap)
	}
	if err := upload(ctx, config, bucket, code); err != nil {
		return err
	}
	return s.deployTranslated(ctx, StacksOf(config), bucket, append(parameters, "Architecture="+Arch())...)
}

// zips are functions' code by the digest of the bootstrap: compressing takes half a second,
// and is done once for all deployments of a process.
var zips = struct {
	sync.Mutex
	of map[[sha256.Size]byte][]byte
}{of: map[[sha256.Size]byte][]byte{}}

func zipped(bootstrap []byte) ([]byte, error) {
	zips.Lock()
	defer zips.Unlock()
	digest := sha256.Sum256(bootstrap)
	if code, ok := zips.of[digest]; ok {
		return code, nil
	}
	code, err := published.Zip(bootstrap)
	if err == nil {
		zips.of[digest] = code
	}
	return code, err
}

// upload puts the code of each function into a bucket.
func upload(ctx context.Context, config aws.Config, bucket string, code func(logical string) ([]byte, error)) error {
	client := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	for logical := range functionNames {
		body, err := code(logical)
		if err != nil {
			return err
		}
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(codeKey(logical)), Body: bytes.NewReader(body)}); err != nil {
			return fmt.Errorf("uploading the provider's code: %w", err)
		}
	}
	return nil
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
	return stacks.Deploy(ctx, ProviderStack, plain, answered(parameters)...)
}

// answered are parameters, and anyBucket where they say nothing else of the buckets.
func answered(parameters []string) []string {
	for _, parameter := range parameters {
		if strings.HasPrefix(parameter, "AllowedBuckets=") {
			return parameters
		}
	}
	return append([]string{anyBucket}, parameters...)
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
	text, err := run(ctx, s.root, s.Env(), s.tool("python"), filepath.Join(s.root, "internal/sandbox/translate.py"), s.template(), "s3://"+bucket)
	if err != nil {
		return "", fmt.Errorf("translating the template: %w", err)
	}
	translations.of[bucket+string(template)] = text
	return text, nil
}
