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
}

// otherStacks are the tags of a secret of another stack of the region.
func otherStacks(s setup) map[string][]string {
	tags := owned(s.Place)
	tags["cloney:stack-id"] = s.RegionalARN("cloudformation", "stack/payroll/0f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0")
	return confinement.ResourceTags(tags)
}

// risks are all that are known.
func risks() []accepted {
	s := setup{Place: ireland, allowedBuckets: named}
	middle, secretRegion := setup{Place: ireland, allowedBuckets: "a*b"}, setup{Place: confinement.Place{Partition: "aws-iso", Region: "us-iso-east-1", Account: "123456789012"}, allowedBuckets: named}
	stranger := s.ARN("user/cloney/" + s.Region + "/made-by-hand")
	denyAll := key("iam:PolicyARN", "arn:aws:iam::aws:policy/AWSDenyAll")
	return []accepted{
		{s, function, request("iam:CreateAccessKey", stranger),
			"Make a key for a user that someone else made on the path `/cloney/REGION/`, be it without a boundary",
			"No condition of `iam:CreateAccessKey` sees a boundary, and one on tags would not hold, see the next. Make no users there by hand; a control policy can deny `iam:CreateUser` on that path to all but the provider's role."},
		{s, function, request("iam:TagUser", stranger, tags("aws:RequestTag", owned(s.Place))),
			"Give such a user the provider's tags",
			"Tags in the call that makes a user need the very same right, on a user that has no tags yet."},
		{s, function, request("iam:CreatePolicyVersion", s.policy(), tags("aws:ResourceTag", owned(s.Place))),
			"Write any text into its own policies",
			"No condition sees a policy's text. Its users stay within the boundary. Attach the provider's policies to nobody else, and use none of them as a boundary."},
		{s, function, request("iam:DetachUserPolicy", s.ours(), denyAll, key("iam:PermissionsBoundary", s.BoundaryARN())),
			"Take a policy off its own users that someone attached by hand, one that denies too",
			"What is attached to a user keeps it from being deleted. The boundary stays. To lock the function out as well, deny in a control policy."},
		{s, function, request("iam:PutUserPermissionsBoundary", s.ours(), key("iam:PermissionsBoundary", s.BoundaryARN())),
			"Put the provider's boundary on its own users in the place of a tighter one",
			"No condition sees which boundary a user carries before. The code replaces none that is somebody else's. To limit such a user further, deny in a control policy, or in an inline policy of the user."},
		{s, function, request("iam:ListUsers", "*"),
			"List the names and ARNs of all users of the account",
			"IAM takes no path as the resource of that call. It is how the provider's stack sees that users are left before it goes."},
		{s, function, request("iam:GetUser", s.admin()),
			"See any user's ARN, tags and boundary",
			"IAM asks for a path-less ARN when a user does not exist, and strangers under a wanted name are to be recognised."},
		{s, function, request("secretsmanager:GetSecretValue", secretARN(s.Place, secret), otherStacks(s)),
			"Read, change or delete the secrets of every stack in the region",
			"One role serves them all; the code keeps stacks apart by the tags, before each call."},
		{s, function, request("secretsmanager:PutResourcePolicy", secretARN(s.Place, secret), tags("aws:ResourceTag", owned(s.Place)), key("secretsmanager:BlockPublicPolicy", "true")),
			"Let anyone who is named, also in another account, read the provider's own secrets",
			"That is `SecretReaders`; no condition sees who is named. `BlockPublicPolicy` keeps the world out, and a secret without a key of its own is closed to other accounts."},
		{s, function, request("secretsmanager:DescribeSecret", secretARN(s.Place, foreignSecret)),
			"See that a secret under `cloney/` exists, and its tags",
			"It is how a stranger under a wanted name is recognised. Its value stays closed."},
		{s, function, request("lambda:InvokeFunction", s.Lambda(confinement.Rotator)),
			"Invoke the rotator with an event of its own making",
			"Secrets Manager asks for that right of whoever has it rotate by a function. The rotator takes from an event which secret and which version, and looks itself whose they are; its answer holds no value. So it has nothing that the provider has not."},
		{setup{Place: ireland, allowedBuckets: named, inVPC: true}, function, request("ec2:CreateNetworkInterface", s.RegionalARN("ec2", "network-interface/eni-1")),
			"With `SubnetIds`: make, see and delete network interfaces of the region with the function's credentials, after they were carried out of it",
			"Lambda needs these rights in the role's name, and AWS says to give them on all resources. What the function's own code asks is told by `lambda:SourceFunctionArn` and denied; what is asked from elsewhere is not."},
		{s, rotating, request("iam:UpdateAccessKey", s.ours()),
			"Make a deactivated key of the provider's users work again",
			"No condition sees which way a key is switched. The code only ever deactivates. What must never work again is to be deleted."},
		{s, rotating, request("iam:CreateAccessKey", stranger),
			"Make a key for a user that someone else made on the path `/cloney/REGION/`, be it without a boundary",
			"As the provider."},
		{s, rotating, request("secretsmanager:PutSecretValue", secretARN(s.Place, secret), otherStacks(s)),
			"Read and overwrite the secrets of every stack in the region, and delete the keys of every user",
			"One role serves them all. The code goes by the tags, and by what the secret's versions record."},
		{s, rotating, request("secretsmanager:ListSecrets", "*"),
			"List the names and tags of all secrets of the region, and the names and ARNs of all users and policies of the account",
			"None of the three calls takes a path or a prefix as its resource. The sweep finds by them what nobody else knows of. No value of a secret is listed."},
		{s, rotating, request("iam:GetUser", s.admin()),
			"See any user's ARN, tags and boundary, and the tags of any secret under `cloney/`",
			"As the provider: what is gone is to be told from what is denied."},
		{s, rotating, request("cloudformation:DescribeStackResource", s.RegionalARN("cloudformation", "stack/payroll/1")),
			"See the physical id and the metadata of a resource of any stack of the region, by its name",
			"The sweep looks whether a user's stack still has it. Stacks have tags that differ from one account to the next, so no condition tells them apart."},
		{setup{Place: ireland, allowedBuckets: "*"}, issued, request("s3:GetObject", "arn:aws:s3:::other/key"),
			"With `AllowedBuckets` as it is by default: use the eight actions on any bucket of the account, and on others that let it in",
			"One boundary is for all users. Also without an edit a bucket's own policy can let a user in, by its ARN, its organization or a tag that it carries: `AllowedBuckets` closes that too."},
		{s, issued, request("kms:Decrypt", s.RegionalARN("kms", "key/0f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0"), confinement.ViaService("s3", s.Place)),
			"Decrypt and make data keys with any KMS key whose policy leaves that to IAM, through S3 alone",
			"`KmsKeyArns` is the stack's to set. What S3 decrypts it hands out of the buckets that the user may read, and of no others."},
		{middle, issued, request("s3:GetObject", "arn:aws:s3:::another/key-ends-in-b"),
			"Where `AllowedBuckets` has a `*` that is not at the end (`a*b`): reach objects in other buckets whose ARN fits all the same (`another/key-ends-in-b`)",
			"A `*` in an ARN stands for slashes too. The function itself matches bucket names and grants nothing there. Patterns that end in `*`, or have none, hold in full."},
		{secretRegion, issued, request("s3:GetObject", "arn:aws-iso:s3:::other/key"),
			"In the iso partitions: reach buckets outside of `AllowedBuckets`",
			"The boundary names buckets in aws, aws-cn, aws-us-gov and aws-eusc alone. The function itself keeps to the list everywhere."},
	}
}

// What is said to be accepted is possible: when it no longer is, the text goes.
func TestAcceptedRisksAreThere(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	for _, risk := range risks() {
		documents, err := template.At(risk.Place, risk.parameters())
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
