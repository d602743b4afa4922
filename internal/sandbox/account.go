package sandbox

import (
	"context"
	"fmt"
	"net/url"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

const administrator = "sandbox-administrator"

// administrator creates the user that the CLI and the functions act as, which
// matters once IAM is enforced.
func (s *Sandbox) administrator(ctx context.Context) error {
	client := iam.NewFromConfig(s.Config())
	if _, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String(administrator)}); err != nil {
		return fmt.Errorf("creating the sandbox's administrator: %w", err)
	}
	if _, err := client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: aws.String(administrator), PolicyName: aws.String("everything"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
	}); err != nil {
		return fmt.Errorf("creating the sandbox's administrator: %w", err)
	}
	if _, err := client.CreatePolicy(ctx, &iam.CreatePolicyInput{
		Path: aws.String(boundaryPath), PolicyName: aws.String(boundaryName),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`),
	}); err != nil {
		return fmt.Errorf("creating the sandbox's boundary: %w", err)
	}
	key, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String(administrator)})
	if err != nil {
		return fmt.Errorf("creating the sandbox's administrator: %w", err)
	}
	s.keyID, s.secret = aws.ToString(key.AccessKey.AccessKeyId), aws.ToString(key.AccessKey.SecretAccessKey)
	return nil
}

// EnforceIAM has moto ask IAM for every call, or stop asking. moto ignores what it
// cannot judge: conditions, boundaries, and iam: statements for certain ARNs.
func (s *Sandbox) EnforceIAM(ctx context.Context, on bool) error {
	body := "inf"
	if on {
		body = "0"
	}
	return post(ctx, s.Endpoint+"/moto-api/reset-auth", body)
}

// Inventory is what the sandbox's account holds in its region: InventoryIn.
func (s *Sandbox) Inventory(ctx context.Context) ([]string, error) {
	return s.InventoryIn(ctx, Account, Region)
}

// InventoryIn is what an account holds in addition to the sandbox's own administrator:
// "user NAME", "key ID of NAME", "policy ARN", and of the region "secret NAME",
// sorted. It is asked by the SDK's own clients, not by our edges.
func (s *Sandbox) InventoryIn(ctx context.Context, account, region string) ([]string, error) {
	config, err := s.ConfigIn(ctx, account, region)
	if err != nil {
		return nil, fmt.Errorf("taking inventory: %w", err)
	}
	found, err := identities(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("taking inventory: %w", err)
	}
	secrets := secretsmanager.NewListSecretsPaginator(secretsmanager.NewFromConfig(config), &secretsmanager.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)})
	for secrets.HasMorePages() {
		page, err := secrets.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("taking inventory: %w", err)
		}
		for _, secret := range page.SecretList {
			found = append(found, "secret "+aws.ToString(secret.Name))
		}
	}
	sort.Strings(found)
	return found, nil
}

func identities(ctx context.Context, config aws.Config) (found []string, err error) {
	client := iam.NewFromConfig(config)
	users := iam.NewListUsersPaginator(client, &iam.ListUsersInput{})
	for users.HasMorePages() {
		page, err := users.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, user := range page.Users {
			if aws.ToString(user.UserName) == administrator {
				continue
			}
			found = append(found, "user "+aws.ToString(user.UserName))
			keys, err := client.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: user.UserName})
			if err != nil {
				return nil, err
			}
			for _, key := range keys.AccessKeyMetadata {
				found = append(found, "key "+aws.ToString(key.AccessKeyId)+" of "+aws.ToString(user.UserName))
			}
		}
	}
	policies := iam.NewListPoliciesPaginator(client, &iam.ListPoliciesInput{Scope: types.PolicyScopeTypeLocal})
	for policies.HasMorePages() {
		page, err := policies.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, policy := range page.Policies {
			// The provider's own stack has a policy too: the users' boundary.
			if !strings.HasPrefix(aws.ToString(policy.Path), boundaryPath) {
				found = append(found, "policy "+aws.ToString(policy.Arn))
			}
		}
	}
	return found, nil
}

// Documents returns the texts of the policies that are attached to a user.
func (s *Sandbox) Documents(ctx context.Context, user string) ([]string, error) {
	client := iam.NewFromConfig(s.Config())
	attached, err := client.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: &user})
	if err != nil {
		return nil, fmt.Errorf("reading the policies of %s: %w", user, err)
	}
	var documents []string
	for _, policy := range attached.AttachedPolicies {
		about, err := client.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: policy.PolicyArn})
		if err != nil {
			return nil, fmt.Errorf("reading the policies of %s: %w", user, err)
		}
		version, err := client.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: policy.PolicyArn, VersionId: about.Policy.DefaultVersionId})
		if err != nil {
			return nil, fmt.Errorf("reading the policies of %s: %w", user, err)
		}
		document, err := url.PathUnescape(aws.ToString(version.PolicyVersion.Document))
		if err != nil {
			return nil, fmt.Errorf("reading the policies of %s: %w", user, err)
		}
		documents = append(documents, document)
	}
	return documents, nil
}

// Tags returns every tag of a user, its policies and the secret of that name,
// as text.
func (s *Sandbox) Tags(ctx context.Context, user, secret string) (string, error) {
	client := iam.NewFromConfig(s.Config())
	found, err := client.GetUser(ctx, &iam.GetUserInput{UserName: &user})
	if err != nil {
		return "", fmt.Errorf("reading the tags of %s: %w", user, err)
	}
	described, err := secretsmanager.NewFromConfig(s.Config()).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &secret})
	if err != nil {
		return "", fmt.Errorf("reading the tags of %s: %w", secret, err)
	}
	var text strings.Builder
	for _, tag := range found.User.Tags {
		fmt.Fprintf(&text, "%s=%s\n", *tag.Key, *tag.Value)
	}
	for _, tag := range described.Tags {
		fmt.Fprintf(&text, "%s=%s\n", *tag.Key, *tag.Value)
	}
	attached, err := client.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: &user})
	if err != nil {
		return "", fmt.Errorf("reading the tags of %s: %w", user, err)
	}
	for _, policy := range attached.AttachedPolicies {
		tags, err := client.ListPolicyTags(ctx, &iam.ListPolicyTagsInput{PolicyArn: policy.PolicyArn})
		if err != nil {
			return "", fmt.Errorf("reading the tags of %s: %w", *policy.PolicyName, err)
		}
		for _, tag := range tags.Tags {
			fmt.Fprintf(&text, "%s=%s\n", *tag.Key, *tag.Value)
		}
	}
	return text.String(), nil
}
