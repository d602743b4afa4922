package main

import (
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/resource"
	"cloney-s3-credentials/internal/settings/settingstest"
	"cloney-s3-credentials/internal/spec"
)

// given is an environment of what the template sets, with values that tell each
// variable from the others.
func given() map[string]string {
	return map[string]string{
		"PERMISSIONS_BOUNDARY_ARN": "the-boundary", "ROTATION_FUNCTION_ARN": "the-rotator", "PROVIDER_ROLE_ARN": "the-role",
		"ALLOWED_BUCKETS": "allowed-*,b", "CLOSED_BUCKETS": "cdk-*, none,cf-*", "ALLOWED_READERS": "none", "STACK_ACCOUNTS": "123456789012,", "SECRET_KMS_KEYS": "arn:k*",
		"SOURCE_CIDRS": "203.0.113.0/24", "MAX_DAYS": "90", "REQUIRE_SECRET_KMS_KEY": "true", "UNBOUND_EVENTS": "Refuse",
		"RESPONSE_HOSTS": "", "AWS_ENDPOINT_URL": "", "AWS_LAMBDA_FUNCTION_NAME": "cloney-s3-credentials", "VERSION": "0.1.0",
	}
}

// What the template sets is what is read, and each of it arrives where it is asked: a
// variable of another name would allow anything.
func TestTheTemplatesSettingsArrive(t *testing.T) {
	env := given()
	delete(env, "AWS_LAMBDA_FUNCTION_NAME") // Lambda's own
	if diff := cmp.Diff(slices.Sorted(maps.Keys(env)), slices.Sorted(slices.Values(settingstest.Variables(t, "../..", "ProviderFunction")))); diff != "" {
		t.Errorf("what is read, and what the template sets:\n%s", diff)
	}
	env["RESPONSE_HOSTS"] = "responses"
	e, err := read(settingstest.Lookup(env))
	if err != nil {
		t.Fatal(err)
	}
	handler := assemble(aws.Config{Region: "eu-west-1"}, e, slog.New(slog.DiscardHandler))
	want := spec.Limits{
		AllowedBuckets: []string{"allowed-*", "b"}, ClosedBuckets: []string{"cdk-*", "cf-*"}, AllowedReaders: []string{"none"}, SecretKMSKeys: []string{"arn:k*"},
		RequireSecretKMSKey: true, SourceCIDRs: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, MaxDays: 90,
	}
	if diff := cmp.Diff(want, handler.Limits, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(resource.Home{Region: "eu-west-1", Accounts: []string{"123456789012"}}, handler.Home); diff != "" {
		t.Error(diff)
	}
	if !handler.Rotates || !handler.RefuseUnbound || !slices.Equal(handler.ResponseHosts, []string{"responses"}) || handler.Provisioner.(*provision.Provisioner).Role != "the-role" || e.boundary != "the-boundary" || e.rotator != "the-rotator" {
		t.Errorf("%+v, %+v", handler, e)
	}
}

// On Lambda a variable that is missing is an error: it may be a limit of the owner's. So
// is one that may not be empty, and one that cannot be read. Nothing is given then, and
// what an event has to be bound to holds all the same.
func TestTheFunctionGivesNothing(t *testing.T) {
	if _, err := read(settingstest.Lookup(given())); err != nil {
		t.Fatal(err)
	}
	refused := func(what, variable string, change func(map[string]string)) {
		t.Helper()
		env := given()
		change(env)
		e, err := read(settingstest.Lookup(env))
		if err == nil || !strings.Contains(err.Error(), variable+" is ") || !e.refuseUnbound {
			t.Errorf("%s: %v, %+v", what, err, e)
		}
	}
	for _, variable := range settingstest.Variables(t, "../..", "ProviderFunction") {
		// Two are for local runs, and one is for the log alone.
		if variable != "AWS_ENDPOINT_URL" && variable != "RESPONSE_HOSTS" && variable != "VERSION" {
			refused("without "+variable, variable, func(env map[string]string) { delete(env, variable) })
		}
	}
	for variable, values := range map[string][]string{
		"PERMISSIONS_BOUNDARY_ARN": {""}, "ROTATION_FUNCTION_ARN": {""}, "PROVIDER_ROLE_ARN": {""},
		// An empty one of these would allow all.
		"ALLOWED_BUCKETS": {"", " ", ",", " , "}, "ALLOWED_READERS": {"", ","}, "STACK_ACCOUNTS": {"", ","},
		"MAX_DAYS": {"", "-1", "90.5", "ninety", "36501"}, "SOURCE_CIDRS": {"x", "203.0.113.0/33", "", "10.0.0.0/8", "0.0.0.0/0"}, "SECRET_KMS_KEYS": {""}, "CLOSED_BUCKETS": {""},
		"REQUIRE_SECRET_KMS_KEY": {"", "True", "1"}, "UNBOUND_EVENTS": {"", "refuse", "x"},
	} {
		for _, value := range values {
			refused(variable+" of "+value, variable, func(env map[string]string) { env[variable] = value })
		}
	}
	env := given()
	env["CLOSED_BUCKETS"], env["SECRET_KMS_KEYS"], env["SOURCE_CIDRS"] = "none", "none", "any"
	delete(env, "RESPONSE_HOSTS")
	if e, err := read(settingstest.Lookup(env)); err != nil || len(e.limits.ClosedBuckets)+len(e.limits.SecretKMSKeys)+len(e.limits.SourceCIDRs)+len(e.responseHosts) > 0 {
		t.Errorf("%v, %+v", err, e)
	}
}

// A local run need not set anything. What it sets has to be right there too.
func TestSettingsOfALocalRun(t *testing.T) {
	for what, env := range map[string]map[string]string{
		"nothing": {}, "no Lambda": {"MAX_DAYS": "", "UNBOUND_EVENTS": ""}, "a local AWS": {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_ENDPOINT_URL": "http://127.0.0.1:4599"},
	} {
		e, err := read(settingstest.Lookup(env))
		if diff := cmp.Diff(spec.Limits{SecretKMSKeys: []string{"*"}}, e.limits); err != nil || diff != "" || e.refuseUnbound || e.local != (what == "a local AWS") {
			t.Errorf("%s: %v, %+v, %s", what, err, e, diff)
		}
	}
	if _, err := read(settingstest.Lookup(map[string]string{"MAX_DAYS": "x", "UNBOUND_EVENTS": "y"})); err == nil || !strings.Contains(err.Error(), "MAX_DAYS") || !strings.Contains(err.Error(), "UNBOUND_EVENTS") {
		t.Error(err)
	}
}

// Where the owner lets keys be used from some addresses alone, buckets are not asked:
// they deny this function's own calls.
func TestSourceCidrsAreForTheProofToo(t *testing.T) {
	settingstest.BucketsAreAsked(t, func(sourceCidrs string, cfg aws.Config) issue.Prober {
		env := given()
		env["SOURCE_CIDRS"] = sourceCidrs
		e, err := read(settingstest.Lookup(env))
		if err != nil {
			t.Fatal(err)
		}
		return assemble(cfg, e, slog.New(slog.DiscardHandler)).Provisioner.(*provision.Provisioner).Prober
	})
}

// What is logged at level WARN is counted, whichever part of the provider says it.
func TestWarningsAreCounted(t *testing.T) {
	handler := assemble(aws.Config{Region: "eu-west-1"}, environment{}, slog.New(slog.DiscardHandler))
	ctx, tally := metric.Start(t.Context())
	handler.Log.WarnContext(ctx, "x")
	handler.Provisioner.(*provision.Provisioner).Log.WarnContext(ctx, "x")
	if got := tally.Counts().Warnings; got != 2 {
		t.Errorf("%d of 2 warnings", got)
	}
}
