package iamtest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/iamtest"
)

const (
	denyGet  = `{'Sid':'D','Effect':'Deny','Action':'s3:GetObject','Resource':'*'}`
	allowPut = `{'Effect':'Allow','Action':'s3:PutObject','Resource':'*'}`
)

// to allows the action to a principal, as a bucket policy does.
func to(principal string) string {
	return `{'Sid':'R','Effect':'Allow','Principal':` + principal + `,'Action':'s3:GetObject','Resource':'*'}`
}

// s3:GetObject under several kinds of policies.
func TestLayersAsDocumented(t *testing.T) {
	const (
		logic      = "reference_policies_evaluation-logic.html: "
		boundaries = "access_policies_boundaries.html: "
		principals = "reference_policies_elements_principal.html: "
		me         = `{'AWS':'` + principal + `'}`
	)
	for _, r := range []struct {
		page                                  string
		identity, boundary, control, resource string // a statement; none if empty
		want                                  iamtest.Outcome
		by                                    iamtest.Layer
	}{
		{logic + "denied by default", "", "", "", "", implicit, "identity"},
		{logic + "an allow overrides the default", allowGet, "", "", "", allowed, "identity"},
		{logic + "an explicit deny overrides it", allowGet + "," + denyGet, "", "", "", explicit, "identity"},
		{logic + "in whatever order", denyGet + "," + allowGet, "", "", "", explicit, "identity"},
		{boundaries + "allowed by both", allowGet, allowGet, "", "", allowed, "identity"},
		{boundaries + "only what it allows", allowGet, allowPut, "", "", implicit, "boundary"},
		{boundaries + "it allows nothing by itself", "", allowGet, "", "", implicit, "identity"},
		{boundaries + "an explicit deny in it", allowGet, allowGet + "," + denyGet, "", "", explicit, "boundary"},
		{logic + "allowed by the SCP too", allowGet, allowGet, allowGet, "", allowed, "identity"},
		{logic + "not by the SCP", allowGet, allowGet, allowPut, "", implicit, "control"},
		{logic + "denied by the SCP", allowGet, "", allowGet + "," + denyGet, "", explicit, "control"},
		{logic + "the SCP allows nothing by itself", "", "", allowGet, "", implicit, "identity"},
		{logic + "a resource's policy alone", "", "", "", to(me), allowed, "resource"},
		{logic + "of it an SCP stays the limit", "", "", allowPut, to(me), implicit, "control"},
		{logic + "the user's ARN is not limited by an implicit deny of a boundary", "", allowPut, "", to(me), allowed, "resource"},
		{logic + "but by an explicit one", "", allowPut + "," + denyGet, "", to(me), explicit, "boundary"},
		{logic + "denied by the resource's policy", allowGet, allowGet, "", strings.Replace(to(me), "Allow", "Deny", 1), explicit, "resource"},
		{principals + "another user's", "", "", "", to(`{'AWS':'arn:aws:iam::123456789012:user/dana'}`), implicit, "identity"},
		{principals + "a Deny of another user's", allowGet, "", "", strings.Replace(to(`{'AWS':'arn:aws:iam::123456789012:user/dana'}`), "Allow", "Deny", 1), allowed, "identity"},
		{principals + "everyone", "", "", "", to(`'*'`), allowed, "resource"},
		{principals + "everyone", "", "", "", to(`{'AWS':['*']}`), allowed, "resource"},
		{principals + "a service", "", "", "", to(`{'Service':'logging.s3.amazonaws.com'}`), implicit, "identity"},
		{principals + "an account leaves it to the account's own policies", "", "", "", to(`{'AWS':'123456789012'}`), implicit, "identity"},
		{principals + "an account leaves it to the account's own policies", "", "", "", to(`{'AWS':'arn:aws:iam::123456789012:root'}`), implicit, "identity"},
		{principals + "a Deny for an account is for all in it", allowGet, "", "", strings.Replace(to(`{'AWS':'123456789012'}`), "Allow", "Deny", 1), explicit, "resource"},
		{principals + "a Deny for another account", allowGet, "", "", strings.Replace(to(`{'AWS':'123456789013'}`), "Allow", "Deny", 1), allowed, "identity"},
	} {
		one := func(text string) *iamtest.Policy {
			if text == "" {
				return nil
			}
			return written(t, text)
		}
		account := iamtest.Account{Boundary: one(r.boundary), Control: one(r.control), Resource: one(r.resource), Principal: principal}
		if r.identity != "" {
			account.Identity = []*iamtest.Policy{one(r.identity)}
		}
		got := iamtest.Evaluate(account, iamtest.Request{Action: "s3:GetObject", Resource: object})
		if got.Outcome != r.want || got.By.Layer != r.by {
			t.Errorf("%s%s: %v, want %v by %s", iamGuide, r.page, got, r.want, r.by)
		}
	}
}

const role = "arn:aws:iam::123456789012:role/path/r"

