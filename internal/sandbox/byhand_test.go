package sandbox_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"cloney-s3-credentials/internal/sandbox"
)

// What people do to a user by hand, and a KMS key of the stack's choice: a Delete
// fails while something would be left behind its success, with the command in the
// Reason, and goes through once that is done.
func TestWhatIsDoneByHandToAUser(t *testing.T) {
	own(t)
	const stack = "byhand"
	ctx, users := ctxOf(t), iam.NewFromConfig(account(t).Config())
	properties := "Access: Source, Buckets: [" + sandbox.SourceBucket + "], SecretName: cloney/by-hand"
	must(t, deploy(t, stack, properties+", SecretKmsKeyId: alias/one"))
	one(t)
	must(t, deploy(t, stack, properties+", SecretKmsKeyId: alias/two"))
	one(t)
	user := aws.String(outputs(t, stack)["UserName"])
	found, err := users.ListUserTags(ctx, &iam.ListUserTagsInput{UserName: user})
	must(t, err)

	_, err = users.UntagUser(ctx, &iam.UntagUserInput{UserName: user, TagKeys: []string{"cloney:stack-id"}})
	must(t, err)
	fails(t, stack, "aws iam tag-user --user-name "+*user)
	one(t)
	_, err = users.TagUser(ctx, &iam.TagUserInput{UserName: user, Tags: found.Tags})
	must(t, err)

	group := aws.String("people")
	_, err = users.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: group})
	must(t, err)
	_, err = users.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: group, UserName: user})
	must(t, err)
	fails(t, stack, "aws iam remove-user-from-group --group-name people --user-name "+*user)
	if keys := having(t, "key "); len(keys) > 0 {
		t.Errorf("keys live on: %v", keys)
	}
	_, err = users.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: group, UserName: user})
	must(t, err)
	remove(t, stack)
	empty(t)
}

// fails asks for a Delete that fails and says so.
func fails(t *testing.T, stack, says string) {
	t.Helper()
	if err := account(t).DeleteStack(ctxOf(t), stack); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("the Delete does not say %q: %v", says, err)
	}
}
