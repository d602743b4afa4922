package confinement_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// pasted is what SECURITY.md gives to paste as JSON, by the bold sentence before it.
func pasted(t *testing.T) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks, title := map[string][]byte{}, ""
	for i, part := range strings.Split(string(text), "\n```") {
		if json, is := strings.CutPrefix(part, "json\n"); i%2 == 1 && is {
			blocks[title] = []byte(json)
		} else if titles := bold.FindAllStringSubmatch(part, -1); i%2 == 0 && len(titles) > 0 {
			title = titles[len(titles)-1][1]
		}
	}
	return blocks
}

// bold is a sentence that begins a paragraph.
var bold = regexp.MustCompile(`(?m)^\*\*([^*]+)\*\*`)

const (
	onlyCloudFormation = "Only CloudFormation invokes the provider."
	onlyTheOwners      = "Nobody but the functions changes users, policies and secrets, and nobody but the deployer changes the functions."
)

// Everything that the page gives to paste has a table of events or requests here.
func TestWhatIsPasted(t *testing.T) {
	want := append(slices.Collect(maps.Keys(patterns)), onlyCloudFormation, onlyTheOwners)
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(pasted(t))); !slices.Equal(got, want) {
		t.Errorf("SECURITY.md gives to paste %q, and tested is %q", got, want)
	}
}

// AWS refuses a longer service control policy, and counts white space too.
func TestPastedPoliciesFit(t *testing.T) {
	for _, title := range []string{onlyCloudFormation, onlyTheOwners} {
		if n := len(pasted(t)[title]); n == 0 || n > 5120 {
			t.Errorf("%q has %d characters; 1 to 5,120 are taken", title, n)
		}
	}
}

// pastedPolicies are the service control policies of SECURITY.md, in a member account.
func pastedPolicies(t *testing.T, p confinement.Place) []ruling {
	t.Helper()
	p = in(p, member)
	blocks := pasted(t)
	return []ruling{
		{onlyCloudFormation, p, iamtest.Control, document(t, blocks[onlyCloudFormation]), invocations(p)},
		{onlyTheOwners, p, iamtest.Control, document(t, blocks[onlyTheOwners]), slices.Concat(
			changesOfUsers(p), changesOfSecrets(p), changesOfRoles(p), changesOfFunctions(p), changesOfTheirStack(p), exemptions(p))},
	}
}

// people are the callers in the tables of this file.
type people struct{ provider, rotator, admin, deployer, responder, lookalike caller }

func peopleOf(p confinement.Place) people {
	return people{
		provider: role(p, member, provider), rotator: role(p, member, rotator), admin: role(p, member, "Admin"),
		deployer: role(p, member, "ProviderDeployer"), responder: role(p, member, "IncidentResponder"),
		// A role with another path is not one of those.
		lookalike: role(p, member, "app/cloney-provider/ProviderDeployer"),
	}
}

var invoke = []string{"lambda:InvokeAsync", "lambda:InvokeFunction"}

// invocations are invocations of the functions, by several callers and through several
// services.
func invocations(p confinement.Place) (rows []row) {
	who := peopleOf(p)
	add := func(what string, by caller, function string, may bool, context map[string][]string) {
		for _, action := range invoke {
			rows = append(rows, row{what: what, by: by, action: action, resource: function, context: context, may: may})
		}
	}
	through, itself := key("aws:CalledViaLast", "cloudformation.amazonaws.com"), p.Lambda(confinement.Provider)
	rotates := p.Lambda(confinement.Rotator)
	add("CloudFormation on behalf of a deployer", who.admin, itself, true, through)
	add("the same, by a name that says which version", who.admin, itself+":$LATEST", true, through)
	for _, by := range []caller{who.admin, who.deployer, who.responder, who.provider, who.lookalike} {
		add("directly", by, itself, false, nil)
		add("directly, by a name that says which version", by, itself+":$LATEST", false, nil)
		add("through another service", by, itself, false, key("aws:CalledViaLast", "athena.amazonaws.com"))
	}
	add("a function of another name", who.admin, p.RegionalARN("lambda", "function:billing"), true, nil)
	add("Secrets Manager, in the name of the provider's role", who.provider, rotates, true, nil)
	add("the responder has it sweep", who.responder, rotates, true, nil)
	for _, by := range []caller{who.admin, who.deployer, who.lookalike} {
		add("the rotator directly", by, rotates, false, nil)
		add("the rotator, by a version", by, rotates+":1", false, nil)
		add("the rotator through CloudFormation", by, rotates, false, through)
	}
	return rows
}

