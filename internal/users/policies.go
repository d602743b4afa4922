package users

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
)

// policyARN returns the ARN of the policy of that name under our path.
func (c *Client) policyARN(ctx context.Context, name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.prefix == "" {
		partition, account, err := c.options.Account(ctx)
		if err != nil {
			return "", err
		}
		c.prefix = "arn:" + partition + ":iam::" + account + ":policy" + c.options.Path
	}
	return c.prefix + name, nil
}

// Attached returns the names of the policies under our path that are attached
// to the user.
func (c *Client) Attached(ctx context.Context, user string) ([]string, error) {
	ours, _, err := c.AttachedPolicies(ctx, user)
	return ours, err
}

// AttachedPolicies returns the managed policies that are attached to the user: those
// under our path by their names, all others by their ARNs.
func (c *Client) AttachedPolicies(ctx context.Context, user string) (ours, others []string, err error) {
	path, err := c.policyARN(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	err = c.attached(ctx, user, func(arn string) {
		if name, ok := strings.CutPrefix(arn, path); ok {
			ours = append(ours, name)
		} else {
			others = append(others, arn)
		}
	})
	return ours, others, err
}

func (c *Client) attached(ctx context.Context, user string, each func(arn string)) error {
	pages := iam.NewListAttachedUserPoliciesPaginator(c.api, &iam.ListAttachedUserPoliciesInput{UserName: &user})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return outcome(err)
		}
		for _, policy := range page.AttachedPolicies {
			each(aws.ToString(policy.PolicyArn))
		}
	}
	return nil
}

// Policy returns the policy with its tags and the text of its default version.
func (c *Client) Policy(ctx context.Context, name string) (access.Policy, error) {
	arn, err := c.policyARN(ctx, name)
	if err != nil {
		return access.Policy{}, err
	}
	got, err := c.api.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
	if err != nil {
		return access.Policy{}, outcome(err)
	}
	text, err := c.versionText(ctx, arn, *got.Policy.DefaultVersionId)
	if err != nil {
		return access.Policy{}, err
	}
	return access.Policy{Name: name, ARN: arn, Document: text, Tags: fromTags(got.Policy.Tags)}, nil
}

// PolicyText returns the text of one version of the policy.
func (c *Client) PolicyText(ctx context.Context, name, version string) (string, error) {
	arn, err := c.policyARN(ctx, name)
	if err != nil {
		return "", err
	}
	return c.versionText(ctx, arn, version)
}

func (c *Client) versionText(ctx context.Context, arn, version string) (string, error) {
	got, err := c.api.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: &version})
	if err != nil {
		return "", outcome(err)
	}
	return plain(*got.PolicyVersion.Document), nil
}

// ListPolicies lists the managed policies under our path, attached or not: the id of the
// default version, by name.
func (c *Client) ListPolicies(ctx context.Context) (map[string]string, error) {
	inForce := map[string]string{}
	pages := iam.NewListPoliciesPaginator(c.api, &iam.ListPoliciesInput{
		PathPrefix: &c.options.Path, Scope: types.PolicyScopeTypeLocal, MaxItems: aws.Int32(perPage),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, outcome(err)
		}
		for _, policy := range page.Policies {
			inForce[*policy.PolicyName] = *policy.DefaultVersionId
		}
	}
	return inForce, nil
}

// Inline returns the names of the user's inline policies.
func (c *Client) Inline(ctx context.Context, user string) (names []string, err error) {
	pages := iam.NewListUserPoliciesPaginator(c.api, &iam.ListUserPoliciesInput{UserName: &user})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, outcome(err)
		}
		names = append(names, page.PolicyNames...)
	}
	return names, nil
}

// plain decodes the document, which AWS sends URL-encoded (RFC 3986). A document that begins
// like JSON is not encoded, because an encoded one has no brace.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicyVersion.html
func plain(document string) string {
	if strings.HasPrefix(strings.TrimSpace(document), "{") {
		return document
	}
	decoded, err := url.PathUnescape(document)
	if err != nil {
		return document
	}
	return decoded
}

