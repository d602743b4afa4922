package confinement_test

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/announce"
	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/rotation"
	"cloney-s3-credentials/internal/secrets"
	"cloney-s3-credentials/internal/stacks"
	"cloney-s3-credentials/internal/sweep"
	"cloney-s3-credentials/internal/users"
)

// driveRotator calls what the rotator's function uses.
func driveRotator(t *testing.T, cfg aws.Config, at setup, _ string) {
	t.Helper()
	asks := methodsOf(reflect.TypeFor[rotation.Rotator](), reflect.TypeFor[sweep.Sweeper]())
	play(t, step{"the function's account", func(ctx context.Context) error {
		return second(sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	}})
	u := edgeOfUsers(cfg, at)
	complete(t, asks, reflect.ValueOf(u), play(t, rotatedUserSteps(u)...), user)
	s := secrets.New(cfg, secrets.Options{Rotator: at.Lambda(confinement.Rotator)})
	complete(t, asks, reflect.ValueOf(s), play(t, rotatedSecretSteps(s)...), secret)

	stack, err := name.ParseStackID(stack(at.Place))
	if err != nil {
		t.Fatal(err)
	}
	topic := ""
	if at.notifies {
		topic = at.Topic()
	}
	play(t,
		step{"Resource", func(ctx context.Context) error {
			return second(stacks.New(cfg).Resource(ctx, name.Owner{Stack: stack, Logical: "Source"}))
		}},
		step{"Announce", func(ctx context.Context) error {
			return announce.New(cfg, topic, slog.New(slog.DiscardHandler)).Announce(ctx, notice.Notice{Kind: notice.Rotated, SecretARN: secretARN(at.Place, secret)})
		}})
}

// These are the marks of a run, and the tag of announced notices.
var marked, unmarked = map[string]string{"cloney:event:20261125T000000Z:0:1:a": "begun Rotate", "cloney:told": "1"}, []string{"cloney:event:20261124T000000Z:0:1:a"}

func rotatedUserSteps(u *users.Client) []step {
	return []step{
		{"User", func(ctx context.Context) error { return absent(u.User(ctx, user)) }},
		{"User", func(ctx context.Context) error { return second(u.User(ctx, user)) }},
		{"TagUser", func(ctx context.Context) error { return u.TagUser(ctx, user, marked, unmarked) }},
		{"Attached", func(ctx context.Context) error { return second(u.Attached(ctx, user)) }},
		{"Policy", func(ctx context.Context) error { return second(u.Policy(ctx, user+"-1")) }},
		{"PolicyText", func(ctx context.Context) error { return second(u.PolicyText(ctx, user+"-1", "v1")) }},
		{"Keys", func(ctx context.Context) error { return second(u.Keys(ctx, user)) }},
		{"CreateKey", func(ctx context.Context) error { return second(u.CreateKey(ctx, user)) }},
		{"LastUse", func(ctx context.Context) error { return second(u.LastUse(ctx, "AKIAISSUED")) }},
	}
}

func rotatedSecretSteps(s *secrets.Client) []step {
	told := map[string]string{"cloney:told": "1", "cloney:swept": user}
	return []step{
		{"Secret", func(ctx context.Context) error { return absent(s.Secret(ctx, secret)) }},
		{"Secret", func(ctx context.Context) error { return second(s.Secret(ctx, secret)) }},
		{"PutVersion", func(ctx context.Context) error {
			return s.WithRotationToken(access.NewSecret("t")).PutVersion(ctx, secret, "token", access.NewSecret("x"), []string{"AWSPENDING"})
		}},
		{"Value", func(ctx context.Context) error { return second(s.Value(ctx, secret, "token")) }},
		{"Promote", func(ctx context.Context) error { return s.Promote(ctx, secret, "token", "former") }},
		{"Unlabel", func(ctx context.Context) error { return s.Unlabel(ctx, secret, "token", "AWSPENDING") }},
		{"TagSecret", func(ctx context.Context) error { return s.TagSecret(ctx, secret, told, []string{"cloney:swept"}) }},
	}
}

// onRotation are attacks with the rotator's role. It issues and retires keys of existing
// users, and gives no user more access.
func onRotation(s setup) []attack {
	strangers := []string{s.admin(), s.theirs(), s.ARN("user/cloney/" + user)}
	theirs, outside, ours := secretARN(s.Place, foreignSecret), secretARN(s.Place, "database"), secretARN(s.Place, secret)
	have, away := tags("aws:ResourceTag", owned(s.Place)), tags("aws:ResourceTag", owned(elsewhere(s.Place)))
	keys := []string{"iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", "iam:ListAttachedUserPolicies", "iam:ListUserPolicies"}
	values := []string{"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"}
	bounded := merged(key("iam:PermissionsBoundary", s.bound()), tags("aws:RequestTag", owned(s.Place)), key("iam:PolicyARN", s.policy()))
	// The role may set these tags on entities of ours, and on no others.
	mark, told := tags("aws:RequestTag", marked), tags("aws:RequestTag", map[string]string{"cloney:told": "1"})
	owner := tags("aws:RequestTag", owned(s.Place))
	both := tags("aws:RequestTag", map[string]string{"cloney:told": "1", "cloney:stack-id": "x"})
	completed := tags("aws:RequestTag", map[string]string{"cloney:completed": "verified"})
	untag := func(names ...string) map[string][]string { return key("aws:TagKeys", names...) }
	self := s.Lambda(confinement.Rotator)
	log, object := confinement.Rotator.LogGroup(), "arn:"+s.Partition+":s3:::data-in/key"
	uses := []string{"kms:Decrypt", "kms:GenerateDataKey"}
	event := confinement.Event("cloney.s3-credentials", "Credential Rotated")
	bus := s.RegionalARN("events", "event-bus/default")
	otherAccount := s.Place
	otherAccount.Account = "999999999999"
	all := []attack{
		{what: "Create, change, read or delete a key of an administrator, or of a user of another region's provider", requests: func() (requests []iamtest.Request) {
			for _, stranger := range strangers {
				requests = append(requests, each(stranger, nil, keys...)...)
			}
			return requests
		}()},
		{what: "Create, rename or delete a user, or give it a password or a group", requests: append(
			each(s.ours(), bounded, "iam:CreateUser", "iam:UpdateUser", "iam:DeleteUser", "iam:CreateLoginProfile", "iam:UploadSSHPublicKey", "iam:CreateServiceSpecificCredential"),
			request("iam:AddUserToGroup", s.ARN("group/admins")))},
		{what: "Attach, detach or write a policy of a user, or change its boundary", requests: each(s.ours(), bounded,
			"iam:AttachUserPolicy", "iam:DetachUserPolicy", "iam:PutUserPolicy", "iam:DeleteUserPolicy", "iam:PutUserPermissionsBoundary", "iam:DeleteUserPermissionsBoundary")},
		{what: "Create, write, tag or delete a policy, also the boundary", requests: append(
			each(s.policy(), owner, "iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicyVersion", "iam:DeletePolicy", "iam:TagPolicy", "iam:UntagPolicy"),
			each(s.bound(), nil, "iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicy")...)},
		{what: "Read a policy outside of the path", requests: each(s.ARN("policy/admins"), nil, "iam:GetPolicy", "iam:GetPolicyVersion")},
		{what: "Create, change, assume or pass a role", requests: append(
			each(s.ARN("role/cloney-provider/x"), nil, "iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:PassRole"),
			request("sts:AssumeRole", s.ARN("role/admin")))},
		{what: "Tag a user so that it belongs to another stack or counts as completed, or remove such a tag", requests: slices.Concat(
			on("iam:TagUser", owner, s.ours()), on("iam:TagUser", both, s.ours()), on("iam:TagUser", completed, s.ours()), on("iam:TagUser", nil, s.ours()),
			on("iam:UntagUser", untag("cloney:stack-id"), s.ours()), on("iam:UntagUser", untag("cloney:told", "cloney:completed"), s.ours()))},
		{what: "Mark a user that is not the provider's", requests: append(
			on("iam:TagUser", mark, strangers...), on("iam:UntagUser", untag("cloney:told"), strangers...)...)},
		{what: "Tag a secret so that it belongs to another stack, or remove such a tag", requests: slices.Concat(
			on("secretsmanager:TagResource", merged(have, owner), ours), on("secretsmanager:TagResource", merged(have, both), ours), on("secretsmanager:TagResource", have, ours),
			on("secretsmanager:UntagResource", merged(have, untag("cloney:stack-id")), ours))},
		{what: "Mark a secret that is not the provider's", requests: slices.Concat(
			on("secretsmanager:TagResource", told, theirs), on("secretsmanager:TagResource", merged(away, told), theirs), on("secretsmanager:TagResource", merged(have, told), outside),
			on("secretsmanager:UntagResource", untag("cloney:told"), theirs))},
		{what: "Read, overwrite or relabel a secret without a stack's tag, of a stack of another region, or not under cloney/", requests: slices.Concat(
			each(theirs, nil, values...), each(theirs, away, values...), each(outside, have, values...))},
		{what: "Look at a secret that is not under cloney/, or read many at once", requests: []iamtest.Request{
			request("secretsmanager:DescribeSecret", outside), request("secretsmanager:BatchGetSecretValue", "*")}},
		{what: "Create, delete, restore, copy or encrypt again a secret, or change its readers or its rotation function", requests: each(ours,
			merged(have, owner, key("secretsmanager:BlockPublicPolicy", "true"), key("secretsmanager:RotationLambdaARN", self)),
			"secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:RestoreSecret", "secretsmanager:UpdateSecret", "secretsmanager:ReplicateSecretToRegions",
			"secretsmanager:PutResourcePolicy", "secretsmanager:DeleteResourcePolicy", "secretsmanager:RotateSecret", "secretsmanager:CancelRotateSecret")},
		{what: "Read or overwrite a secret by a KMS key of another account that is not in `SecretKmsKeys`; use another account's key for messages", requests: append(
			each(otherAccount.KeyARN(), confinement.ViaService("secretsmanager", s.Place), uses...), each(otherAccount.KeyARN(), confinement.ViaService("sns", s.Place), uses...)...)},
		{what: "Use a KMS key directly, through S3, or in another region; change its policy", requests: slices.Concat(
			each(s.KeyARN(), nil, uses...), each(s.KeyARN(), confinement.ViaService("s3", s.Place), uses...),
			each(elsewhere(s.Place).KeyARN(), confinement.ViaService("secretsmanager", s.Place), uses...), each(elsewhere(s.Place).KeyARN(), confinement.ViaService("sns", s.Place), uses...),
			each(s.KeyARN(), confinement.ViaService("secretsmanager", s.Place), "kms:Encrypt", "kms:CreateGrant", "kms:PutKeyPolicy"))},
		{what: "Put an event with another source, or on another bus", requests: slices.Concat(
			on("events:PutEvents", confinement.Event("aws.s3", "Object Created"), bus), on("events:PutEvents", nil, bus),
			on("events:PutEvents", event, s.RegionalARN("events", "event-bus/other"), otherAccount.RegionalARN("events", "event-bus/default")))},
		{what: "Publish to another topic, or to any topic without `AlarmTopicArn`", requests: on("sns:Publish", nil, s.RegionalARN("sns", "other"))},
		{what: "Look at stacks of another account or region, or change one", requests: append(
			on("cloudformation:DescribeStackResource", nil, stack(otherAccount), stack(elsewhere(s.Place))),
			each(stack(s.Place), nil, "cloudformation:UpdateStack", "cloudformation:DeleteStack", "cloudformation:GetTemplate")...)},
		{what: "Change or invoke a function, or its schedule", requests: append(
			each(self, nil, "lambda:UpdateFunctionCode", "lambda:AddPermission", "lambda:InvokeFunction"),
			request("events:PutRule", s.RegionalARN("events", "rule/x")), request("lambda:InvokeFunction", s.Lambda(confinement.Provider)))},
		{what: "Read or write objects with its own rights", requests: each(object, nil, "s3:GetObject", "s3:PutObject")},
		{what: "Create, see or delete network interfaces from within the function (`SubnetIds`)", requests: append(
			each(s.RegionalARN("ec2", "network-interface/eni-1"), nil, "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
			each("*", nil, "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")...)},
		{what: "Write into the log of another function, or delete its own", requests: append(
			each(s.RegionalARN("logs", "log-group:"+confinement.Provider.LogGroup()+":log-stream:x"), nil, "logs:CreateLogStream", "logs:PutLogEvents"),
			request("logs:DeleteLogGroup", s.RegionalARN("logs", "log-group:"+log)))},
	}
	for i := range all {
		all[i].by = rotating
	}
	return all
}
