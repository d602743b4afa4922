package users

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
)

// Keys lists all keys of the user.
func (c *Client) Keys(ctx context.Context, user string) ([]access.Key, error) {
	var keys []access.Key
	pages := iam.NewListAccessKeysPaginator(c.api, &iam.ListAccessKeysInput{UserName: &user})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, outcome(err)
		}
		for _, key := range page.AccessKeyMetadata {
			keys = append(keys, access.Key{ID: *key.AccessKeyId, Active: key.Status == types.StatusTypeActive, Created: *key.CreateDate})
		}
	}
	return keys, nil
}

// CreateKey creates a key in one attempt. The SDK would repeat the call after a lost answer,
// and create a second key that nobody has.
func (c *Client) CreateKey(ctx context.Context, user string) (access.Credentials, error) {
	out, err := c.api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &user}, func(o *iam.Options) {
		o.Retryer = aws.NopRetryer{}
	})
	if err != nil {
		return access.Credentials{}, outcome(err)
	}
	return access.Credentials{KeyID: *out.AccessKey.AccessKeyId, Secret: access.NewSecret(*out.AccessKey.SecretAccessKey)}, nil
}

// DeleteKey deletes a key. A key that does not exist is not an error.
func (c *Client) DeleteKey(ctx context.Context, user, keyID string) error {
	_, err := c.api.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &user, AccessKeyId: &keyID})
	return edge.IgnoreNotFound(outcome(err))
}

// DeactivateKey deactivates a key: AWS then refuses its signatures. A person can activate it
// again; this provider never does.
func (c *Client) DeactivateKey(ctx context.Context, user, keyID string) error {
	_, err := c.api.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: &user, AccessKeyId: &keyID, Status: types.StatusTypeInactive})
	return outcome(err)
}

// LastUse returns when the key was last used; the zero time: never.
func (c *Client) LastUse(ctx context.Context, keyID string) (access.LastUse, error) {
	out, err := c.api.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: &keyID})
	if err != nil {
		return access.LastUse{}, outcome(err)
	}
	used := out.AccessKeyLastUsed
	if used.LastUsedDate == nil && *used.ServiceName != neverUsed {
		return access.LastUse{}, errors.New("no clear answer from AWS: it does not say when the key was last used")
	}
	return access.LastUse{Time: aws.ToTime(used.LastUsedDate), Service: *used.ServiceName, Region: *used.Region}, nil
}

// neverUsed is AWS's value for the service if a key was never used.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html
const neverUsed = "N/A"
