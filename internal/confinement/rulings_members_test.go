package confinement_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/policy"
)

// secretsPolicy is the policy that the provider writes for SecretReaders: the hub's reader.
func secretsPolicy(t *testing.T, p confinement.Place) ruling {
	t.Helper()
	p = in(p, member)
	r := ruling{"policy of a member's secret", p, iamtest.Resource, document(t, []byte(policy.Readers([]string{reader(p).arn}))), nil}
	add := func(what string, by caller, may bool, actions ...string) {
		for _, action := range actions {
			r.rows = append(r.rows, row{
				what: what, by: by, action: "secretsmanager:" + action, resource: p.RegionalARN("secretsmanager", "secret:cloney/migration/source-AbCdEf"),
				owner: member, may: may,
			})
		}
	}
	allowed := reader(p)
	allowed.may = everythingText
	other := []string{"DeleteSecret", "PutResourcePolicy", "PutSecretValue", "UpdateSecret"}
	add("the reader", allowed, true, "DescribeSecret", "GetSecretValue")
	add("the reader, otherwise", allowed, false, other...)
	add("the reader without a policy of its own", reader(p), false, "DescribeSecret", "GetSecretValue")
	add("the hub's administrator", role(p, hub, "Admin"), false, append(other, "GetSecretValue")...)
	add("another member's provider", role(p, management, provider), false, "DescribeSecret", "GetSecretValue")
	add("another organization", role(p, outsider, "Admin"), false, "DescribeSecret", "GetSecretValue")
	// Inside the account its own policies decide, as the reference says.
	add("the member's administrator", role(p, member, "Admin"), true, "GetSecretValue")
	none := role(p, member, "Application")
	none.may = ""
	add("a role of the member without a policy of its own", none, false, "GetSecretValue")
	return r
}

// controlPolicy is the example of a service control policy, in a member account.
func controlPolicy(t *testing.T, p confinement.Place) ruling {
	t.Helper()
	p = in(p, member)
	text, err := os.ReadFile(filepath.Join(root, "stacksets/service-control-policy.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := ruling{"service control policy", p, iamtest.Control, document(t, text), nil}
	user := p.ARN("user/cloney/" + p.Region + "/x")
	makes := []string{"iam:CreateAccessKey", "iam:CreateUser"}
	add := func(what string, by caller, may bool, actions ...string) {
		for _, action := range actions {
			r.rows = append(r.rows, row{what: what, by: by, action: action, resource: user, may: may})
		}
	}
	add("the provider", role(p, member, provider), true, makes...)
	for _, name := range []string{"Admin", "stacksets-exec-1234abcd", "cloney-provider", "app/cloney-provider/x", "cloney-provider-x/y"} {
		add("another role, "+name, role(p, member, name), false, makes...)
	}
	person := role(p, member, "")
	person.arn = p.ARN("user/cloney-provider/x")
	add("a user, also in that path", person, false, makes...)
	stackSets := role(p, member, "stacksets-exec-1234abcd")
	for _, exempt := range []string{provider, "stacksets-exec-5678efab"} {
		for _, action := range []string{"AttachRolePolicy", "CreateRole", "PutRolePolicy", "UpdateAssumeRolePolicy"} {
			for what, by := range map[string]caller{"StackSets": stackSets, "an administrator": role(p, member, "Admin"), "the provider itself": role(p, member, provider)} {
				r.rows = append(r.rows, row{
					what: what + " makes or widens an exempt role", by: by, action: "iam:" + action, resource: p.ARN("role/" + exempt), may: by.arn == stackSets.arn,
				})
			}
		}
	}
	r.rows = append(r.rows, row{what: "an administrator makes another role", by: role(p, member, "Admin"), action: "iam:CreateRole", resource: p.ARN("role/Application"), may: true})
	add("an administrator, otherwise", role(p, member, "Admin"), true, "iam:DeleteAccessKey", "iam:DeleteUser", "iam:GetUser")
	return r
}

// Without the exemption every Create would fail, in every account.
func TestTheControlPolicyNeedsTheExemption(t *testing.T) {
	r := controlPolicy(t, ireland)
	for _, exempt := range []bool{true, false} {
		changed := mutated(r.document, func(statements []any) []any {
			for _, s := range statements {
				if !exempt {
					delete(s.(map[string]any), "Condition")
				}
			}
			return statements
		})
		create := row{by: role(r.place, member, provider), action: "iam:CreateUser", resource: r.place.ARN("user/cloney/eu-west-1/x")}
		if may := decide(r.question(create, r.text(changed))) == iamtest.Allowed; may != exempt {
			t.Errorf("with the exemption %t, the provider may create users: %t", exempt, may)
		}
	}
}

func document(t *testing.T, text []byte) (d map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}
