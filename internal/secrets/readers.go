package secrets

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/edge"
)

// ResourcePolicy returns the secret's resource policy; empty: the secret has none.
func (c *Client) ResourcePolicy(ctx context.Context, name string) (string, error) {
	out, err := c.api.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: &name})
	if err != nil {
		return "", outcome(err)
	}
	return aws.ToString(out.ResourcePolicy), nil
}

// PutResourcePolicy replaces the secret's resource policy. It asks Secrets Manager to refuse
// a policy that allows public access.
func (c *Client) PutResourcePolicy(ctx context.Context, name, policy string) error {
	_, err := c.api.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{
		SecretId:          &name,
		ResourcePolicy:    &policy,
		BlockPublicPolicy: aws.Bool(true),
	})
	return outcome(err)
}

// DeleteResourcePolicy deletes the secret's resource policy. A policy that does not exist is
// not an error.
func (c *Client) DeleteResourcePolicy(ctx context.Context, name string) error {
	_, err := c.api.DeleteResourcePolicy(ctx, &secretsmanager.DeleteResourcePolicyInput{SecretId: &name})
	return edge.IgnoreNotFound(outcome(err))
}
