package secrets

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/edge"
)

// ResourcePolicy returns the secret's resource policy; empty: it has none.
func (c *Client) ResourcePolicy(ctx context.Context, name string) (string, error) {
	out, err := c.api.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: &name})
	if err != nil {
		return "", outcome(err)
	}
	return aws.ToString(out.ResourcePolicy), nil
}

// PutResourcePolicy replaces the secret's resource policy. Secrets Manager is
// asked to refuse one that lets anyone in, whatever it was given.
func (c *Client) PutResourcePolicy(ctx context.Context, name, policy string) error {
	_, err := c.api.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{
		SecretId:          &name,
		ResourcePolicy:    &policy,
		BlockPublicPolicy: aws.Bool(true),
	})
	return outcome(err)
}

// DeleteResourcePolicy takes the secret's resource policy away; one that is
// gone is no error.
func (c *Client) DeleteResourcePolicy(ctx context.Context, name string) error {
	_, err := c.api.DeleteResourcePolicy(ctx, &secretsmanager.DeleteResourcePolicyInput{SecretId: &name})
	return edge.Gone(outcome(err))
}
