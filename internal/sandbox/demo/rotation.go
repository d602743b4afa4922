package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/screen"
)

const rotation = "demo-rotation"

// rotated is a secret, and the key that was current before the rotation.
type rotated struct {
	secret   string
	previous stored
}

func (d *demo) rotate(ctx context.Context) (string, error) {
	if err := d.cloudformation(ctx, rotation, "examples/rotation.yaml", "BucketNames="+sandbox.SourceBucket); err != nil {
		return "", err
	}
	outputs, err := d.s.Outputs(ctx, rotation)
	if err != nil {
		return "", err
	}
	d.rotated.secret = outputs["SecretName"]
	if d.rotated.previous, err = d.read(ctx, d.rotated.secret); err != nil {
		return "", err
	}
	// Secrets Manager first tests the function of a new schedule. Until that test has
	// ended it refuses to rotate.
	if _, err := d.s.Rotations(ctx); err != nil {
		return "", err
	}
	d.screen.Line(screen.Plain, "  $ ", "aws secretsmanager rotate-secret --secret-id "+d.rotated.secret)
	d.screen.Doing("Secrets Manager rotates the secret")
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
	d.screen.Line(screen.Plain, "  ", "Secrets Manager invoked the rotator for "+strings.Join(last.Steps, ", "))
	now, err := d.read(ctx, d.rotated.secret)
	if err != nil {
		return "", err
	}
	if now == d.rotated.previous {
		return "", errors.New("the key has not changed")
	}
	list := []string{"s3api", "list-objects-v2", "--bucket", sandbox.SourceBucket}
	return fmt.Sprintf("%s is current, %s still works", now.AccessKeyID, d.rotated.previous.AccessKeyID),
		errors.Join(d.as(ctx, now, list...), d.as(ctx, d.rotated.previous, list...), d.notice(ctx))
}

// notice shows the last message of the SNS topic.
func (d *demo) notice(ctx context.Context) error {
	told, err := d.s.Told(ctx)
	if err != nil {
		return err
	}
	if len(told.Messages) == 0 {
		return errors.New("the SNS topic has no message")
	}
	last := told.Messages[len(told.Messages)-1]
	d.screen.Line(screen.Plain, "  ", "The SNS topic has a message: "+last.Subject)
	d.screen.Line(screen.Faint, "    ", last.Text)
	return nil
}

// retire lets more than the grace pass twice: it makes the times that IAM has noted older.
func (d *demo) retire(ctx context.Context) (string, error) {
	const overTheGrace = 15 // days: RotationGraceDays is 14 there
	user, previous := userOf(d.rotated.secret), d.rotated.previous
	states := []string{"Inactive", "deleted"}
	for _, want := range states {
		d.screen.Doing(fmt.Sprintf("%d days pass, and the rotator sweeps", overTheGrace))
		if err := errors.Join(d.s.Elapse(ctx, overTheGrace), d.s.Sweep(ctx)); err != nil {
			return "", err
		}
		state, err := d.s.AWS(ctx, "iam", "list-access-keys", "--user-name", user, "--output", "text",
			"--query", "AccessKeyMetadata[?AccessKeyId=='"+previous.AccessKeyID+"'].Status")
		if err != nil {
			return "", err
		}
		if state = strings.TrimSpace(state); state == "" {
			state = "deleted"
		}
		if state != want {
			return "", fmt.Errorf("%s is %s, not %s", previous.AccessKeyID, state, want)
		}
		d.screen.Line(screen.Plain, "  ", fmt.Sprintf("%d days later the sweep runs. The previous key is then: %s", overTheGrace, strings.ToLower(state)))
	}
	list := []string{"s3api", "list-objects-v2", "--bucket", sandbox.SourceBucket}
	if d.as(ctx, previous, list...) == nil {
		return "", errors.New("the previous key still works")
	}
	now, err := d.read(ctx, d.rotated.secret)
	if err != nil {
		return "", err
	}
	return previous.AccessKeyID + " is deleted, " + now.AccessKeyID + " works", errors.Join(d.as(ctx, now, list...), d.notice(ctx))
}
