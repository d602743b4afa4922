package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"cloney-s3-credentials/internal/sandbox"
)

const (
	migration = "demo-migration"
	object    = sandbox.Object
	body      = "template.yaml" // any small file will do
)

func (d *demo) start(ctx context.Context) (string, error) {
	var err error
	if d.s, err = sandbox.Start(ctx, sandbox.Options{Root: "."}); err != nil {
		return "", err
	}
	if err := errors.Join(d.s.LoadCLI(ctx), d.s.MakeBuckets(ctx)); err != nil {
		return "", err
	}
	// From here on moto asks IAM whether a key may do what it does.
	if err := d.s.EnforceIAM(ctx, true); err != nil {
		return "", err
	}
	return "moto, Lambda's runtime emulator and the bootstraps run at " + d.s.Endpoint, nil
}

func (d *demo) provider(ctx context.Context) (string, error) {
	if err := d.s.DeployProvider(ctx); err != nil {
		return "", err
	}
	outputs, err := d.s.Outputs(ctx, sandbox.ProviderStack)
	return "ServiceToken " + outputs["ServiceToken"], err
}

// deploy deploys the migration with these source buckets and this Serial.
func (d *demo) deploy(ctx context.Context, sources, serial string) error {
	return d.cloudformation(ctx, migration, "examples/migration.yaml",
		"SourceBucketNames="+sources, "DestinationBucketNames="+sandbox.DestinationBucket, "Serial="+serial)
}

// cloudformation deploys a stack by the AWS CLI. When it fails, the error is
// what the stack's events say.
func (d *demo) cloudformation(ctx context.Context, stack, template string, parameters ...string) error {
	arguments := []string{"cloudformation", "deploy", "--stack-name", stack, "--template-file", template}
	if len(parameters) > 0 {
		arguments = append(append(arguments, "--parameter-overrides"), parameters...)
	}
	_, err := d.s.AWS(ctx, arguments...)
	if err != nil {
		return fmt.Errorf("%s: %w", d.s.Failures(ctx, stack), err)
	}
	return nil
}

func (d *demo) migration(ctx context.Context) (string, error) {
	if err := d.deploy(ctx, sandbox.SourceBucket, "1"); err != nil {
		return "", err
	}
	outputs, err := d.s.Outputs(ctx, migration)
	if err != nil {
		return "", err
	}
	d.keys = outputs
	return fmt.Sprintf("keys %s and %s", outputs["SourceAccessKeyId"], outputs["DestinationAccessKeyId"]), nil
}

// userOf is the user of a secret: the part of its name after cloney/.
func userOf(secret string) string { return strings.TrimPrefix(secret, "cloney/") }

func (d *demo) policies(ctx context.Context) (string, error) {
	for _, secret := range []string{d.keys["SourceSecretName"], d.keys["DestinationSecretName"]} {
		documents, err := d.s.Documents(ctx, userOf(secret))
		if err != nil {
			return "", err
		}
		for _, text := range documents {
			fmt.Println("  " + strings.ReplaceAll(text, `{"Sid"`, "\n    "+`{"Sid"`))
		}
	}
	return "the guide's permissions, on the named buckets", nil
}

// stored is what a secret holds.
type stored struct {
	Version         int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
}

// read reads a secret as a user does.
func (d *demo) read(ctx context.Context, secret string) (stored, error) {
	value, err := d.s.AWS(ctx, "secretsmanager", "get-secret-value", "--secret-id", secret, "--query", "SecretString", "--output", "text")
	if err != nil {
		return stored{}, err
	}
	var key stored
	if err := json.Unmarshal([]byte(value), &key); err != nil {
		return stored{}, errors.New("the secret's value is not JSON")
	}
	return key, nil
}

func (d *demo) secrets(ctx context.Context) (string, error) {
	var config strings.Builder
	for profile, name := range map[string]string{"source": d.keys["SourceSecretName"], "destination": d.keys["DestinationSecretName"]} {
		fmt.Fprintf(&config, "[profile %s]\ncredential_process = %s secretsmanager get-secret-value --secret-id %s --query SecretString --output text\n",
			profile, d.s.CLI(), name)
	}
	if err := os.WriteFile(d.profile, []byte(config.String()), 0o600); err != nil {
		return "", err
	}
	return "the AWS CLI takes both from credential_process, as they stand", errors.Join(
		d.show(ctx, "source", d.keys["SourceSecretName"]), d.show(ctx, "destination", d.keys["DestinationSecretName"]))
}

