package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloney-s3-credentials/internal/sandbox"
)

const rotation = "demo-rotation"

// rotated is a secret with the key that it held first.
type rotated struct {
	secret string
	former stored
}

func (d *demo) rotate(ctx context.Context) (string, error) {
	if err := d.cloudformation(ctx, rotation, "examples/rotation.yaml", "BucketName="+sandbox.SourceBucket); err != nil {
		return "", err
	}
	outputs, err := d.s.Outputs(ctx, rotation)
	if err != nil {
		return "", err
	}
	d.rotated.secret = outputs["SecretName"]
	if d.rotated.former, err = d.read(ctx, d.rotated.secret); err != nil {
		return "", err
	}
	// Secrets Manager first tries the function that it was told of. Meanwhile it refuses
	// to rotate.
	if _, err := d.s.Rotations(ctx); err != nil {
		return "", err
	}
	fmt.Printf("  $ aws secretsmanager rotate-secret --secret-id %s\n", d.rotated.secret)
	if _, err := d.s.AWS(ctx, "secretsmanager", "rotate-secret", "--secret-id", d.rotated.secret); err != nil {
		return "", err
	}
	rotations, err := d.s.Rotations(ctx)
	if err != nil {
		return "", err
	}
	last := rotations[len(rotations)-1]
	if last.Error != "" {
		return "", errors.New(last.Error)
	}
	fmt.Printf("  Secrets Manager had the rotator do %s\n", strings.Join(last.Steps, ", "))
	now, err := d.read(ctx, d.rotated.secret)
	if err != nil {
		return "", err
	}
	if now == d.rotated.former {
		return "", errors.New("the key is the same")
	}
	list := []string{"s3api", "list-objects-v2", "--bucket", sandbox.SourceBucket}
	return fmt.Sprintf("%s is current, %s still works", now.AccessKeyID, d.rotated.former.AccessKeyID),
		errors.Join(d.as(ctx, now, list...), d.as(ctx, d.rotated.former, list...), d.people(ctx))
}

// people shows what the topic was told last.
func (d *demo) people(ctx context.Context) error {
	told, err := d.s.Told(ctx)
	if err != nil {
		return err
	}
	if len(told.Messages) == 0 {
		return errors.New("nobody was told")
	}
	last := told.Messages[len(told.Messages)-1]
	fmt.Printf("  People read: %s\n    %s\n", last.Subject, strings.ReplaceAll(strings.TrimSpace(last.Text), "\n", "\n    "))
	return nil
}

// retire lets more than the grace pass twice, as what IAM has noted says.
func (d *demo) retire(ctx context.Context) (string, error) {
	const overTheGrace = 15 // days: RotationGraceDays is 14 there
	user, former := userOf(d.rotated.secret), d.rotated.former
	states := []string{"Inactive", "deleted"}
	for _, want := range states {
		if err := errors.Join(d.s.Elapse(ctx, overTheGrace), d.s.Sweep(ctx)); err != nil {
			return "", err
		}
		state, err := d.s.AWS(ctx, "iam", "list-access-keys", "--user-name", user, "--output", "text",
			"--query", "AccessKeyMetadata[?AccessKeyId=='"+former.AccessKeyID+"'].Status")
		if err != nil {
			return "", err
		}
		if state = strings.TrimSpace(state); state == "" {
			state = "deleted"
		}
		if state != want {
			return "", fmt.Errorf("%s is %s, not %s", former.AccessKeyID, state, want)
		}
		fmt.Printf("  After %d more days the sweep has left it %s\n", overTheGrace, state)
	}
	list := []string{"s3api", "list-objects-v2", "--bucket", sandbox.SourceBucket}
	if d.as(ctx, former, list...) == nil {
		return "", errors.New("the former key still works")
	}
	now, err := d.read(ctx, d.rotated.secret)
	if err != nil {
		return "", err
	}
	return former.AccessKeyID + " is gone, " + now.AccessKeyID + " works", errors.Join(d.as(ctx, now, list...), d.people(ctx))
}
