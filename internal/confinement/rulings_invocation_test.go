package confinement_test

import (
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// invocation is the provider function's own policy, with Invocation: CloudFormationOnly. By
// the policies of their own accounts, the callers may do anything.
func invocation(t *testing.T, p confinement.Place, trusted string) ruling {
	t.Helper()
	p = in(p, hub)
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	documents, err := template.At(p, map[string]string{
		"AllowedBuckets": named, "Invocation": "CloudFormationOnly", "TrustedAccounts": trusted,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := ruling{"invocation" + trusted, p, iamtest.Resource, documents.Invocation, nil}
	self := p.Lambda(confinement.Provider)
	add := func(what string, by caller, action, qualifier string, may bool, via ...string) {
		by.may = everythingText
		asked := row{what: what, by: by, action: "lambda:" + action, resource: self + qualifier, owner: hub, may: may}
		if len(via) > 0 {
			asked.context = both(key("aws:CalledVia", via...), both(key("aws:CalledViaFirst", via[0]), key("aws:CalledViaLast", via[len(via)-1])))
		}
		r.rows = append(r.rows, asked)
	}
	const cloudFormation = "cloudformation.amazonaws.com"
	deployer, admin := role(p, hub, "deployment/Pipeline"), role(p, hub, "Admin")
	for _, by := range []caller{deployer, admin} {
		add("CloudFormation, for "+by.arn, by, "InvokeFunction", "", true, cloudFormation)
		add("CloudFormation, for a deployer who reached it through another service", by, "InvokeFunction", "", true, "servicecatalog.amazonaws.com", cloudFormation)
		add("the deployer himself", by, "InvokeFunction", "", false)
		add("the deployer himself, as Lambda had it once", by, "InvokeAsync", "", false)
		add("the deployer himself, by a version", by, "InvokeFunction", ":1", false)
		add("the deployer himself, by $LATEST", by, "InvokeFunction", ":$LATEST", false)
		add("another service, for him", by, "InvokeFunction", "", false, "states.amazonaws.com")
		add("another service, which CloudFormation has called", by, "InvokeFunction", "", false, cloudFormation, "states.amazonaws.com")
	}
	for _, account := range []string{member, outsider} {
		is := trusted == account
		add("CloudFormation, for a deployer of account "+account, role(p, account, "deployment/Pipeline"), "InvokeFunction", "", is, cloudFormation)
		add("the deployer of account "+account+" himself", role(p, account, "deployment/Pipeline"), "InvokeFunction", "", false)
		add("CloudFormation, for him, another action", role(p, account, "deployment/Pipeline"), "UpdateFunctionCode", "", false, cloudFormation)
		add("CloudFormation, for him, by a version", role(p, account, "deployment/Pipeline"), "InvokeFunction", ":1", false, cloudFormation)
	}
	return r
}
