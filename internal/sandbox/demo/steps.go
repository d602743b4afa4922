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
	"cloney-s3-credentials/internal/screen"
)

const (
	migration = "demo-migration"
	object    = sandbox.Object
	body      = "template.yaml" // any small file will do
)

func (d *demo) start(ctx context.Context) (string, error) {
	d.screen.Doing("starting moto, the functions and the AWS CLI")
	var failed [2]error
	var wait sync.WaitGroup
	wait.Go(func() { d.s, failed[0] = sandbox.Start(ctx, sandbox.Options{Root: "."}) })
	wait.Go(func() { d.cli, failed[1] = sandbox.StartCLI(ctx, ".") })
	wait.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return "", err
	}
	d.s.UseCLI(d.cli)
	d.screen.Line(screen.Plain, "  ", "moto, Lambda's runtime emulator, the functions and the AWS CLI run")
	d.screen.Doing("making the buckets")
	if err := d.s.MakeBuckets(ctx); err != nil {
		return "", err
	}
	d.screen.Line(screen.Plain, "  ", "the buckets exist: "+strings.Join([]string{sandbox.SourceBucket, sandbox.SecondBucket, sandbox.DestinationBucket}, ", "))
	// From here on moto asks IAM whether a key may do what it does.
	if err := d.s.EnforceIAM(ctx, true); err != nil {
		return "", err
	}
	return "a local AWS at " + d.s.Endpoint + ", which enforces IAM's policies", nil
}

func (d *demo) provider(ctx context.Context) (string, error) {
	d.screen.Doing("CloudFormation creates the provider's stack")
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

// undeployed is a stack whose deployment failed, and the events that say why.
type undeployed struct{ stack, events string }

func (u undeployed) Error() string { return "stack " + u.stack + ": " + u.events }

// first is what the last event says, which names the resource that failed: the
// resource's name, and CloudFormation's reason.
func (u undeployed) first() (resource, reason string) {
	event, _, _ := strings.Cut(u.events, "\n")
	resource, reason, _ = strings.Cut(event, "\t")
	return resource, reason
}

// cloudformation deploys a stack by the AWS CLI. When that fails, the error is what the
// stack's events say; what the CLI says of it, where there are no such events.
func (d *demo) cloudformation(ctx context.Context, stack, template string, parameters ...string) error {
	arguments := []string{"cloudformation", "deploy", "--stack-name", stack, "--template-file", template}
	if len(parameters) > 0 {
		arguments = append(append(arguments, "--parameter-overrides"), parameters...)
	}
	d.screen.Doing("aws cloudformation deploy --stack-name " + stack)
	_, err := d.s.AWS(ctx, arguments...)
	if err == nil {
		return nil
	}
	if events := d.s.Failures(ctx, stack); events != "" {
		return undeployed{stack, events}
	}
	return err
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
		for i, text := range documents {
			d.screen.Line(screen.Plain, "  ", fmt.Sprintf("policy %d of user %s:", i+1, userOf(secret)))
			d.screen.JSON(screen.Faint, "  ", text)
		}
	}
	return "these permissions, on the named buckets, and no others", nil
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
	d.screen.Doing("aws secretsmanager get-secret-value, and aws sts get-caller-identity with the keys")
	var config strings.Builder
	for profile, name := range map[string]string{"source": d.keys["SourceSecretName"], "destination": d.keys["DestinationSecretName"]} {
		fmt.Fprintf(&config, "[profile %s]\ncredential_process = %s secretsmanager get-secret-value --secret-id %s --query SecretString --output text\n",
			profile, d.s.CLI(), name)
	}
	if err := os.WriteFile(d.profile, []byte(config.String()), 0o600); err != nil {
		return "", err
	}
	return "the AWS CLI takes both keys from credential_process as they are stored", errors.Join(
		d.take(ctx, "source", d.keys["SourceSecretName"]), d.take(ctx, "destination", d.keys["DestinationSecretName"]))
}

