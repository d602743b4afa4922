package live_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// rotates rotates the source's key by the documented command. Secrets Manager answers at
// once and rotates after that. A new current version shows when the rotation has ended.
func (a *account) rotates(t *testing.T, outputs map[string]string) {
	secret := outputs["SourceSecretName"]
	former, client := a.client(t, secret), secretsmanager.NewFromConfig(a.config)
	version := func(ctx context.Context) (string, error) {
		value, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secret})
		if err != nil {
			return "", err
		}
		return aws.ToString(value.VersionId), nil
	}
	before, err := version(ctxOf(t))
	must(t, err)
	// When a schedule is set, Secrets Manager tests the function with a version of its own,
	// and then deletes that version. Until then it refuses another rotation.
	done := func(err error) bool { return err == nil }
	a.rested(t)
	must(t, a.until(t, done, func(ctx context.Context) error {
		_, err := client.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: &secret})
		return err
	}))
	a.rested(t)
	must(t, a.until(t, done, func(ctx context.Context) error {
		now, err := version(ctx)
		if err == nil && now == before {
			return errors.New("AWSCURRENT is where it was")
		}
		return err
	}))
	a.may(t, "the new key", a.client(t, secret), listing(a.source))
	a.may(t, "the former key", former, listing(a.source))
}

// rested waits until no rotation is at work in the sandbox. AWS does not show that, so
// until tries again there.
func (a *account) rested(t *testing.T) {
	t.Helper()
	if a.sandbox != nil {
		_, err := a.sandbox.Rotations(ctxOf(t))
		must(t, err)
	}
}