// For a resource of another account, a KMS key or a role, its own policy must allow the
// request. For another account the principal's own account must allow it too.
func TestResourcePoliciesThatDecideFirst(t *testing.T) {
	const (
		across = "reference_policies_evaluation-logic-cross-account.html: "
		keys   = "kms/latest/developerguide/key-policies.html: "
		trust  = "reference_policies_evaluation-logic_policy-eval-denyallow.html: "

		mine, theirs = "123456789012", "123456789013"
		me           = `{'AWS':'` + role + `'}`
		account      = `{'AWS':'arn:aws:iam::123456789012:root'}`
		stranger     = `{'AWS':'arn:aws:iam::123456789012:role/r'}`
	)
	for _, r := range []struct {
		page, action, owner string
		identity, principal string // who may by whose policy; none if empty
		want                iamtest.Outcome
		by                  iamtest.Layer
	}{
		{across + "both allow, the resource's by the role", "s3:GetObject", theirs, "yes", me, allowed, "identity"},
		{across + "both allow, the resource's by the account", "s3:GetObject", theirs, "yes", account, allowed, "identity"},
		{across + "both allow, the resource's by everyone", "s3:GetObject", theirs, "yes", `'*'`, allowed, "identity"},
		{across + "only the resource's policy", "s3:GetObject", theirs, "", me, implicit, "identity"},
		{across + "only the resource's policy, by everyone", "s3:GetObject", theirs, "", `'*'`, implicit, "identity"},
		{across + "only the identity's", "s3:GetObject", theirs, "yes", stranger, implicit, "resource"},
		{across + "there is no resource's policy", "s3:GetObject", theirs, "yes", "", implicit, "resource"},
		{across + "the same account by its id", "s3:GetObject", mine, "yes", "", allowed, "identity"},
		{across + "the same account: the role itself", "s3:GetObject", mine, "", me, allowed, "resource"},
		{keys + "the key's policy names the role", "kms:Decrypt", mine, "", me, allowed, "resource"},
		{keys + "it names the account, and the account allows", "kms:Decrypt", mine, "yes", account, allowed, "identity"},
		{keys + "it names the account alone", "kms:Decrypt", mine, "", account, implicit, "identity"},
		{keys + "it names neither", "kms:Decrypt", mine, "yes", stranger, implicit, "resource"},
		{keys + "another account's key", "kms:Decrypt", theirs, "yes", me, allowed, "identity"},
		{keys + "another account's key alone", "kms:Decrypt", theirs, "", me, implicit, "identity"},
		{trust + "a role to assume", "sts:AssumeRole", mine, "", me, allowed, "resource"},
		{trust + "a role that does not trust", "sts:AssumeRole", mine, "yes", stranger, implicit, "resource"},
		{trust + "another account's role alone", "sts:AssumeRole", theirs, "", me, implicit, "identity"},
	} {
		asked := iamtest.Account{Principal: role, Owner: r.owner}
		if r.identity != "" {
			asked.Identity = []*iamtest.Policy{written(t, `{'Effect':'Allow','Action':'*','Resource':'*'}`)}
		}
		if r.principal != "" {
			asked.Resource = written(t, `{'Sid':'R','Effect':'Allow','Principal':`+r.principal+`,'Action':'*','Resource':'*'}`)
		}
		got := iamtest.Evaluate(asked, iamtest.Request{Action: r.action, Resource: "*"})
		if got.Outcome != r.want || got.By.Layer != r.by {
			t.Errorf("%s: %v, want %v by %s", r.page, got, r.want, r.by)
		}
	}
	within := iamtest.Account{
		Identity: []*iamtest.Policy{written(t, allowGet)}, Boundary: written(t, allowPut), Resource: written(t, to(`'*'`)),
		Principal: principal, Owner: theirs,
	}
	if got := iamtest.Evaluate(within, iamtest.Request{Action: "s3:GetObject", Resource: object}); got.Outcome != implicit || got.By.Layer != iamtest.Boundary {
		t.Errorf("a boundary, across accounts: %v", got)
	}
}

// Before version 2012-10-17 a variable is plain text.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
func TestVersions(t *testing.T) {
	for version, key := range map[string]string{
		`"Version":"2012-10-17",`: "dana*", `"Version":"2008-10-17",`: "${aws:username}${x}", ``: "${aws:username}${x}",
	} {
		policy := iamtest.MustParse(`{` + version + `"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/${aws:username}${*}"}}`)
		for _, asked := range []string{"dana*", "${aws:username}${x}", "dana", "danax"} {
			got := iamtest.Evaluate(iamtest.Account{Identity: []*iamtest.Policy{policy}}, iamtest.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::data/" + asked, Context: always(nil)})
			if (got.Outcome == allowed) != (asked == key) {
				t.Errorf("%s %s: %v", version, asked, got)
			}
		}
	}
}

// The decision names its statement, and Matching names all that apply.
func TestStatementsAreNamed(t *testing.T) {
	account := iamtest.Account{
		Identity: []*iamtest.Policy{
			written(t, allowPut),
			written(t, allowPut, `{'Sid':'First','Effect':'Allow','Action':'s3:*','Resource':'*'}`, `{'Sid':'Second','Effect':'Allow','Action':'*','Resource':'*'}`),
		},
		Boundary:  written(t, `{'Sid':'Most','Effect':'Allow','Action':'s3:*','Resource':'*'}`),
		Resource:  written(t, to(`'*'`)),
		Principal: principal,
	}
	request := iamtest.Request{Action: "s3:GetObject", Resource: object}
	first := iamtest.Statement{Layer: iamtest.Identity, Policy: 1, Index: 1, Sid: "First"}
	if diff := cmp.Diff(iamtest.Decision{Outcome: allowed, By: first}, iamtest.Evaluate(account, request)); diff != "" {
		t.Error(diff)
	}
	want := []iamtest.Statement{
		{Layer: iamtest.Boundary, Sid: "Most"}, first,
		{Layer: iamtest.Identity, Policy: 1, Index: 2, Sid: "Second"}, {Layer: iamtest.Resource, Sid: "R"},
	}
	if diff := cmp.Diff(want, iamtest.Matching(account, request)); diff != "" {
		t.Error(diff)
	}
	account.Identity = slices.Insert(account.Identity, 0, written(t, denyGet))
	denied := iamtest.Statement{Layer: iamtest.Identity, Sid: "D", Deny: true}
	if diff := cmp.Diff(iamtest.Decision{Outcome: explicit, By: denied}, iamtest.Evaluate(account, request)); diff != "" {
		t.Error(diff)
	}
}