// changesOfUsers are changes of users and of their policies.
func changesOfUsers(p confinement.Place) (rows []row) {
	who := peopleOf(p)
	user, policy := p.ARN("user/cloney/"+p.Region+"/x"), p.ARN("policy/cloney/"+p.Region+"/x-1")
	add := func(what string, by caller, resource string, may bool, actions ...string) {
		for _, action := range actions {
			rows = append(rows, row{what: what, by: by, action: "iam:" + action, resource: resource, may: may})
		}
	}
	ofUsers := []string{
		"AttachUserPolicy", "CreateAccessKey", "CreateLoginProfile", "CreateUser", "DeleteAccessKey", "DeleteUser", "DeleteUserPermissionsBoundary",
		"DetachUserPolicy", "PutUserPermissionsBoundary", "PutUserPolicy", "TagUser", "UntagUser", "UpdateAccessKey", "UpdateUser",
	}
	ofPolicies := []string{"CreatePolicy", "CreatePolicyVersion", "DeletePolicy", "SetDefaultPolicyVersion", "TagPolicy"}
	for _, by := range []caller{who.provider, who.rotator, who.responder} {
		add("who changes users", by, user, true, ofUsers...)
		add("who changes policies", by, policy, true, ofPolicies...)
	}
	for _, by := range []caller{who.admin, who.deployer, who.lookalike} {
		add("somebody else changes users", by, user, false, ofUsers...)
		add("somebody else changes policies", by, policy, false, ofPolicies...)
		add("somebody else looks", by, user, true, "GetUser", "ListAccessKeys", "SimulatePrincipalPolicy")
		add("somebody else looks at policies", by, policy, true, "GetPolicyVersion", "ListEntitiesForPolicy")
	}
	throughStack := role(p, member, "Admin")
	rows = append(rows, row{what: "a stack that makes a user on the path", by: throughStack, action: "iam:CreateUser", resource: user, context: key("aws:CalledViaLast", "cloudformation.amazonaws.com")})
	add("an administrator changes other users and policies", who.admin, p.ARN("user/payroll"), true, "CreateUser", "CreateAccessKey")
	add("an administrator changes other policies", who.admin, p.ARN("policy/payroll"), true, "CreatePolicyVersion")
	return rows
}

// changesOfSecrets are changes of secrets. Other policies decide about reading.
func changesOfSecrets(p confinement.Place) (rows []row) {
	who := peopleOf(p)
	add := func(what string, by caller, secret string, may bool, actions ...string) {
		for _, action := range actions {
			rows = append(rows, row{what: what, by: by, action: "secretsmanager:" + action, resource: p.RegionalARN("secretsmanager", "secret:"+secret), may: may})
		}
	}
	changes := []string{
		"CancelRotateSecret", "CreateSecret", "DeleteResourcePolicy", "DeleteSecret", "PutResourcePolicy", "PutSecretValue",
		"ReplicateSecretToRegions", "RestoreSecret", "TagResource", "UntagResource", "UpdateSecret", "UpdateSecretVersionStage",
	}
	for _, by := range []caller{who.provider, who.rotator, who.responder} {
		add("who changes secrets", by, "cloney/x-AbCdEf", true, changes...)
	}
	for _, by := range []caller{who.admin, who.deployer, who.lookalike} {
		add("somebody else changes a secret", by, "cloney/x-AbCdEf", false, changes...)
		add("somebody else looks, reads or rotates", by, "cloney/x-AbCdEf", true, "DescribeSecret", "GetResourcePolicy", "GetSecretValue", "ListSecretVersionIds", "RotateSecret")
		add("somebody else changes another secret", by, "payroll/cloney/x-AbCdEf", true, changes...)
	}
	return rows
}

