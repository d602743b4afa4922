package secrets

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"cloney-s3-credentials/internal/access"
)

// rotates returns how a described secret is rotated. After rotation is cancelled, Secrets
// Manager still shows the old rules and function.
func (c *Client) rotates(enabled *bool, function *string, rules *types.RotationRulesType) access.Rotation {
	is := access.Rotation{On: aws.ToBool(enabled), Function: aws.ToString(function), Ours: c.rotator}
	if rules != nil {
		is.Schedule = aws.ToString(rules.ScheduleExpression)
	}
	return is
}

// Schedule makes Secrets Manager rotate the secret by a schedule, with the provider's own
// function. It does not rotate at once: a person may just have pasted the key.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
func (c *Client) Schedule(ctx context.Context, name, schedule string) error {
	_, err := c.api.RotateSecret(ctx, &secretsmanager.RotateSecretInput{
		SecretId:          &name,
		RotateImmediately: aws.Bool(false),
		RotationLambdaARN: &c.rotator,
		RotationRules:     &types.RotationRulesType{ScheduleExpression: &schedule},
	})
	return outcome(err)
}

// CancelRotation stops the rotation of the secret. Secrets Manager also stops a rotation
// that is in progress, and leaves its version.
func (c *Client) CancelRotation(ctx context.Context, name string) error {
	_, err := c.api.CancelRotateSecret(ctx, &secretsmanager.CancelRotateSecretInput{SecretId: &name})
	return outcome(err)
}
