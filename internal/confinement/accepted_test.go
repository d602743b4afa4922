package confinement_test

import (
	"strings"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// accepted is what can be done all the same, and why it is left so.
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

// risks are all that are known.
func risks() []accepted {
	s, anyBucket := setup{ireland, options{named: true}}, setup{Place: ireland}
	stranger := s.ARN("user/cloney/" + s.Region + "/made-by-hand")
	denyAll := key("iam:PolicyARN", "arn:aws:iam::aws:policy/AWSDenyAll")
	return []accepted{
		{setup: s, by: function, request: request("iam:CreateAccessKey", stranger),
			what: "Make a key for a user that someone else made on the path `/cloney/REGION/`, be it without a boundary",
			why:  "No condition of `iam:CreateAccessKey` sees a boundary, and one on tags would not hold, see the next. Make no users there by hand; a control policy can deny `iam:CreateUser` on that path to all but the provider's role."},
		{setup: s, by: function, request: request("iam:TagUser", stranger, tags("aws:RequestTag", owned(s.Place))),
			what: "Give such a user the provider's tags, and a user, policy or secret of its own those of another stack",
			why:  "Tags in the call that makes a user need the very same right, on a user that has no tags yet."},
		{setup: s, by: function, request: request("iam:CreatePolicyVersion", s.policy(), tags("aws:ResourceTag", owned(s.Place))),
			what: "Write any text into its own policies",
			why:  "No condition sees a policy's text. Its users stay within the boundary. Attach the provider's policies to nobody else, and use none of them as a boundary."},
		{setup: s, by: function, request: request("iam:DetachUserPolicy", s.ours(), denyAll, key("iam:PermissionsBoundary", s.BoundaryARN())),
			what: "Take a policy off its own users that someone attached by hand, one that denies too",
			why:  "What is attached to a user keeps it from being deleted. The boundary stays. To lock the function out as well, deny in a control policy."},
		{setup: s, by: function, request: request("iam:PutUserPermissionsBoundary", s.ours(), key("iam:PermissionsBoundary", s.BoundaryARN())),
			what: "Put the provider's boundary on its own users in the place of a tighter one",
			why:  "No condition sees which boundary a user carries before. The code replaces none that is somebody else's. To limit such a user further, deny in a control policy, or in an inline policy of the user."},
		{setup: s, by: function, request: request("iam:ListUsers", "*"),
			what: "List the names and ARNs of all users of the account",
			why:  "IAM takes no path as the resource of that call. It is how the provider's stack sees that users are left before it goes."},
		{setup: s, by: function, request: request("iam:GetUser", s.admin()),
			what: "See any user's ARN, tags and boundary",
			why:  "IAM asks for a path-less ARN when a user does not exist, and strangers under a wanted name are to be recognised."},
		{setup: s, by: function, request: request("secretsmanager:GetSecretValue", secretARN(s.Place, secret), otherStacks(s)),
			what: "Read, overwrite or delete the secrets of every stack in the region",
			why:  "One role serves them all; the code keeps stacks apart by the tags, before each call. Who overwrites a secret can put a key of his own there, and the next person pastes that one."},
		{setup: s, by: function, request: request("iam:CreateAccessKey", s.ours(), key("lambda:SourceFunctionArn", s.RegionalARN("lambda", "function:mine"))),
			what: "With `RoleUse` as it is by default: do the same in another function that the role is passed to, or with its credentials outside of any",
			why:  "The right to pass the role is an administrator's. `OwnFunctionOnly` ends it, and rests on a condition key that no account has shown yet."},
		{setup: setup{ireland, options{ownFunction: true}}, by: function, request: request("logs:PutLogEvents", s.RegionalARN("logs", "log-group:"+confinement.Provider.LogGroup()+":log-stream:x")),
			what: "With `RoleUse: OwnFunctionOnly`: write into the function's own log, and invoke the rotator, from elsewhere",
			why:  "Lambda writes the log in the role's name, and Secrets Manager invokes the rotator in it. AWS does not promise that these calls say which function they are of."},
		{setup: s, by: function, request: request("secretsmanager:PutResourcePolicy", secretARN(s.Place, secret), tags("aws:ResourceTag", owned(s.Place)), key("secretsmanager:BlockPublicPolicy", "true")),
			what: "Let anyone who is named, also in another account, read the provider's own secrets",
			why:  "That is `SecretReaders`; no condition sees who is named. `BlockPublicPolicy` keeps the world out, and a secret without a key of its own is closed to other accounts."},
		{setup: s, by: function, request: request("secretsmanager:DescribeSecret", secretARN(s.Place, foreignSecret)),
			what: "See that a secret under `cloney/` exists, and its tags",
			why:  "It is how a stranger under a wanted name is recognised. Its value stays closed."},
		{setup: s, by: function, request: request("lambda:InvokeFunction", s.Lambda(confinement.Rotator)),
			what: "Invoke the rotator with an event of its own making",
			why:  "Secrets Manager asks for that right of whoever has it rotate by a function. The rotator takes from an event which secret and which version, and looks itself whose they are; its answer holds no value. So it has nothing that the provider has not."},
		{setup: setup{ireland, options{inVPC: true}}, by: function, request: request("ec2:CreateNetworkInterface", s.RegionalARN("ec2", "network-interface/eni-1")),
			what: "With `SubnetIds`: make, see and delete network interfaces of the region with the function's credentials, after they were carried out of it",
			why:  "Lambda needs these rights in the role's name, and AWS says to give them on all resources. What the function's own code asks is told by `lambda:SourceFunctionArn` and denied; what is asked from elsewhere is not."},
		{setup: s, by: rotating, request: request("iam:UpdateAccessKey", s.ours()),
			what: "Make a deactivated key of the provider's users work again",
			why:  "No condition sees which way a key is switched. The code only ever deactivates. What must never work again is to be deleted."},
		{setup: s, by: rotating, request: request("iam:TagUser", s.ours(), tags("aws:RequestTag", map[string]string{"cloney:event:20991231T000000Z:0:1:a": "begun Delete"})),
			what: "Write a mark of an event with a time to come, which stops every event of that resource until it is taken off",
			why:  "Its runs and the provider's keep out of each other's way by such marks, and no condition reads a time out of a tag's key. A Delete answers SUCCESS then, and leaves the user and its key: look for these tags, and take them off."},
		{setup: s, by: rotating, request: request("iam:CreateAccessKey", stranger),
			what: "Make a key for a user that someone else made on the path `/cloney/REGION/`, be it without a boundary",
			why:  "As the provider."},
		{setup: s, by: rotating, request: request("secretsmanager:PutSecretValue", secretARN(s.Place, secret), otherStacks(s)),
			what: "Read and overwrite the secrets of every stack in the region, and delete the keys of every user",
			why:  "One role serves them all, as the provider's does. The code goes by the tags, and by what the secret's versions record."},
		{setup: s, by: rotating, request: request("secretsmanager:ListSecrets", "*"),
			what: "List the names and tags of all secrets of the region, and the names and ARNs of all users and policies of the account",
			why:  "None of the three calls takes a path or a prefix as its resource. The sweep finds by them what nobody else knows of. No value of a secret is listed."},
		{setup: s, by: rotating, request: request("iam:GetUser", s.admin()),
			what: "See any user's ARN, tags and boundary, and the tags of any secret under `cloney/`",
			why:  "As the provider: what is gone is to be told from what is denied."},
		{setup: s, by: rotating, request: request("cloudformation:DescribeStackResource", s.RegionalARN("cloudformation", "stack/payroll/1")),
			what: "See the physical id and the metadata of a resource of any stack of the region, by its name",
			why:  "The sweep looks whether a user's stack still has it. Stacks have tags that differ from one account to the next, so no condition tells them apart."},
		{setup: anyBucket, by: issued, request: request("s3:GetObject", "arn:aws:s3:::other/key"),
			what: "With `AllowedBuckets` `*`: use the eight actions on any bucket of the account, and on others that let it in",
			why:  "One boundary is for all users. Also without an edit a bucket's own policy can let a user in, by its ARN, its organization or a tag that it carries: `AllowedBuckets` closes that too."},
		{setup: s, by: issued, request: request("kms:Decrypt", s.RegionalARN("kms", "key/0f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0"), confinement.ViaService("s3", s.Place)),
			what: "Decrypt and make data keys with any KMS key whose policy leaves that to IAM, through S3 alone",
			why:  "`KmsKeyArns` is the stack's to set. What S3 decrypts it hands out of the buckets that the user may read, and of no others."},
		{setup: s, allowed: "a*b", by: issued, request: request("s3:GetObject", "arn:aws:s3:::another/key-ends-in-b"),
			what: "Where `AllowedBuckets` has a `*` that is not at the end (`a*b`): reach objects in other buckets whose ARN fits all the same (`another/key-ends-in-b`)",
			why:  "A `*` in an ARN stands for slashes too. The function itself matches bucket names and grants nothing there. Patterns that end in `*`, or have none, hold in full."},
	}
}

// What is said to be accepted is possible: when it no longer is, the text goes.
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
			function: "By who has taken over the provider's code:",
			rotating: "By who has taken over the rotator's code:",
			issued:   "By who holds an issued key, after its user's policy was edited:",
		}[by] + "\n\n")
		for _, risk := range risks() {
			if risk.by == by {
				text.WriteString("- **" + risk.what + ".** " + risk.why + "\n")
			}
		}
	}
	return text.String() + "\n"
}
