package main

import (
	"cloney-s3-credentials/internal/resource"
	"cloney-s3-credentials/internal/settings"
	"cloney-s3-credentials/internal/spec"
)

// environment is what the template sets for the function.
type environment struct {
	boundary string // the users' permissions boundary
	rotator  string // the function that Secrets Manager invokes for RotationSchedule
	role     string // the function's own, for messages only

	limits        spec.Limits
	accounts      []string // whose stacks are served, the own account first
	responseHosts []string // of local runs
	refuseUnbound bool

	local bool // AWS is a local one

	closed *resource.Closed // why the provider gives no credentials; nil: it does
}

// mostMaxDays is a hundred years.
const mostMaxDays = 36500

// read reads the environment. Its error names all that is wrong. It then also returns
// what it could read.
func read(lookup func(string) (string, bool)) (environment, error) {
	r := settings.New(lookup)
	e := environment{
		boundary: r.Needed("PERMISSIONS_BOUNDARY_ARN"),
		rotator:  r.Needed("ROTATION_FUNCTION_ARN"),
		role:     r.Needed("PROVIDER_ROLE_ARN"),
		limits: spec.Limits{
			AllowedBuckets: r.NeededList("ALLOWED_BUCKETS"),
			ClosedBuckets:  r.List("CLOSED_BUCKETS"),
			AllowedReaders: r.NeededList("ALLOWED_READERS"),
			// In a local run that does not set it: any key.
			SecretKMSKeys:       r.List("SECRET_KMS_KEYS", "*"),
			RequireSecretKMSKey: r.OneOf("REQUIRE_SECRET_KMS_KEY", "false", "true") == "true",
			SourceCIDRs:         r.Ranges("SOURCE_CIDRS"),
			MaxDays:             r.Number("MAX_DAYS", 0, 0, mostMaxDays),
		},
		accounts:      r.NeededList("STACK_ACCOUNTS"),
		responseHosts: spec.Patterns(r.Optional("RESPONSE_HOSTS")),
		// Refuse is also the meaning of a wrong value: a Delete is carried out whatever is missing.
		refuseUnbound: r.OneOf("UNBOUND_EVENTS", "Report", "Refuse") != "Report",
		local:         r.Local(),
	}
	return e, r.Err()
}
