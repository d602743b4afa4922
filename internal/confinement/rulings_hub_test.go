package confinement_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// in returns the place of an account of the partition.
func in(p confinement.Place, account string) confinement.Place {
	p.Account = account
	return p
}

// role returns a role of an account. Its own account lets it do everything.
func role(p confinement.Place, account, name string) caller {
	by := caller{arn: in(p, account).ARN("role/" + name), organization: organization, may: everythingText}
	if account == outsider {
		by.organization = elsewhereOrg
	}
	return by
}

// reader is the role that stacksets/hub.yaml creates, without its own policy.
func reader(p confinement.Place) caller {
	return caller{arn: in(p, hub).ARN("role/cloney-hub-ReaderRole-1A2B3C4D5E6F"), organization: organization}
}

const (
	provider = "cloney-provider/cloney-s3-credentials-ProviderRole-1A2B3C4D5E6F"
	rotator  = "cloney-provider/cloney-s3-credentials-RotatorRole-1A2B3C4D5E6F"
)

var (
	// uses are the providers' uses of a key, see ofSecrets.
	uses = []string{"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}
	// otherUses read, write or pass on what a key protects.
	otherUses = []string{
		"kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo",
	}
	administration = []string{
		"kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation", "kms:EnableKey",
		"kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListKeyRotations",
		"kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ReplicateKey", "kms:RevokeGrant", "kms:ScheduleKeyDeletion", "kms:TagResource",
		"kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription", "kms:UpdatePrimaryRegion",
	}
)

const keyID = "mrk-1234abcd12ab34cd56ef1234567890ab"

// hubKey is the policy of the key in the first region.
func hubKey(t *testing.T, p confinement.Place) ruling {
	t.Helper()
	p = in(p, hub)
	key := resolved(t, "hub", "Key", p, map[string]string{"OrganizationId": organization}, map[string]string{"ReaderRole.Arn": reader(p).arn})
	return ruling{"key of the hub", p, iamtest.Resource, key["KeyPolicy"].(map[string]any), keyRows(t, p)}
}

// replicaKey is the policy of the key in another region.
func replicaKey(t *testing.T, p confinement.Place) ruling {
	t.Helper()
	p = elsewhere(in(p, hub))
	key := resolved(t, "hub", "ReplicaKey", p, map[string]string{"OrganizationId": organization, "ReaderRoleArn": reader(p).arn}, nil)
	return ruling{"replica of the key", p, iamtest.Resource, key["KeyPolicy"].(map[string]any), keyRows(t, p)}
}

func keyRows(t *testing.T, p confinement.Place) (rows []row) {
	t.Helper()
	via := confinement.ViaService("secretsmanager", p)
	direct := map[string][]string{}
	add := func(what string, by caller, context map[string][]string, may bool, actions ...string) {
		for _, action := range actions {
			rows = append(rows, row{what: what, by: by, action: action, resource: p.RegionalARN("kms", "key/"+keyID), owner: hub, context: context, may: may})
		}
	}
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	with := func(parameters map[string]string) (itself, rotates caller) {
		documents, err := template.At(in(p, member), parameters)
		if err != nil {
			t.Fatal(err)
		}
		itself, rotates = role(p, member, provider), role(p, member, rotator)
		itself.may, rotates.may = confinement.Text(documents.Roles[confinement.Provider]), confinement.Text(documents.Roles[confinement.Rotator])
		return itself, rotates
	}
	itself, rotates := with(ofMembers(t, in(p, hub)))
	add("a member's provider, by its own policy, through Secrets Manager", itself, via, true, uses...)
	add("the same, directly", itself, direct, false, uses...)
	add("a member's rotator, by its own policy, through Secrets Manager", rotates, via, true, "kms:Decrypt", "kms:GenerateDataKey")
	add("the same, directly", rotates, direct, false, uses...)
	for _, by := range []caller{itself, rotates} {
		for _, other := range []string{"key/mrk-ffffffffffffffffffffffffffffffff", "key/1234abcd-12ab-34cd-56ef-1234567890ab"} {
			for _, action := range uses {
				rows = append(rows, row{what: "the same, by another key of the hub", by: by, action: action, resource: p.RegionalARN("kms", other), owner: hub, context: via})
			}
		}
	}
	itself, rotates = with(map[string]string{"AllowedBuckets": "*"})
	add("a member's provider that was given no SecretKmsKeys", itself, via, false, uses...)
	add("a member's rotator that was given none", rotates, via, false, uses...)

	add("a provider that may do everything, through Secrets Manager", role(p, member, provider), via, true, uses...)
	add("the same, directly", role(p, member, provider), direct, false, uses...)
	add("the same, through S3", role(p, member, provider), confinement.ViaService("s3", p), false, uses...)
	add("the same, through another region's Secrets Manager", role(p, member, provider), confinement.ViaService("secretsmanager", elsewhereOf(p)), false, uses...)
	add("the same manages the key", role(p, member, provider), via, false, administration...)
	add("the same gives it away", role(p, member, provider), via, false, "kms:CreateGrant")
	inHub := role(p, hub, provider)
	inHub.may = ""
	add("the hub's own provider, which needs no policy of its own", inHub, via, true, uses...)
	add("the same, directly", inHub, direct, false, uses...)
	add("another organization's provider", role(p, outsider, provider), via, false, uses...)
	alone := role(p, outsider, provider)
	alone.organization = ""
	add("the provider of an account without organization", alone, via, false, uses...)
	for _, name := range []string{"Admin", "cloney-provider", "app/cloney-provider/x", "cloney-provider-x/y"} {
		add("another role of a member, "+name, role(p, member, name), via, false, append(otherUses, "kms:PutKeyPolicy")...)
	}
	user := role(p, member, "")
	user.arn = in(p, member).ARN("user/cloney-provider/x")
	add("a member's user in the provider's path", user, via, false, uses...)

	add("the reader, through Secrets Manager", reader(p), via, true, "kms:Decrypt", "kms:DescribeKey")
	add("the same, directly", reader(p), direct, false, "kms:Decrypt", "kms:DescribeKey")
	add("the same, through another region's Secrets Manager", reader(p), confinement.ViaService("secretsmanager", elsewhereOf(p)), false, "kms:Decrypt")
	add("the reader writes", reader(p), via, false, "kms:CreateGrant", "kms:Encrypt", "kms:GenerateDataKey", "kms:PutKeyPolicy")

	add("the hub's administrator manages the key", role(p, hub, "Admin"), direct, true, administration...)
	add("the hub's administrator uses it", role(p, hub, "Admin"), direct, false, otherUses...)
	add("the same through Secrets Manager", role(p, hub, "Admin"), via, false, otherUses...)
	none := role(p, hub, "Application")
	none.may = ""
	add("a role of the hub without a policy of its own", none, direct, false, administration...)
	add("another account's administrator manages the key", role(p, outsider, "Admin"), direct, false, administration...)
	return rows
}

// ofMembers are the parameters that stacksets/organisation.yaml gives the members' providers.
func ofMembers(t *testing.T, p confinement.Place) map[string]string {
	t.Helper()
	given := map[string]string{
		"HubKeyId": keyID, "HubReaderArn": reader(p).arn, "AllowedBuckets": "data-*",
		"OrganizationalUnitIds": "ou-1", "Regions": p.Region, "ProviderTemplateUrl": "x",
	}
	set := resolved(t, "organisation", "ProviderSet", p, given, nil)
	parameters := map[string]string{}
	for _, p := range set["Parameters"].([]any) {
		parameter := p.(map[string]any)
		parameters[parameter["ParameterKey"].(string)] = parameter["ParameterValue"].(string)
	}
	return parameters
}

// The owner of the providers can set the same limits for a whole organization: the declared
// set passes them on, and has the same defaults.
func TestTheOrganisationDemandsAsOneProvider(t *testing.T) {
	templates, err := stackSets()
	if err != nil {
		t.Fatal(err)
	}
	provider, err := template()
	if err != nil {
		t.Fatal(err)
	}
	passed, own := ofMembers(t, ireland), templates["organisation"].Parameters
	for _, name := range []string{
		"AllowedBuckets", "ClosedBuckets", "AllowedReaders", "SecretKmsKeys", "RequireSecretKmsKey", "MaxDays", "SourceCidrs",
		"BucketAccounts", "BucketOrganizationId", "UnboundEvents", "Invocation", "RoleUse",
	} {
		if _, is := passed[name]; !is {
			t.Errorf("%s is not passed on", name)
		}
		if one, is := own[name]; is && one.Default != provider.Parameters[name].Default {
			t.Errorf("%s is %v by default, and %v in template.yaml", name, one.Default, provider.Parameters[name].Default)
		}
	}
}

// elsewhereOf returns another region for the first one, and the first region for another
// one.
func elsewhereOf(p confinement.Place) confinement.Place {
	for _, first := range []confinement.Place{ireland, beijing, oregon, potsdam} {
		if first.Partition == p.Partition && first.Region != p.Region {
			return in(first, p.Account)
		}
	}
	return elsewhere(p)
}

// readersTrust is the trust policy of the reader.
func readersTrust(t *testing.T, p confinement.Place) ruling {
	t.Helper()
	p = in(p, hub)
	people, pipeline := role(p, hub, "aws-reserved/sso.amazonaws.com/Migration"), role(p, member, "Pipeline")
	reading := resolved(t, "hub", "ReaderRole", p, map[string]string{"OrganizationId": organization, "ReaderPrincipals": people.arn + "," + pipeline.arn}, nil)
	left := pipeline
	left.organization = elsewhereOrg
	r := ruling{"who becomes the reader", p, iamtest.Resource, reading["AssumeRolePolicyDocument"].(map[string]any), nil}
	for _, asked := range []row{
		{what: "one who is named", by: people, may: true},
		{what: "one who is named, of another account", by: pipeline, may: true},
		{what: "the same, when its account has left the organization", by: left},
		{what: "the hub's administrator", by: role(p, hub, "Admin")},
		{what: "a provider", by: role(p, member, provider)},
		{what: "another organization", by: role(p, outsider, "Admin")},
	} {
		asked.action, asked.resource, asked.owner = "sts:AssumeRole", reader(p).arn, hub
		r.rows = append(r.rows, asked)
	}
	tagging := row{what: "one who is named tags the session", by: people, action: "sts:TagSession", resource: reader(p).arn, owner: hub}
	r.rows = append(r.rows, tagging)
	return r
}

// readersRole is the policy of the reader.
func readersRole(t *testing.T, p confinement.Place) ruling {
	t.Helper()
	p = in(p, hub)
	reading := resolved(t, "hub", "ReaderRole", p, map[string]string{"OrganizationId": organization, "ReaderPrincipals": role(p, hub, "Admin").arn}, nil)
	if managed, given := reading["ManagedPolicyArns"]; given {
		t.Fatalf("the reader has managed policies %v, which are not judged", managed)
	}
	policies := reading["Policies"].([]any)
	if len(policies) != 1 {
		t.Fatalf("the reader has %d policies, and 1 is judged", len(policies))
	}
	r := ruling{"what the reader may do", p, iamtest.Identity, policies[0].(map[string]any)["PolicyDocument"].(map[string]any), nil}
	// The owner's policy lets the reader do anything, so that the reader's own policy
	// decides.
	let := confinement.Text(letting(reader(p).arn))
	secret := func(what string, account, name, organization string, may bool, actions ...string) {
		for _, action := range actions {
			r.rows = append(r.rows, row{
				what: what, by: reader(p), action: "secretsmanager:" + action, resource: in(elsewhere(p), account).RegionalARN("secretsmanager", "secret:"+name+"-AbCdEf"),
				owner: account, context: key("aws:ResourceOrgID", organization), may: may, resourcePolicy: let,
			})
		}
	}
	secret("a member's secret", member, "cloney/migration/source", organization, true, "DescribeSecret", "GetSecretValue")
	secret("the same, otherwise", member, "cloney/migration/source", organization, false,
		"DeleteSecret", "GetResourcePolicy", "PutResourcePolicy", "PutSecretValue", "RotateSecret", "UpdateSecret")
	secret("a member's other secret", member, "database/cloney/x", organization, false, "DescribeSecret", "GetSecretValue")
	secret("another organization's secret of that name", outsider, "cloney/migration/source", elsewhereOrg, false, "DescribeSecret", "GetSecretValue")
	other := func(what, action, resource string, may bool) {
		r.rows = append(r.rows, row{what: what, by: reader(p), action: action, resource: resource, may: may})
	}
	set := in(p, management).RegionalARN("cloudformation", "stackset/cloney-source:0123abcd-0123-abcd-0123-0123456789ab")
	other("which secrets there are", "secretsmanager:ListSecrets", "*", false)
	other("many secrets at once", "secretsmanager:BatchGetSecretValue", "*", false)
	other("the instances of a set", "cloudformation:ListStackInstances", set, true)
	other("a set of the hub's own", "cloudformation:ListStackInstances", p.RegionalARN("cloudformation", "stackset/x:1"), true)
	other("the set's template", "cloudformation:DescribeStackSet", set, false)
	other("the set's end", "cloudformation:DeleteStackInstances", set, false)
	other("who is a delegated administrator", "organizations:ListDelegatedAdministrators", "*", true)
	other("all accounts", "organizations:ListAccounts", "*", false)
	return r
}

// letting returns a resource policy that lets one principal do anything.
func letting(arn string) map[string]any {
	return map[string]any{"Version": "2012-10-17", "Statement": []any{
		map[string]any{"Effect": "Allow", "Principal": map[string]any{"AWS": arn}, "Action": "*", "Resource": "*"},
	}}
}

// A replica has the policy of the key, except for the name of the reader.
func TestBothKeysHaveOnePolicy(t *testing.T) {
	p := in(ireland, hub)
	parameters := map[string]string{"OrganizationId": organization, "ReaderRoleArn": reader(p).arn}
	replica := resolved(t, "hub", "ReplicaKey", p, parameters, nil)["KeyPolicy"]
	if diff := cmp.Diff(hubKey(t, ireland).document, replica); diff != "" {
		t.Error(diff)
	}
}

// The list of what administrators do is the template's, without what uses a key.
func TestAdministratorsDoNotUseTheKey(t *testing.T) {
	for _, s := range hubKey(t, ireland).document["Statement"].([]any) {
		if statement := s.(map[string]any); sid(s) == "AdministerWithoutUse" {
			for _, action := range list(statement["Action"]) {
				if slices.Contains(otherUses, action) || !slices.Contains(administration, action) {
					t.Errorf("administrators may %s", action)
				}
			}
		}
	}
}
