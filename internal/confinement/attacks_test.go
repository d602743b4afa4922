package confinement_test

import (
	"maps"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// attacker says with which credentials an attack is made.
type attacker int

const (
	function         attacker = iota // the provider's role: its code is the attacker's
	overlooked                       // the same, after somebody has given the role AdministratorAccess
	rotating                         // the rotator's role: its code is the attacker's
	issued                           // an issued key, after the user's policy was edited to allow everything
	elsewhereRun                     // the provider's role, passed to another function, or its credentials outside of any
	elsewhereRotates                 // the rotator's, in the same way
	direct                           // an administrator who invokes the provider directly
)

// function is the function whose role the attacker has; for an issued key there is none.
func (a attacker) function() confinement.Function {
	return map[attacker]confinement.Function{function: confinement.Provider, overlooked: confinement.Provider, elsewhereRun: confinement.Provider, rotating: confinement.Rotator, elsewhereRotates: confinement.Rotator}[a]
}

// attack is one thing that must be impossible by any of these requests.
type attack struct {
	by       attacker
	what     string
	requests []iamtest.Request
	// outright: only an explicit Deny is enough, because the resource's own policy could
	// name the user, and a boundary does not limit that.
	outright bool
	resource string // such a policy, where the evaluator takes one
	// oursAlone: the other evaluator does not know such a resource.
	oursAlone bool
}

// attacks are all attacks on a stack.
func attacks(s setup) []attack {
	var all []attack
	for _, of := range []func(setup) []attack{onUsers, onTags, onPolicies, onEscalation, onSecrets, onKeys, onTheRest, onRotation, withIssuedKey, fromElsewhere, directly} {
		all = append(all, of(s)...)
	}
	for i, a := range all {
		if a.by == function || a.by == overlooked || a.by == rotating {
			all[i].requests = inside(s, a)
		}
	}
	return all
}

// inside returns the requests of an attack as the function's own code sends them.
func inside(s setup, a attack) (requests []iamtest.Request) {
	for _, r := range a.requests {
		if !strings.HasPrefix(r.Action, "kms:") && r.Action != "lambda:InvokeFunction" {
			r.Context = merged(r.Context, key("lambda:SourceFunctionArn", s.Lambda(a.by.function())))
		}
		requests = append(requests, r)
	}
	return requests
}

// each returns a request for every action.
func each(resource string, context map[string][]string, actions ...string) (requests []iamtest.Request) {
	for _, action := range actions {
		requests = append(requests, request(action, resource, context))
	}
	return requests
}

// on returns a request for one action on every resource.
func on(action string, context map[string][]string, resources ...string) (requests []iamtest.Request) {
	for _, resource := range resources {
		requests = append(requests, request(action, resource, context))
	}
	return requests
}

// These are users: ours, and others.
func (s setup) ours() string    { return s.ARN("user/cloney/" + s.Region + "/" + user) }
func (s setup) admin() string   { return s.ARN("user/" + foreignUser) }
func (s setup) theirs() string  { return s.ARN("user/cloney/" + elsewhere(s.Place).Region + "/" + user) }
func (s setup) policy() string  { return s.ARN("policy/cloney/" + s.Region + "/" + user + "-1") }
func (s setup) managed() string { return "arn:" + s.Partition + ":iam::aws:policy/AdministratorAccess" }

func merged(contexts ...map[string][]string) map[string][]string {
	out := map[string][]string{}
	for _, c := range contexts {
		maps.Copy(out, c)
	}
	return out
}

// onUsers are attacks on users, and on the boundary that limits them from their first
// moment.
func onUsers(s setup) []attack {
	bounded := key("iam:PermissionsBoundary", s.bound())
	tagged := tags("aws:RequestTag", owned(s.Place))
	unbounded := key("iam:PermissionsBoundary", s.managed())
	const create = "iam:CreateUser"
	strangers := []string{s.admin(), s.theirs(), s.ARN("user/cloney/" + user)}
	own := key("iam:PolicyARN", s.policy())
	taking := []string{
		"iam:DeactivateMFADevice", "iam:DeleteAccessKey", "iam:DeleteLoginProfile", "iam:DeleteServiceSpecificCredential",
		"iam:DeleteSigningCertificate", "iam:DeleteSSHPublicKey", "iam:DeleteUser", "iam:DeleteUserPolicy", "iam:DetachUserPolicy",
	}
	return []attack{
		{what: "Create a user without a boundary", requests: on(create, tagged, s.ours())},
		{what: "Create a user with another boundary", requests: on(create, merged(tagged, unbounded), s.ours())},
		{what: "Create a user outside of the path, or on the path of another region", requests: on(create, merged(tagged, bounded), strangers...)},
		{what: "Create a user without a stack's tag, or with the tag of a stack of another region", requests: append(
			on(create, bounded, s.ours()),
			on(create, merged(bounded, tags("aws:RequestTag", owned(elsewhere(s.Place)))), s.ours())...)},
		{what: "Create a key for an administrator, or for a user of another region's provider", requests: on("iam:CreateAccessKey", nil, strangers...)},
		{what: "List the keys and policies of such a user", requests: append(on("iam:ListAccessKeys", nil, strangers...), on("iam:ListUserPolicies", nil, strangers...)...)},
		{what: "Delete such a user, or its keys, MFA devices and the like, or detach its policies", requests: append(each(s.admin(), nil, taking...), each(s.theirs(), nil, taking...)...)},
		{what: "Attach AdministratorAccess, or any policy outside of the path, to a user", requests: []iamtest.Request{
			request("iam:AttachUserPolicy", s.ours(), bounded, key("iam:PolicyARN", s.managed())),
			request("iam:AttachUserPolicy", s.ours(), bounded, key("iam:PolicyARN", s.ARN("policy/cloney/"+elsewhere(s.Place).Region+"/x-1"))),
		}},
		{what: "Attach a policy to an administrator, or to a user of another region's provider", requests: on("iam:AttachUserPolicy", merged(own, bounded), strangers...)},
		{what: "Attach a policy to a user that has no boundary, or another one", requests: append(
			on("iam:AttachUserPolicy", own, s.ours()), on("iam:AttachUserPolicy", merged(own, unbounded), s.ours())...)},
		{what: "Put the boundary on an administrator, or on a user of another region's provider", requests: on("iam:PutUserPermissionsBoundary", bounded, strangers...)},
		{by: overlooked, what: "Remove a user's boundary, or write an inline policy",
			requests: each(s.ours(), bounded, "iam:DeleteUserPermissionsBoundary", "iam:PutUserPolicy")},
		{by: overlooked, what: "Put another boundary on a user, its own or not", requests: append(
			on("iam:PutUserPermissionsBoundary", unbounded, s.ours(), s.admin()), on("iam:PutUserPermissionsBoundary", nil, s.ours())...)},
	}
}

// onTags are attacks by tags: a tag must not make an entity ours.
func onTags(s setup) []attack {
	as := tags("aws:RequestTag", owned(s.Place))
	away := tags("aws:RequestTag", owned(elsewhere(s.Place)))
	have := tags("aws:ResourceTag", owned(s.Place))
	return []attack{
		{what: "Tag an administrator, a role or somebody else's policy so that it seems to be the provider's own", requests: append(
			on("iam:TagUser", as, s.admin(), s.theirs()),
			request("iam:TagRole", s.ARN("role/admin"), as),
			request("iam:TagPolicy", s.ARN("policy/admins"), as))},
		{what: "Remove tags from a user or policy that is not the provider's", requests: append(
			on("iam:UntagUser", key("aws:TagKeys", "team"), s.admin(), s.theirs()),
			request("iam:UntagPolicy", s.ARN("policy/admins"), key("aws:TagKeys", "team")))},
		{what: "Remove the tags that name the stack of a user, a policy or a secret, so that no Delete finds it", requests: slices.Concat(
			on("iam:UntagUser", key("aws:TagKeys", "cloney:stack-id"), s.ours()), on("iam:UntagUser", key("aws:TagKeys", "team", "cloney:logical-id"), s.ours()),
			on("iam:UntagPolicy", key("aws:TagKeys", "cloney:physical-id"), s.policy()),
			on("secretsmanager:UntagResource", merged(have, key("aws:TagKeys", "cloney:stack-id")), secretARN(s.Place, secret)))},
		{what: "Tag a user, a policy or a secret with the StackId of another region", requests: append(
			append(on("iam:TagUser", merged(have, away), s.ours()), on("iam:TagPolicy", merged(have, away), s.policy())...),
			on("secretsmanager:TagResource", merged(have, away), secretARN(s.Place, secret))...)},
	}
}

// onPolicies are attacks on policies: only our own can be written, and never the boundary.
func onPolicies(s setup) []attack {
	strangers := []string{s.ARN("policy/admins"), s.ARN("policy/cloney/" + elsewhere(s.Place).Region + "/" + user + "-1")}
	as := tags("aws:RequestTag", owned(s.Place))
	edit := []string{"iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion"}
	var write []iamtest.Request
	for _, action := range []string{"CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "GetPolicy", "GetPolicyVersion", "ListPolicyVersions"} {
		write = append(write, on("iam:"+action, nil, strangers...)...)
	}
	return []attack{
		{by: overlooked, what: "Edit, delete or switch the version of the boundary, or of UserBoundary where the users have another one",
			requests: append(each(s.bound(), nil, edit...), each(s.BoundaryARN(), nil, edit...)...)},
		{what: "Edit or read the boundary, the role's own rights untouched", requests: each(s.BoundaryARN(), nil, "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:GetPolicyVersion")},
		{what: "Edit, delete or read a policy outside of the path, or on the path of another region", requests: write},
		{what: "Make an older version of a policy the default again", requests: each(s.policy(), nil, "iam:SetDefaultPolicyVersion")},
		{what: "Create a policy outside of the path, or on the path of another region", requests: on("iam:CreatePolicy", as, strangers...)},
		{what: "Create a policy without a stack's tag, or with the tag of a stack of another region", requests: append(
			on("iam:CreatePolicy", nil, s.policy()),
			on("iam:CreatePolicy", tags("aws:RequestTag", owned(elsewhere(s.Place))), s.policy())...)},
	}
}

// onEscalation are other ways to get rights.
func onEscalation(s setup) []attack {
	role := s.ARN("role/admin")
	return []attack{
		{what: "Create or change a role, or its trust policy", requests: append(
			each(role, nil, "iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:DeleteRolePermissionsBoundary"),
			each(s.ARN("role/cloney-provider/x"), nil, "iam:PutRolePolicy", "iam:AttachRolePolicy")...)},
		{what: "Pass a role to a service, or assume one", requests: []iamtest.Request{
			request("iam:PassRole", role, key("iam:PassedToService", "lambda.amazonaws.com")), request("sts:AssumeRole", role)}},
		{what: "Give a user a password or another kind of credential", requests: each(s.ours(), nil,
			"iam:CreateLoginProfile", "iam:UpdateLoginProfile", "iam:UploadSSHPublicKey", "iam:UploadSigningCertificate", "iam:CreateServiceSpecificCredential", "iam:EnableMFADevice")},
		{what: "Rename a user, or move it to another path", requests: each(s.ours(), nil, "iam:UpdateUser")},
		{what: "Activate a deactivated key", requests: each(s.ours(), nil, "iam:UpdateAccessKey")},
		{what: "Add a user to a group, remove one, or write a group's policies", requests: each(s.ARN("group/admins"), nil, "iam:AddUserToGroup", "iam:RemoveUserFromGroup", "iam:AttachGroupPolicy", "iam:PutGroupPolicy", "iam:CreateGroup")},
	}
}

// onSecrets are attacks on secrets: only those of this region's stacks can be used.
func onSecrets(s setup) []attack {
	theirs, outside := secretARN(s.Place, foreignSecret), secretARN(s.Place, "database")
	far := secretARN(elsewhere(s.Place), secret)
	have, as := tags("aws:ResourceTag", owned(s.Place)), tags("aws:RequestTag", owned(s.Place))
	away := tags("aws:ResourceTag", owned(elsewhere(s.Place)))
	use := []string{
		"secretsmanager:DeleteSecret", "secretsmanager:PutSecretValue", "secretsmanager:RestoreSecret",
		"secretsmanager:UntagResource", "secretsmanager:UpdateSecret", "secretsmanager:UpdateSecretVersionStage",
	}
	private := key("secretsmanager:BlockPublicPolicy", "true")
	rotator := key("secretsmanager:RotationLambdaARN", s.Lambda(confinement.Rotator))
	ours := secretARN(s.Place, secret)
	return []attack{
		{what: "Read a secret that is not under cloney/, whatever its tags", requests: on("secretsmanager:GetSecretValue", have, outside)},
		{what: "Read a secret under cloney/ without a stack's tag, or of a stack of another region", requests: append(
			on("secretsmanager:GetSecretValue", nil, theirs), on("secretsmanager:GetSecretValue", away, theirs)...)},
		{what: "Overwrite, encrypt again, relabel, restore or delete such a secret", requests: append(
			append(each(theirs, nil, use...), each(theirs, away, use...)...), each(outside, have, use...)...)},
		{what: "Tag such a secret so that it seems to be the provider's own", requests: on("secretsmanager:TagResource", as, theirs, outside)},
		{what: "Read, write or delete a secret in another region", requests: append(
			each(far, merged(have, as), append(use, "secretsmanager:GetSecretValue", "secretsmanager:TagResource", "secretsmanager:CreateSecret")...),
			on("secretsmanager:DescribeSecret", have, far)...)},
		{what: "Look at a secret that is not under cloney/, or list them", requests: []iamtest.Request{
			request("secretsmanager:DescribeSecret", outside), request("secretsmanager:ListSecrets", "*"), request("secretsmanager:BatchGetSecretValue", "*")}},
		{what: "Create a secret that is not under cloney/", requests: on("secretsmanager:CreateSecret", merged(have, as), s.RegionalARN("secretsmanager", "secret:database"))},
		{what: "Create a secret without a stack's tag, or with the tag of a stack of another region", requests: append(
			on("secretsmanager:CreateSecret", nil, s.RegionalARN("secretsmanager", "secret:"+secret)),
			on("secretsmanager:CreateSecret", merged(away, tags("aws:RequestTag", owned(elsewhere(s.Place)))), s.RegionalARN("secretsmanager", "secret:"+secret))...)},
		{what: "Let the world read a secret", requests: append(
			on("secretsmanager:PutResourcePolicy", merged(have, key("secretsmanager:BlockPublicPolicy", "false")), ours),
			on("secretsmanager:PutResourcePolicy", have, ours)...)},
		{what: "Let anyone read a secret that is not the provider's, or delete its policy", requests: slices.Concat(
			on("secretsmanager:PutResourcePolicy", private, theirs, outside),
			on("secretsmanager:PutResourcePolicy", merged(have, private), outside),
			on("secretsmanager:DeleteResourcePolicy", nil, theirs, outside))},
		{what: "Copy a secret to another region", requests: each(ours, have, "secretsmanager:ReplicateSecretToRegions")},
		{what: "Let another function than the rotator rotate a secret, or no function", requests: append(
			on("secretsmanager:RotateSecret", merged(have, key("secretsmanager:RotationLambdaARN", s.RegionalARN("lambda", "function:mine"))), ours),
			on("secretsmanager:RotateSecret", have, ours)...)},
		{what: "Let the rotator rotate a secret that is not the provider's, or stop the rotation of such a secret", requests: slices.Concat(
			on("secretsmanager:RotateSecret", rotator, theirs), on("secretsmanager:RotateSecret", merged(have, rotator), outside),
			on("secretsmanager:CancelRotateSecret", nil, theirs, outside))},
		{what: "Invoke another function than the rotator", requests: on("lambda:InvokeFunction", nil, s.RegionalARN("lambda", "function:mine"), elsewhere(s.Place).Lambda(confinement.Rotator))},
	}
}

// onKeys are attacks on KMS keys: they can be used only through Secrets Manager, and only
// in this region.
func onKeys(s setup) []attack {
	uses := []string{"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}
	otherAccounts := s
	otherAccounts.Account = "999999999999"
	foreign := []string{otherAccounts.KeyARN()}
	if !s.otherKeys {
		foreign = append(foreign, s.hubsKey())
	}
	return []attack{
		{what: "Encrypt or read a secret by a KMS key of another account that is not in `SecretKmsKeys`", requests: on("kms:GenerateDataKey", confinement.ViaService("secretsmanager", s.Place), foreign...)},
		{what: "Use a KMS key directly", requests: each(s.KeyARN(), nil, uses...)},
		{what: "Use a KMS key through another service than Secrets Manager", requests: each(s.KeyARN(), confinement.ViaService("s3", s.Place), uses...)},
		{what: "Use a KMS key of another region", requests: each(elsewhere(s.Place).KeyARN(), confinement.ViaService("secretsmanager", s.Place), uses...)},
		{what: "Change the policy of a KMS key, or delete the key", requests: each(s.KeyARN(), nil, "kms:CreateGrant", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion")},
	}
}

// onTheRest are attacks on everything else near the function.
func onTheRest(s setup) []attack {
	self := s.Lambda(confinement.Provider)
	log := confinement.Provider.LogGroup()
	object := "arn:" + s.Partition + ":s3:::data-in/key"
	other := s.RegionalARN("logs", "log-group:/aws/lambda/other:log-stream:x")
	return []attack{
		{what: "Read or write objects with the function's own rights", requests: each(object, nil, "s3:GetObject", "s3:PutObject", "s3:DeleteObject")},
		{what: "Change the function's code, its settings or its policy", requests: each(self, nil, "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "lambda:AddPermission")},
		{what: "Create, see or delete network interfaces from within the function, by the rights that connect it to a VPC (`SubnetIds`)", requests: append(
			each(s.RegionalARN("ec2", "network-interface/eni-1"), nil, "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
			each("*", nil, "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")...)},
		{what: "Change the provider's own stack", requests: each(s.RegionalARN("cloudformation", "stack/cloney-s3-credentials/1"), nil, "cloudformation:UpdateStack", "cloudformation:SetStackPolicy")},
		{what: "Write into the log of another function", requests: each(other, nil, "logs:CreateLogStream", "logs:PutLogEvents")},
		{what: "Delete its own log", requests: append(each(s.RegionalARN("logs", "log-group:"+log), nil, "logs:DeleteLogGroup"),
			each(s.RegionalARN("logs", "log-group:"+log+":log-stream:x"), nil, "logs:DeleteLogStream")...)},
	}
}

// fromElsewhere are attacks by somebody who has passed a role to another function, or has
// copied its credentials out of its own function (RoleUse).
func fromElsewhere(s setup) (all []attack) {
	if !s.ownFunction {
		return nil
	}
	bounded := merged(key("iam:PermissionsBoundary", s.bound()), tags("aws:RequestTag", owned(s.Place)))
	have := tags("aws:ResourceTag", owned(s.Place))
	for by, of := range map[attacker]confinement.Function{elsewhereRun: confinement.Provider, elsewhereRotates: confinement.Rotator} {
		another := key("lambda:SourceFunctionArn", s.Lambda(of)+"-2")
		other := confinement.Functions[0]
		if other == of {
			other = confinement.Functions[1]
		}
		var requests []iamtest.Request
		for _, from := range []map[string][]string{nil, another, key("lambda:SourceFunctionArn", s.Lambda(other))} {
			requests = append(requests, each(s.ours(), merged(bounded, from), "iam:CreateUser", "iam:CreateAccessKey", "iam:GetUser", "iam:DeleteAccessKey")...)
			requests = append(requests, each(secretARN(s.Place, secret), merged(have, from), "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue")...)
		}
		all = append(all, attack{by: by, what: "Do anything with the role in another function, or with its credentials outside of the function (`RoleUse`)", requests: requests})
	}
	slices.SortFunc(all, func(a, b attack) int { return int(a.by) - int(b.by) })
	return all
}

// directly are events that an administrator of the account could send to the provider
// (Invocation).
func directly(s setup) []attack {
	if !s.direct || s.Partition == "aws-cn" || s.Partition == "aws-us-gov" { // these have no such resource type
		return nil
	}
	self := s.Lambda(confinement.Provider)
	calls := []string{"lambda:InvokeFunction", "lambda:InvokeAsync"}
	return []attack{{by: direct, what: "Invoke the provider directly, or through another service than CloudFormation (`Invocation`)", outright: true, requests: slices.Concat(
		each(self, nil, calls...), each(self+":$LATEST", nil, calls...), each(self+":1", nil, calls...),
		each(self, key("aws:CalledViaLast", "lambda.amazonaws.com"), calls...))}}
}