// changesOfRoles are changes of the roles and of the boundary, and passing the roles.
func changesOfRoles(p confinement.Place) (rows []row) {
	who := peopleOf(p)
	boundary := p.BoundaryARN()
	add := func(what string, by caller, resource string, may bool, actions ...string) {
		for _, action := range actions {
			rows = append(rows, row{what: what, by: by, action: action, resource: resource, may: may})
		}
	}
	ofRoles := []string{
		"iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:PassRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole",
	}
	ofBoundary := []string{"iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:SetDefaultPolicyVersion"}
	for _, by := range []caller{who.deployer, who.responder} {
		add("who changes and passes the roles", by, p.ARN("role/"+provider), true, ofRoles...)
		add("who changes the boundary", by, boundary, true, ofBoundary...)
	}
	for _, by := range []caller{who.admin, who.provider, who.rotator, who.lookalike} {
		add("somebody else, the functions too, changes or passes the roles", by, p.ARN("role/"+rotator), false, ofRoles...)
		add("somebody else, the functions too, changes the boundary", by, boundary, false, ofBoundary...)
	}
	add("an administrator looks", who.admin, p.ARN("role/"+provider), true, "iam:GetRole", "iam:ListRolePolicies", "iam:SimulatePrincipalPolicy")
	add("an administrator changes and passes other roles", who.admin, p.ARN("role/payroll"), true, "iam:CreateRole", "iam:PassRole", "iam:PutRolePolicy")
	return rows
}

// changesOfFunctions are changes of code, settings and the right to invoke.
func changesOfFunctions(p confinement.Place) (rows []row) {
	who := peopleOf(p)
	changes := []string{"AddPermission", "CreateFunction", "DeleteFunction", "PutFunctionConcurrency", "PutResourcePolicy", "RemovePermission", "UpdateFunctionCode", "UpdateFunctionConfiguration"}
	add := func(what string, by caller, function string, may bool, actions ...string) {
		for _, action := range actions {
			rows = append(rows, row{what: what, by: by, action: "lambda:" + action, resource: function, may: may})
		}
	}
	for _, f := range confinement.Functions {
		function := p.Lambda(f)
		add("who changes the functions", who.deployer, function, true, changes...)
		add("who stops them", who.responder, function, true, "PutFunctionConcurrency", "UpdateFunctionCode")
		for _, by := range []caller{who.admin, who.provider, who.rotator, who.lookalike} {
			add("somebody else, the functions too, changes a function", by, function, false, changes...)
		}
		add("an administrator looks, and a deployer's stack invokes", who.admin, function, true, "GetFunction", "InvokeFunction", "ListVersionsByFunction")
	}
	add("an administrator changes another function", who.admin, p.RegionalARN("lambda", "function:billing"), true, changes...)
	return rows
}

// changesOfTheirStack are changes of the provider's stack. It may have a service role, and
// then every updater acts as that role.
func changesOfTheirStack(p confinement.Place) (rows []row) {
	who := peopleOf(p)
	add := func(what string, by caller, stack string, may bool, actions ...string) {
		for _, action := range actions {
			rows = append(rows, row{what: what, by: by, action: "cloudformation:" + action, resource: p.RegionalARN("cloudformation", "stack/"+stack+"/0a1b2c3d"), may: may})
		}
	}
	changes := []string{
		"CancelUpdateStack", "ContinueUpdateRollback", "CreateChangeSet", "CreateStack", "DeleteStack", "ExecuteChangeSet", "RollbackStack",
		"SetStackPolicy", "UpdateStack", "UpdateTerminationProtection",
	}
	for _, by := range []caller{who.deployer, who.responder} {
		add("who changes the provider's stack", by, "cloney-s3-credentials", true, changes...)
	}
	for _, by := range []caller{who.admin, who.provider, who.rotator, who.lookalike} {
		add("somebody else, the functions too, changes the provider's stack", by, "cloney-s3-credentials", false, changes...)
		add("somebody else looks at it", by, "cloney-s3-credentials", true, "DescribeStacks", "DetectStackDrift", "GetTemplate", "ListStackResources")
		add("somebody else changes another stack", by, "cloney-s3-credentials-migration", true, changes...)
	}
	return rows
}

// exemptions are attempts to create or widen the exempt roles.
func exemptions(p confinement.Place) (rows []row) {
	who := peopleOf(p)
	for _, exempt := range []caller{who.deployer, who.responder} {
		for _, action := range []string{
			"iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePermissionsBoundary", "iam:DeleteRolePolicy",
			"iam:DetachRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy",
		} {
			for _, by := range []caller{who.admin, who.provider, who.responder, who.lookalike, who.deployer} {
				rows = append(rows, row{what: "makes, widens or unbinds an exempt role", by: by, action: action, resource: exempt.arn, may: by.arn == who.deployer.arn})
			}
		}
		rows = append(rows, row{what: "becomes it", by: who.admin, action: "sts:AssumeRole", resource: exempt.arn, may: true})
	}
	return rows
}
