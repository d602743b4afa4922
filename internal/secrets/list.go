package secrets

import (
	"context"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// ListSecrets lists the secrets under the provider's prefix, ours or not, without those in
// their recovery window. The list lags behind by some minutes.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
func (c *Client) ListSecrets(ctx context.Context) (listed []access.SecretInfo, err error) {
	const perPage = 100 // the most that Secrets Manager lists in one answer
	pages := secretsmanager.NewListSecretsPaginator(c.api, &secretsmanager.ListSecretsInput{
		Filters:    []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{name.SecretPrefix}}},
		MaxResults: aws.Int32(perPage),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, outcome(err)
		}
		for _, entry := range page.SecretList {
			listed = append(listed, c.toInfo(entry))
		}
	}
	return listed, nil
}

func (c *Client) toInfo(entry types.SecretListEntry) access.SecretInfo {
	return access.SecretInfo{
		Name: *entry.Name, ARN: *entry.ARN, Tags: fromTags(entry.Tags), Versions: toVersions(entry.SecretVersionsToStages),
		Deleted: aws.ToTime(entry.DeletedDate), Rotation: c.rotates(entry.RotationEnabled, entry.RotationLambdaARN, entry.RotationRules),
	}
}

func fromTags(tags []types.Tag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, tag := range tags {
		out[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return out
}

// toVersions are the versions that have a label, with their ids.
func toVersions(stages map[string][]string) (versions []access.Version) {
	for id, labels := range stages {
		versions = append(versions, access.Version{ID: id, Labels: labels})
	}
	sort.Slice(versions, func(i, j int) bool { return versions[i].ID < versions[j].ID })
	return versions
}
