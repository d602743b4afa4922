// Package secrets is the edge to Secrets Manager: secrets, the versions of their values, the
// staging labels of versions, and the resource policy that lets others read.
//
// A value passes through it only as an access.Secret, and never into an error. It decides
// nothing.
package secrets

import (
	"context"
	"errors"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
)

// Options are common to all secrets of the provider.
type Options struct {
	// Rotator is the ARN of the rotation function; empty: there is none.
	Rotator string
}

// Client is a client of Secrets Manager in one region.
type Client struct {
	api     *secretsmanager.Client
	rotator string // see Options
	// rotation returns the RotationToken of the rotation for which values are stored; nil:
	// there is no rotation. It is a function because fmt prints the private fields of a
	// struct, also those of an access.Secret.
	rotation func() access.Secret
}

// New returns the edge.
func New(cfg aws.Config, options Options) *Client {
	c := &Client{rotator: options.Rotator}
	// A secret that does not exist has no tags, and the function's role requires one.
	absence := edge.Absence{
		Field:   "SecretId",
		Besides: []string{"DescribeSecret"},
		Look: func(ctx context.Context, name *string) error {
			_, err := c.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: name})
			return err
		},
		Outcome: outcome,
	}
	c.api = secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) { o.APIOptions = append(o.APIOptions, edge.WhenDenied(absence)) })
	return c
}

// outcomes translates Secrets Manager's own error codes.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html#API_PutSecretValue_Errors
var outcomes = map[string]error{
	"ResourceNotFoundException": access.ErrNotFound,
	"ResourceExistsException":   access.ErrExists,
	"LimitExceededException":    access.ErrLimit,
	"InvalidParameterException": access.ErrInvalid,
	"InvalidRequestException":   access.ErrInvalid,
	"EncryptionFailure":         access.ErrKMS,
	"DecryptionFailure":         access.ErrKMS,
	// Our policy is well-formed, so this means that it names a principal that does not
	// exist.
	"MalformedPolicyDocumentException": access.ErrPrincipal,
	"PublicPolicyException":            access.ErrPublic,
}

func outcome(err error) error { return edge.Outcome(err, outcomes) }

func toTags(tags map[string]string) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for key, value := range tags {
		out = append(out, types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	return out
}

// Secret describes a secret, also one in its recovery window.
func (c *Client) Secret(ctx context.Context, name string) (access.SecretInfo, error) {
	out, err := c.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		return access.SecretInfo{}, outcome(err)
	}
	info := access.SecretInfo{
		Name: *out.Name, ARN: *out.ARN, Tags: fromTags(out.Tags), Versions: toVersions(out.VersionIdsToStages),
		Deleted: aws.ToTime(out.DeletedDate), Rotation: c.rotates(out.RotationEnabled, out.RotationLambdaARN, out.RotationRules),
	}
	for _, replica := range out.ReplicationStatus {
		info.Replicas = append(info.Replicas, aws.ToString(replica.Region))
	}
	sort.Strings(info.Replicas)
	return info, nil
}

// placeholder is the value of a secret that has no key yet. It is JSON, and
// credential_process rejects it.
const placeholder = "{}"

// CreateSecret creates the secret with its tags in one call. With a token it also stores a
// placeholder as the version with that id. So AWS uses the KMS key at once: without a value
// it does not check whether it may.
func (c *Client) CreateSecret(ctx context.Context, name, kmsKey, token string, tags map[string]string) (access.SecretInfo, error) {
	in := &secretsmanager.CreateSecretInput{
		Name:        &name,
		Description: aws.String("An access key to S3 for Cloney, in the JSON of credential_process. Created by cloney-s3-credentials; its stack owns it."),
		Tags:        toTags(tags),
	}
	if kmsKey != "" {
		in.KmsKeyId = &kmsKey
	}
	if token != "" {
		in.ClientRequestToken, in.SecretString = &token, aws.String(placeholder)
	}
	out, err := c.api.CreateSecret(ctx, in)
	if edge.As[*types.InvalidRequestException](err) {
		// A secret of that name is still being deleted: a forced deletion takes effect after
		// a short delay.
		// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
		return access.SecretInfo{}, edge.Outcome(err, map[string]error{"InvalidRequestException": access.ErrBusy})
	}
	if err != nil {
		return access.SecretInfo{}, outcome(err)
	}
	return access.SecretInfo{Name: name, ARN: *out.ARN, Tags: tags}, nil
}

// RestoreSecret takes the secret out of its recovery window.
func (c *Client) RestoreSecret(ctx context.Context, name string) error {
	_, err := c.api.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name})
	return outcome(err)
}

// awsKey encrypts a secret without a KMS key of its own.
const awsKey = "alias/aws/secretsmanager"

// RekeySecret makes Secrets Manager encrypt the secret with another KMS key.
func (c *Client) RekeySecret(ctx context.Context, name, kmsKey string) error {
	if kmsKey == "" {
		kmsKey = awsKey
	}
	_, err := c.api.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: &name, KmsKeyId: &kmsKey})
	return outcome(err)
}

