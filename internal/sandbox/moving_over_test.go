package sandbox_test

import (
	"context"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/pages"
	"cloney-s3-credentials/internal/sandbox"
)

// Whoever follows docs/moving-over.md has at each step a key that reads the bucket: the
// old one until its owner deactivates it, and the new one from when the stack is complete.
func TestMovingOver(t *testing.T) {
	own(t)
	const byHand, stack = "cloney-by-hand", "cloney-credentials"
	ctx, users := ctxOf(t), iam.NewFromConfig(account(t).Config())
	must(t, account(t).EnforceIAM(ctx, true))
	defer func() { must(t, account(t).EnforceIAM(context.Background(), false)) }()
	oldID, oldKey := madeByHand(t, users, byHand)
	old := s3.NewFromConfig(account(t).ConfigFor(oldID, oldKey), func(o *s3.Options) { o.UsePathStyle = true })
	type works struct{ old, new bool }
	// What works when the commands of a section have run.
	after := map[string]works{
		"1. Look at the old user":       {old: true},
		"2. Declare the new user":       {old: true, new: true},
		"3. Give the new key to Cloney": {old: true, new: true},
		"4. Watch the old key":          {old: true, new: true},
		"5. Deactivate the old key":     {new: true},
		"6. Delete the old user":        {new: true},
	}
	sections, err := pages.Sections("../../docs/moving-over.md")
	must(t, err)
	if len(sections) != len(after) {
		t.Fatalf("the page has %d sections with commands", len(sections))
	}
	values := map[string]string{"OLD_USER": byHand, "OLD_KEY": oldID, "BUCKETS": sandbox.SourceBucket}
	shell := pages.NewShell(t, ctx, "../..", append(account(t).Env(), "PATH="+loadCLI(t).Directory+":"+os.Getenv("PATH")))
	for _, section := range sections {
		for _, command := range section.Commands {
			_, err := shell.Follow(command, command.With(values))
			must(t, err)
		}
		reads := works{old: calls["GetObject"](ctx, old, sandbox.SourceBucket) == nil}
		if after[section.Title].new {
			made := outputs(t, stack)
			reads.new = calls["GetObject"](ctx, issuedKey(t, made["SecretName"]), sandbox.SourceBucket) == nil && made["AccessKeyId"] != oldID
		}
		if reads != after[section.Title] {
			t.Errorf("after %q the keys read: %+v", section.Title, reads)
		}
	}
	if left := having(t, "user "+byHand); len(left) > 0 {
		t.Errorf("left of the old user: %v", left)
	}
	remove(t, stack)
	// As the page says, IAM keeps the policy that was attached.
	_, err = users.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: aws.String("arn:aws:iam::" + sandbox.Account + ":policy/" + byHand)})
	must(t, err)
	empty(t)
}

// madeByHand is the key of a user that reads the source bucket, of the policies and
// groups that people give users.
func madeByHand(t *testing.T, users *iam.Client, user string) (keyID, key string) {
	t.Helper()
	ctx := ctxOf(t)
	_, err := users.CreateUser(ctx, &iam.CreateUserInput{UserName: &user})
	must(t, err)
	const reads = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucket","s3:GetObject"],"Resource":"*"}]}`
	_, err = users.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &user, PolicyName: aws.String("cloney-source"), PolicyDocument: aws.String(reads)})
	must(t, err)
	policy, err := users.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: &user, PolicyDocument: aws.String(reads)})
	must(t, err)
	_, err = users.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &user, PolicyArn: policy.Policy.Arn})
	must(t, err)
	group := aws.String("migration")
	_, err = users.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: group})
	must(t, err)
	t.Cleanup(func() { _, _ = users.DeleteGroup(context.Background(), &iam.DeleteGroupInput{GroupName: group}) })
	_, err = users.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: group, UserName: &user})
	must(t, err)
	made, err := users.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &user})
	must(t, err)
	return *made.AccessKey.AccessKeyId, *made.AccessKey.SecretAccessKey
}