// CreatePolicy creates the policy with its tags in one call.
func (c *Client) CreatePolicy(ctx context.Context, name, text string, tags map[string]string) (access.Policy, error) {
	out, err := c.api.CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName:     &name,
		Path:           &c.options.Path,
		PolicyDocument: &text,
		Description:    aws.String("Created by cloney-s3-credentials. Its stack owns it; changes by hand are overwritten."),
		Tags:           toTags(tags),
	})
	if err != nil {
		return access.Policy{}, outcome(err)
	}
	return access.Policy{Name: name, ARN: *out.Policy.Arn, Document: text, Tags: tags}, nil
}

// UpdatePolicy creates a new default version. AWS keeps five: only if the policy has five,
// UpdatePolicy first deletes the oldest one that is not the default.
func (c *Client) UpdatePolicy(ctx context.Context, name, text string) error {
	arn, err := c.policyARN(ctx, name)
	if err != nil {
		return err
	}
	err = c.newVersion(ctx, arn, text)
	if !errors.Is(err, access.ErrLimit) {
		return err
	}
	// A crash after this: one old version fewer, and the same default version.
	if err := c.deleteVersions(ctx, arn, 1); err != nil {
		return fmt.Errorf("deleting the oldest version: %w", err)
	}
	return c.newVersion(ctx, arn, text)
}

func (c *Client) newVersion(ctx context.Context, arn, text string) error {
	_, err := c.api.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: &text, SetAsDefault: true})
	return outcome(err)
}

// deleteVersions deletes at most that many versions that are not the default, the oldest
// first.
func (c *Client) deleteVersions(ctx context.Context, arn string, most int) error {
	var old []types.PolicyVersion
	pages := iam.NewListPolicyVersionsPaginator(c.api, &iam.ListPolicyVersionsInput{PolicyArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return edge.IgnoreNotFound(outcome(err))
		}
		for _, version := range page.Versions {
			if !version.IsDefaultVersion {
				old = append(old, version)
			}
		}
	}
	// AWS lists the youngest first, but promises no order.
	slices.SortFunc(old, func(a, b types.PolicyVersion) int { return aws.ToTime(a.CreateDate).Compare(aws.ToTime(b.CreateDate)) })
	for _, version := range old[:min(most, len(old))] {
		_, err := c.api.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: version.VersionId})
		if err := edge.IgnoreNotFound(outcome(err)); err != nil {
			return err
		}
	}
	return nil
}

// TagPolicy removes tags, then sets others, as TagUser does.
func (c *Client) TagPolicy(ctx context.Context, name string, set map[string]string, unset []string) error {
	arn, err := c.policyARN(ctx, name)
	if err != nil {
		return err
	}
	if len(unset) > 0 {
		if _, err := c.api.UntagPolicy(ctx, &iam.UntagPolicyInput{PolicyArn: &arn, TagKeys: unset}); err != nil {
			return outcome(err)
		}
	}
	if len(set) == 0 {
		return nil
	}
	_, err = c.api.TagPolicy(ctx, &iam.TagPolicyInput{PolicyArn: &arn, Tags: toTags(set)})
	return outcome(err)
}

// AttachPolicy attaches the policy to the user.
func (c *Client) AttachPolicy(ctx context.Context, user, name string) error {
	arn, err := c.policyARN(ctx, name)
	if err != nil {
		return err
	}
	_, err = c.api.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &user, PolicyArn: &arn})
	return outcome(err)
}

// DetachPolicy detaches the policy from the user.
func (c *Client) DetachPolicy(ctx context.Context, user, name string) error {
	arn, err := c.policyARN(ctx, name)
	if err != nil {
		return err
	}
	_, err = c.api.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: &user, PolicyArn: &arn})
	return edge.IgnoreNotFound(outcome(err))
}

// DeletePolicy deletes the policy. IAM refuses while it has old versions: then DeletePolicy
// deletes those, and the policy once more.
func (c *Client) DeletePolicy(ctx context.Context, name string) error {
	arn, err := c.policyARN(ctx, name)
	if err != nil {
		return err
	}
	if err = c.deletePolicy(ctx, arn); !errors.Is(err, access.ErrConflict) {
		return edge.IgnoreNotFound(err)
	}
	const all = 100 // AWS keeps five
	// A crash after this: only the default version is left.
	if err := c.deleteVersions(ctx, arn, all); err != nil {
		return err
	}
	return edge.IgnoreNotFound(c.deletePolicy(ctx, arn))
}

func (c *Client) deletePolicy(ctx context.Context, arn string) error {
	_, err := c.api.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &arn})
	return outcome(err)
}