// TryKey stores a placeholder as the version with that id, with only a label of ours: the
// call fails if the secret's KMS key cannot be used.
func (c *Client) TryKey(ctx context.Context, name, token, label string) error {
	return c.PutVersion(ctx, name, token, access.NewSecret(placeholder), []string{label})
}

// TagSecret removes tags, then sets others: first it makes room.
func (c *Client) TagSecret(ctx context.Context, name string, set map[string]string, unset []string) error {
	if len(unset) > 0 {
		if _, err := c.api.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: &name, TagKeys: unset}); err != nil {
			return outcome(err)
		}
	}
	if len(set) == 0 {
		return nil
	}
	_, err := c.api.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: &name, Tags: toTags(set)})
	return outcome(err)
}

// PutVersion stores a value with its labels in one call. The token is the version's id, so
// the call can be repeated.
func (c *Client) PutVersion(ctx context.Context, name, token string, value access.Secret, labels []string) error {
	in := &secretsmanager.PutSecretValueInput{
		SecretId:           &name,
		ClientRequestToken: &token,
		SecretString:       aws.String(value.Reveal()),
		VersionStages:      labels,
	}
	if c.rotation != nil {
		in.RotationToken = aws.String(c.rotation().Reveal())
	}
	_, err := c.api.PutSecretValue(ctx, in)
	return outcome(err)
}

// WithRotationToken returns the edge for the values of one rotation. The token shows Secrets
// Manager that the values come from the function that it has invoked. It goes only into
// PutSecretValue. An empty token, from an event without one, is not sent.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func (c *Client) WithRotationToken(token access.Secret) *Client {
	bound := *c
	if token == (access.Secret{}) {
		return &bound
	}
	bound.rotation = func() access.Secret { return token }
	return &bound
}

// Value returns the value of one version.
func (c *Client) Value(ctx context.Context, name, version string) (access.Secret, error) {
	out, err := c.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: &version})
	if err != nil {
		return access.Secret{}, outcome(err)
	}
	// The provider never stores a binary value.
	return access.NewSecret(aws.ToString(out.SecretString)), nil
}

// Promote moves AWSCURRENT. Secrets Manager moves AWSPREVIOUS with it. ErrMoved: AWSCURRENT
// is at neither of the two versions.
func (c *Client) Promote(ctx context.Context, name, version, from string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{
		SecretId:        &name,
		VersionStage:    aws.String(access.Current),
		MoveToVersionId: &version,
	}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	_, err := c.api.UpdateSecretVersionStage(ctx, in)
	if err := outcome(err); !errors.Is(err, access.ErrInvalid) {
		return err
	}
	return c.refused(ctx, err, name, version, from)
}

// refused says why a promotion was refused, by reading where AWSCURRENT is. It may already
// be at the version: an attempt moved it, and its answer was lost.
func (c *Client) refused(ctx context.Context, err error, name, version, from string) error {
	info, look := c.Secret(ctx, name)
	current, ok := info.Labelled(access.Current)
	switch {
	case errors.Is(look, access.ErrThrottled):
		return look // the next attempt is refused again, and reads again
	case look != nil || !ok || current.ID == from:
		return outcome(err)
	case current.ID == version:
		return nil
	case edge.As[*types.InvalidParameterException](err):
		return edge.Outcome(err, map[string]error{"InvalidParameterException": access.ErrMoved})
	}
	return outcome(err)
}

// Label sets a label of ours on a version, and removes it from the version that has it. If
// the version has it already, nothing changes.
func (c *Client) Label(ctx context.Context, name, version, label string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &name, VersionStage: &label, MoveToVersionId: &version}
	_, err := c.api.UpdateSecretVersionStage(ctx, in)
	if err := outcome(err); !errors.Is(err, access.ErrInvalid) {
		return err
	}
	// To move a label, Secrets Manager requires the version that has it.
	info, look := c.Secret(ctx, name)
	if look != nil {
		return look
	}
	has, found := info.Labelled(label)
	switch {
	case !found:
		return outcome(err)
	case has.ID == version:
		return nil
	}
	in.RemoveFromVersionId = &has.ID
	_, err = c.api.UpdateSecretVersionStage(ctx, in)
	return outcome(err)
}

// Unlabel removes a label from a version. A label that the version does not have is not an
// error.
func (c *Client) Unlabel(ctx context.Context, name, version, label string) error {
	_, err := c.api.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId:            &name,
		VersionStage:        &label,
		RemoveFromVersionId: &version,
	})
	err = outcome(err)
	if errors.Is(err, access.ErrNotFound) || errors.Is(err, access.ErrInvalid) {
		return nil
	}
	return err
}

// DeleteSecret deletes the secret with all its versions at once.
func (c *Client) DeleteSecret(ctx context.Context, name string) error {
	_, err := c.api.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	return edge.IgnoreNotFound(outcome(err))
}
