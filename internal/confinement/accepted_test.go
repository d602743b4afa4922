package confinement_test

import (
	"strings"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// accepted is an attack that remains possible, and the reason why we leave it.
type accepted struct {
	setup
	by        attacker
	request   iamtest.Request
	what, why string
	allowed   string // AllowedBuckets, where it is another list
}

// otherStacks are the tags of a secret of another stack of the region.
func otherStacks(s setup) map[string][]string {
	tags := owned(s.Place)
	tags["cloney:stack-id"] = s.RegionalARN("cloudformation", "stack/payroll/0f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0")
	return confinement.ResourceTags(tags)
}

// risks are all known ones.
func risks() []accepted {
	s, anyBucket := setup{ireland, options{named: true}}, setup{Place: ireland}
	stranger := s.ARN("user/cloney/" + s.Region + "/made-by-hand")
	denyAll := key("iam:PolicyARN", "arn:aws:iam::aws:policy/AWSDenyAll")
	return []accepted{
		{setup: s, by: function, request: request("iam:CreateAccessKey", stranger),
			what: "Create a key for a user that somebody else created on the path `/cloney/REGION/`, even without a boundary",
			why:  "No condition of `iam:CreateAccessKey` sees a boundary, and the next item shows how to get around a condition on tags. Create no users there by hand; a control policy can deny `iam:CreateUser` on that path to all but the provider's role."},
		{setup: s, by: function, request: request("iam:TagUser", stranger, tags("aws:RequestTag", owned(s.Place))),
			what: "Give such a user the provider's tags, and give one of its own users, policies or secrets the tags of another stack",
			why:  "The call that creates a user with tags needs this same right, on a user without tags."},
		{setup: s, by: function, request: request("iam:CreatePolicyVersion", s.policy(), tags("aws:ResourceTag", owned(s.Place))),
			what: "Write any text into its own policies",
			why:  "No condition sees a policy's text. Its users stay within the boundary. Attach the provider's policies to nobody else, and use none of them as a boundary."},
		{setup: s, by: function, request: request("iam:DetachUserPolicy", s.ours(), denyAll, key("iam:PermissionsBoundary", s.BoundaryARN())),
			what: "Detach a policy from its own users that somebody attached by hand, even a policy that denies",
			why:  "IAM does not delete a user with attached policies. The boundary stays. To lock the function out as well, deny in a control policy."},
		{setup: s, by: function, request: request("iam:PutUserPermissionsBoundary", s.ours(), key("iam:PermissionsBoundary", s.BoundaryARN())),
			what: "Put the provider's boundary on its own users in place of a tighter one",
			why:  "No condition sees which boundary a user has before the call. The code does not replace a boundary of somebody else. To limit such a user further, deny in a control policy, or in an inline policy of the user."},
		{setup: s, by: function, request: request("iam:ListUsers", "*"),
			what: "List the names and ARNs of all users of the account",
			why:  "IAM takes no path as the resource of that call. The provider's guard needs it: before the provider's stack is deleted, it checks that no users are left."},
		{setup: s, by: function, request: request("iam:GetUser", s.admin()),
			what: "See any user's ARN, tags and boundary",
			why:  "If a user does not exist, IAM checks the right on an ARN without a path. And the code must recognize somebody else's user with a requested name."},
		{setup: s, by: function, request: request("secretsmanager:GetSecretValue", secretARN(s.Place, secret), otherStacks(s)),
			what: "Read, overwrite or delete the secrets of every stack in the region",
			why:  "One role serves them all; the code keeps stacks apart by the tags, before each call. An intruder can overwrite a secret with a key of their own, and the next person pastes that key."},
		{setup: s, by: function, request: request("iam:CreateAccessKey", s.ours(), key("lambda:SourceFunctionArn", s.RegionalARN("lambda", "function:mine"))),
			what: "With the default of `RoleUse`: do the same in another function with that role, or with its credentials outside of any function",
			why:  "The right to pass the role is an administrator's. `OwnFunctionOnly` ends this, but relies on a condition key that no account has shown yet."},
		{setup: setup{ireland, options{ownFunction: true}}, by: function, request: request("logs:PutLogEvents", s.RegionalARN("logs", "log-group:"+confinement.Provider.LogGroup()+":log-stream:x")),
			what: "With `RoleUse: OwnFunctionOnly`: write into the function's own log, and invoke the rotator, from elsewhere",
			why:  "Lambda writes the log in the role's name, and Secrets Manager invokes the rotator in it. AWS does not promise that these calls name their function."},
		{setup: s, by: function, request: request("secretsmanager:PutResourcePolicy", secretARN(s.Place, secret), tags("aws:ResourceTag", owned(s.Place)), key("secretsmanager:BlockPublicPolicy", "true")),
			what: "Let any named principal, also in another account, read the provider's own secrets",
			why:  "`SecretReaders` needs it, and no condition sees the named principals. `BlockPublicPolicy` prevents public access, and other accounts cannot read a secret without a KMS key of its own."},
		{setup: s, by: function, request: request("secretsmanager:DescribeSecret", secretARN(s.Place, foreignSecret)),
			what: "See that a secret under `cloney/` exists, and its tags",
			why:  "The code must recognize somebody else's secret with a requested name. It cannot read the value."},
		{setup: s, by: function, request: request("lambda:InvokeFunction", s.Lambda(confinement.Rotator)),
			what: "Invoke the rotator with an event that it has written itself",
			why:  "Secrets Manager requires that right of a caller that sets a rotation function. The rotator takes only the secret and the version from an event, and checks itself to which stack they belong. Its response holds no value. So this gives the provider nothing new."},
		{setup: setup{ireland, options{inVPC: true}}, by: function, request: request("ec2:CreateNetworkInterface", s.RegionalARN("ec2", "network-interface/eni-1")),
			what: "With `SubnetIds`: create, see and delete network interfaces of the region with the function's credentials, after somebody has copied them out of the function",
			why:  "Lambda needs these rights in the role's name, and AWS says to give them on all resources. Calls of the function's own code carry `lambda:SourceFunctionArn` and are denied. Calls from elsewhere do not carry it."},
		{setup: s, by: rotating, request: request("iam:UpdateAccessKey", s.ours()),
			what: "Activate a deactivated key of the provider's users",
			why:  "No condition sees whether a call activates or deactivates. The code only deactivates. Delete a key that must never work again."},
		{setup: s, by: rotating, request: request("iam:TagUser", s.ours(), tags("aws:RequestTag", map[string]string{"cloney:event:20991231T000000Z:0:1:a": "begun Delete"})),
			what: "Write a mark of an event with a time in the future, which stops every event of that resource until somebody removes it",
			why:  "Its runs and those of the provider take turns by such marks, and no condition reads a time in a tag's key. A Delete then answers SUCCESS, and leaves the user and its key: look for these tags, and remove them."},
		{setup: s, by: rotating, request: request("iam:CreateAccessKey", stranger),
			what: "Create a key for a user that somebody else created on the path `/cloney/REGION/`, even without a boundary",
			why:  "The reason is the same as for the provider."},
		{setup: s, by: rotating, request: request("secretsmanager:PutSecretValue", secretARN(s.Place, secret), otherStacks(s)),
			what: "Read and overwrite the secrets of every stack in the region, and delete the keys of every user",
			why:  "One role serves them all, in the same way as the provider's role. The code decides by the tags, and by the labels of the secret's versions."},
		{setup: s, by: rotating, request: request("secretsmanager:ListSecrets", "*"),
			what: "List the names and tags of all secrets of the region, and the names and ARNs of all users and policies of the account",
			why:  "None of the three calls takes a path or a prefix as its resource. The sweep needs them to find what nobody else knows of. No value of a secret is listed."},
		{setup: s, by: rotating, request: request("iam:GetUser", s.admin()),
			what: "See any user's ARN, tags and boundary, and the tags of any secret under `cloney/`",
			why:  "The reason is the same as for the provider: the code must distinguish a user that does not exist from a denied call."},
		{setup: s, by: rotating, request: request("cloudformation:DescribeStackResource", s.RegionalARN("cloudformation", "stack/payroll/1")),
			what: "See the physical id and the metadata of a resource of any stack of the region, by its name",
			why:  "The sweep checks whether a user's stack still has its resource. The tags of stacks differ between accounts, so no condition can select stacks."},
		{setup: anyBucket, by: issued, request: request("s3:GetObject", "arn:aws:s3:::other/key"),
			what: "With `AllowedBuckets` `*`: use the eight actions on any bucket of the account, and on others that let it in",
			why:  "One boundary is for all users. Even without an edit, a bucket's own policy can let a user in, by its ARN, its organization or a tag that it carries: a list in `AllowedBuckets` closes that too."},
		{setup: s, by: issued, request: request("kms:Decrypt", s.RegionalARN("kms", "key/0f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0"), confinement.ViaService("s3", s.Place)),
			what: "Decrypt and generate data keys with any KMS key whose policy leaves that to IAM, through S3 alone",
			why:  "The stack sets `KmsKeyArns`. S3 returns decrypted objects only from the buckets that the user may read."},
		{setup: s, allowed: "a*b", by: issued, request: request("s3:GetObject", "arn:aws:s3:::another/key-ends-in-b"),
			what: "Where `AllowedBuckets` has a `*` that is not at the end (`a*b`): reach objects in other buckets whose ARN fits too (`another/key-ends-in-b`)",
			why:  "A `*` in an ARN also stands for slashes. The function itself matches only bucket names and grants nothing there. Patterns with a `*` only at the end, or without one, have no such gap."},
	}
}

// Every accepted attack is possible. When one no longer is, its text must leave the list.
func TestAcceptedRisksAreThere(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	for _, risk := range risks() {
		given := risk.parameters()
		if risk.allowed != "" {
			given["AllowedBuckets"] = risk.allowed
		}
		documents, err := template.At(risk.Place, given)
		if err != nil {
			t.Fatal(err)
		}
		m := (&model{setup: risk.setup}).with(documents)
		if d := iamtest.Evaluate(m.attacked(attack{by: risk.by}), risk.request); d.Outcome != iamtest.Allowed {
			t.Errorf("%s: %v", risk.what, d)
		}
	}
}

func riskList() string {
	var text strings.Builder
	for _, by := range []attacker{function, rotating, issued} {
		text.WriteString("\n" + map[attacker]string{
			function: "An intruder in the provider's code can:",
			rotating: "An intruder in the rotator's code can:",
			issued:   "The holder of an issued key can, after the user's policy was edited:",
		}[by] + "\n\n")
		for _, risk := range risks() {
			if risk.by == by {
				text.WriteString("- **" + risk.what + ".** " + risk.why + "\n")
			}
		}
	}
	return text.String() + "\n"
}
