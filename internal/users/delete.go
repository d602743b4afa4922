package users

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
)

// DeleteUser deletes the user. IAM refuses while anything of nine kinds is attached to it.
// Then DeleteUser removes that, whoever attached it, and deletes the user once more. Only
// groups stay, because removing a user from a group needs a right on the group: then the
// error is access.InGroups.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	err := c.deleteUser(ctx, name)
	if !errors.Is(err, access.ErrConflict) {
		return edge.IgnoreNotFound(err)
	}
	// A crash anywhere in here: less is attached to the user than before, and no key of
	// ours. The next Delete goes on.
	if err := c.strip(ctx, name); err != nil {
		return edge.IgnoreNotFound(err)
	}
	if err = c.deleteUser(ctx, name); !errors.Is(err, access.ErrConflict) {
		return edge.IgnoreNotFound(err)
	}
	groups, asking := c.groups(ctx, name)
	switch {
	case asking != nil:
		return edge.IgnoreNotFound(asking)
	case len(groups) > 0:
		return access.InGroups{Groups: groups}
	}
	return err // IAM lags behind
}

func (c *Client) deleteUser(ctx context.Context, name string) error {
	_, err := c.api.DeleteUser(ctx, &iam.DeleteUserInput{UserName: &name})
	return outcome(err)
}

// strip removes what prevents the deletion of a user: first credentials, then permissions,
// then the rest.
func (c *Client) strip(ctx context.Context, user string) error {
	for _, part := range []func(context.Context, *string) error{
		c.stripKeys, c.stripLogin, c.stripServiceCredentials, c.stripCertificates, c.stripSSHKeys,
		c.stripAttached, c.stripInline, c.stripMFA,
	} {
		if err := part(ctx, &user); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) stripKeys(ctx context.Context, user *string) error {
	keys, err := c.Keys(ctx, *user)
	for _, key := range keys {
		if err := c.DeleteKey(ctx, *user, key.ID); err != nil {
			return err
		}
	}
	return err
}

func (c *Client) stripLogin(ctx context.Context, user *string) error {
	_, err := c.api.DeleteLoginProfile(ctx, &iam.DeleteLoginProfileInput{UserName: user})
	return edge.IgnoreNotFound(outcome(err))
}

func (c *Client) stripServiceCredentials(ctx context.Context, user *string) error {
	out, err := c.api.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{UserName: user})
	if err != nil {
		return outcome(err)
	}
	for _, credential := range out.ServiceSpecificCredentials {
		_, err := c.api.DeleteServiceSpecificCredential(ctx, &iam.DeleteServiceSpecificCredentialInput{UserName: user, ServiceSpecificCredentialId: credential.ServiceSpecificCredentialId})
		if err := edge.IgnoreNotFound(outcome(err)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) stripCertificates(ctx context.Context, user *string) error {
	out, err := c.api.ListSigningCertificates(ctx, &iam.ListSigningCertificatesInput{UserName: user})
	if err != nil {
		return outcome(err)
	}
	for _, certificate := range out.Certificates {
		_, err := c.api.DeleteSigningCertificate(ctx, &iam.DeleteSigningCertificateInput{UserName: user, CertificateId: certificate.CertificateId})
		if err := edge.IgnoreNotFound(outcome(err)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) stripSSHKeys(ctx context.Context, user *string) error {
	out, err := c.api.ListSSHPublicKeys(ctx, &iam.ListSSHPublicKeysInput{UserName: user})
	if err != nil {
		return outcome(err)
	}
	for _, key := range out.SSHPublicKeys {
		_, err := c.api.DeleteSSHPublicKey(ctx, &iam.DeleteSSHPublicKeyInput{UserName: user, SSHPublicKeyId: key.SSHPublicKeyId})
		if err := edge.IgnoreNotFound(outcome(err)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) stripAttached(ctx context.Context, user *string) error {
	var arns []string
	err := c.attached(ctx, *user, func(arn string) { arns = append(arns, arn) })
	for _, arn := range arns {
		_, err := c.api.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: user, PolicyArn: &arn})
		if err := edge.IgnoreNotFound(outcome(err)); err != nil {
			return err
		}
	}
	return err
}

func (c *Client) stripInline(ctx context.Context, user *string) error {
	names, err := c.Inline(ctx, *user)
	for _, policy := range names {
		_, err := c.api.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: user, PolicyName: &policy})
		if err := edge.IgnoreNotFound(outcome(err)); err != nil {
			return err
		}
	}
	return err
}

// groups returns the names of the user's groups.
func (c *Client) groups(ctx context.Context, user string) (names []string, err error) {
	pages := iam.NewListGroupsForUserPaginator(c.api, &iam.ListGroupsForUserInput{UserName: &user})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, outcome(err)
		}
		for _, group := range page.Groups {
			names = append(names, aws.ToString(group.GroupName))
		}
	}
	return names, nil
}

func (c *Client) stripMFA(ctx context.Context, user *string) error {
	out, err := c.api.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: user})
	if err != nil {
		return outcome(err)
	}
	for _, device := range out.MFADevices {
		_, err := c.api.DeactivateMFADevice(ctx, &iam.DeactivateMFADeviceInput{UserName: user, SerialNumber: device.SerialNumber})
		if err := edge.IgnoreNotFound(outcome(err)); err != nil {
			return err
		}
	}
	return nil
}