// show shows what a secret holds, and has the AWS CLI say who its key is, which
// it takes through credential_process.
func (d *demo) show(ctx context.Context, profile, secret string) error {
	var key stored
	var who string
	var failed [2]error
	var wait sync.WaitGroup
	wait.Go(func() { key, failed[0] = d.read(ctx, secret) })
	wait.Go(func() {
		who, failed[1] = d.s.AWSWith(ctx, []string{"AWS_CONFIG_FILE=" + d.profile}, "sts", "get-caller-identity", "--query", "Arn", "--output", "text", "--profile", profile)
	})
	wait.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}
	if !strings.HasSuffix(strings.TrimSpace(who), "/"+userOf(secret)) {
		return fmt.Errorf("the key in %s is of %s", secret, who)
	}
	d.held[profile] = key
	fmt.Printf("  %s: {\"Version\": %d, \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"********\"}\n", secret, key.Version, key.AccessKeyID)
	return nil
}

// as runs the AWS CLI with a key.
func (d *demo) as(ctx context.Context, key stored, arguments ...string) error {
	_, err := d.s.AWSWith(ctx, []string{"AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey}, arguments...)
	return err
}

// use is one call of the AWS CLI with an issued key, and what is to come of it.
type use struct {
	allowed   bool
	what      string
	arguments []string
}

func may(what string, arguments ...string) use    { return use{true, what, arguments} }
func mayNot(what string, arguments ...string) use { return use{false, what, arguments} }

// tries makes the calls side by side, and shows each in its turn as soon as it is
// made.
func (d *demo) tries(ctx context.Context, profile string, uses ...use) error {
	made := make([]chan error, len(uses))
	for i, u := range uses {
		made[i] = make(chan error, 1)
		go func() { made[i] <- d.try(ctx, profile, u) }()
	}
	var failed []error
	for i, u := range uses {
		err := <-made[i]
		failed = append(failed, err)
		if verb := map[bool]string{true: "may", false: "may not"}[u.allowed]; err == nil {
			fmt.Printf("  %-8s %s\n", verb, u.what)
		}
	}
	return errors.Join(failed...)
}

func (d *demo) try(ctx context.Context, profile string, u use) error {
	err := d.as(ctx, d.held[profile], u.arguments...)
	switch {
	case u.allowed && err != nil:
		return fmt.Errorf("the %s key should %s: %w", profile, u.what, err)
	case !u.allowed && err == nil:
		return fmt.Errorf("the %s key should not %s", profile, u.what)
	case !u.allowed && !strings.Contains(err.Error(), "AccessDenied"):
		return fmt.Errorf("the %s key was not refused but failed to %s: %w", profile, u.what, err)
	}
	return nil
}

func (d *demo) source(ctx context.Context) (string, error) {
	b := sandbox.SourceBucket
	return "as the guide says", d.tries(ctx, "source",
		may("list the bucket", "s3api", "list-objects-v2", "--bucket", b),
		may("find its region", "s3api", "get-bucket-location", "--bucket", b),
		may("read an object", "s3api", "get-object", "--bucket", b, "--key", object, os.DevNull),
		mayNot("write an object", "s3api", "put-object", "--bucket", b, "--key", "new", "--body", body),
		mayNot("delete an object", "s3api", "delete-object", "--bucket", b, "--key", object),
		mayNot("read another bucket", "s3api", "get-object", "--bucket", sandbox.SecondBucket, "--key", object, os.DevNull),
	)
}

func (d *demo) destination(ctx context.Context) (string, error) {
	b := sandbox.DestinationBucket
	return "as the guide says", d.tries(ctx, "destination",
		may("list the bucket", "s3api", "list-objects-v2", "--bucket", b),
		may("write an object", "s3api", "put-object", "--bucket", b, "--key", object, "--body", body),
		may("write a large object in parts", "s3", "cp", "--only-show-errors", ".tools/bin/provider", "s3://"+b+"/large"),
		mayNot("read an object", "s3api", "get-object", "--bucket", b, "--key", object, os.DevNull),
		mayNot("delete an object", "s3api", "delete-object", "--bucket", b, "--key", object),
		mayNot("list the source", "s3api", "list-objects-v2", "--bucket", sandbox.SourceBucket),
	)
}

// sameKeys fails if the stack's keys are not those of before.
func (d *demo) sameKeys(ctx context.Context) error {
	outputs, err := d.s.Outputs(ctx, migration)
	if err != nil {
		return err
	}
	for name, value := range d.keys {
		if outputs[name] != value {
			return fmt.Errorf("%s was %s and is %s", name, value, outputs[name])
		}
	}
	return nil
}

func (d *demo) addBucket(ctx context.Context) (string, error) {
	if err := d.deploy(ctx, sandbox.SourceBucket+","+sandbox.SecondBucket, "1"); err != nil {
		return "", err
	}
	return "the same key reads both buckets", errors.Join(
		d.sameKeys(ctx),
		d.tries(ctx, "source", may("read the second bucket", "s3api", "get-object", "--bucket", sandbox.SecondBucket, "--key", object, os.DevNull)))
}

func (d *demo) failingUpdate(ctx context.Context) (string, error) {
	before, err := d.s.Documents(ctx, userOf(d.keys["SourceSecretName"]))
	if err != nil {
		return "", err
	}
	failed := d.deploy(ctx, sandbox.SourceBucket+",cloney-sandbox-missing", "1")
	if failed == nil {
		return "", errors.New("the update succeeded")
	}
	reason, _, _ := strings.Cut(failed.Error(), "\n")
	fmt.Println("  " + reason)
	after, err := d.s.Documents(ctx, userOf(d.keys["SourceSecretName"]))
	if err != nil {
		return "", err
	}
	if !slices.Equal(before, after) {
		return "", fmt.Errorf("the policy is not as before: %s", after)
	}
	return "the policy and the key are as before", d.sameKeys(ctx)
}

func (d *demo) newKeys(ctx context.Context) (string, error) {
	former := d.held["source"]
	if err := d.deploy(ctx, sandbox.SourceBucket+","+sandbox.SecondBucket, "2"); err != nil {
		return "", err
	}
	outputs, err := d.s.Outputs(ctx, migration)
	if err != nil {
		return "", err
	}
	if outputs["SourceAccessKeyId"] == former.AccessKeyID {
		return "", errors.New("the key is the same")
	}
	d.keys = outputs
	if err := d.as(ctx, former, "s3api", "list-objects-v2", "--bucket", sandbox.SourceBucket); err != nil {
		return "", fmt.Errorf("the former key was cut off: %w", err)
	}
	if d.held["source"], err = d.read(ctx, outputs["SourceSecretName"]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is current, %s still works", outputs["SourceAccessKeyId"], former.AccessKeyID),
		d.tries(ctx, "source", may("read with the new key", "s3api", "get-object", "--bucket", sandbox.SourceBucket, "--key", object, os.DevNull))
}

func (d *demo) others(ctx context.Context) (string, error) {
	var failed [2]error
	var wait sync.WaitGroup
	wait.Go(func() {
		failed[0] = d.cloudformation(ctx, "demo-source", "examples/source.yaml", "BucketNames="+sandbox.SourceBucket)
	})
	wait.Go(func() { failed[1] = d.cloudformation(ctx, "demo-destination", "examples/destination.yaml") })
	wait.Wait()
	return "both complete", errors.Join(failed[:]...)
}

func (d *demo) remove(ctx context.Context) (string, error) {
	before, err := d.s.Inventory(ctx)
	if err != nil {
		return "", err
	}
	for _, stack := range []string{migration, "demo-source", "demo-destination", rotation} {
		if err := d.s.DeleteStack(ctx, stack); err != nil {
			return "", err
		}
	}
	left, err := d.s.Inventory(ctx)
	if err != nil {
		return "", err
	}
	if len(left) > 0 {
		return "", fmt.Errorf("left in the account: %s", strings.Join(left, ", "))
	}
	return fmt.Sprintf("users, keys, policies and secrets in the account: %d before, 0 now", len(before)), d.s.DeleteStack(ctx, sandbox.ProviderStack)
}
