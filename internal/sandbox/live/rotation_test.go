package live_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// rotates rotates the source's key as the documented command does. Secrets Manager
// answers at once and rotates then: with which version AWSCURRENT comes says when.
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
	// Switched on, Secrets Manager tries the function with a version of its own, which it
	// takes away afterwards: until then it calls a rotation one too many.
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

// rested waits until no rotation is under way in the sandbox. On AWS nothing says so,
// and until looks again.
func (a *account) rested(t *testing.T) {
	t.Helper()
	if a.sandbox != nil {
		_, err := a.sandbox.Rotations(ctxOf(t))
		must(t, err)
	}
}