// take shows what a secret holds. It also has the AWS CLI take the key through
// credential_process, and say which user the key belongs to.
func (d *demo) take(ctx context.Context, profile, secret string) error {
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
		return fmt.Errorf("the key in secret %s belongs to %s", secret, who)
	}
	d.held[profile] = key
	d.screen.Line(screen.Plain, "  ", secret+":")
	d.screen.JSON(screen.Faint, "  ", fmt.Sprintf(`{"Version": %d, "AccessKeyId": %q, "SecretAccessKey": "********"}`, key.Version, key.AccessKeyID))
	return nil
}

// as runs the AWS CLI with a key.
func (d *demo) as(ctx context.Context, key stored, arguments ...string) error {
	_, err := d.s.AWSWith(ctx, []string{"AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey}, arguments...)
	return err
}

// use is one call of the AWS CLI with an issued key, and whether S3 has to allow it.
type use struct {
	allowed   bool
	what      string
	arguments []string
}

func may(what string, arguments ...string) use    { return use{true, what, arguments} }
func mayNot(what string, arguments ...string) use { return use{false, what, arguments} }

// tries makes the calls side by side, and shows each as soon as it and those before it
// are made.
func (d *demo) tries(ctx context.Context, profile string, uses ...use) error {
	d.screen.Doing("the AWS CLI uses the " + profile + " key")
	made := make([]chan error, len(uses))
	for i, u := range uses {
		made[i] = make(chan error, 1)
		go func() { made[i] <- d.try(ctx, profile, u) }()
	}
	var failed []error
	for i, u := range uses {
		err := <-made[i]
		failed = append(failed, err)
		if err == nil {
			d.verdict(u)
		}
	}
	return errors.Join(failed...)
}

// verdict shows by a sign, by words and by color whether a key may do something.
func (d *demo) verdict(u use) {
	if u.allowed {
		d.screen.Line(screen.Green, "  ✓ may      ", u.what)
		return
	}
	d.screen.Line(screen.Red, "  ✗ may not  ", u.what+": AccessDenied")
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
	return "as Cloney needs it, and no more", d.tries(ctx, "source",
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
	return "as Cloney needs it, and no more", d.tries(ctx, "destination",
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
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	var u undeployed
	if !errors.As(failed, &u) {
		return "", failed
	}
	resource, reason := u.first()
	d.screen.Line(screen.Plain, "  ", "CloudFormation's event for resource "+resource+":")
	d.screen.Line(screen.Yellow, "    ", reason)
	after, err := d.s.Documents(ctx, userOf(d.keys["SourceSecretName"]))
	if err != nil {
		return "", err
	}
	if !slices.Equal(before, after) {
		return "", fmt.Errorf("the policy has changed: %s", after)
	}
	return "the policy and the key have not changed", d.sameKeys(ctx)
}

func (d *demo) newKeys(ctx context.Context) (string, error) {
	previous := d.held["source"]
	if err := d.deploy(ctx, sandbox.SourceBucket+","+sandbox.SecondBucket, "2"); err != nil {
		return "", err
	}
	outputs, err := d.s.Outputs(ctx, migration)
	if err != nil {
		return "", err
	}
	if outputs["SourceAccessKeyId"] == previous.AccessKeyID {
		return "", errors.New("the key has not changed")
	}
	d.keys = outputs
	if err := d.as(ctx, previous, "s3api", "list-objects-v2", "--bucket", sandbox.SourceBucket); err != nil {
		return "", fmt.Errorf("the previous key does not work any more: %w", err)
	}
	if d.held["source"], err = d.read(ctx, outputs["SourceSecretName"]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is current, %s still works", outputs["SourceAccessKeyId"], previous.AccessKeyID),
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
	return "both stacks are complete", errors.Join(failed[:]...)
}

func (d *demo) remove(ctx context.Context) (string, error) {
	before, err := d.s.Inventory(ctx)
	if err != nil {
		return "", err
	}
	for _, stack := range []string{migration, "demo-source", "demo-destination", rotation} {
		d.screen.Doing("CloudFormation deletes stack " + stack)
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
