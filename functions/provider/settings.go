package main

import (
	"cloney-s3-credentials/internal/resource"
	"cloney-s3-credentials/internal/settings"
	"cloney-s3-credentials/internal/spec"
)

// environment is what the template tells the function.
type environment struct {
	boundary string // the users' permissions boundary
	rotator  string // the function that RotationSchedule has Secrets Manager invoke
	role     string // its own, for sentences alone

	limits        spec.Limits
	accounts      []string // whose stacks are served, its own first
	responseHosts []string // of local runs
	refuseUnbound bool

	local bool // AWS is a local one

	closed *resource.Closed // why nothing is given; nil: it is
}

// mostMaxDays is a hundred years.
const mostMaxDays = 36500

// read reads the environment. With an error, which says all that is wrong with it, it
// returns what it could read.
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
			// In a local run that does not say, any.
			SecretKMSKeys:       r.List("SECRET_KMS_KEYS", "*"),
			RequireSecretKMSKey: r.OneOf("REQUIRE_SECRET_KMS_KEY", "false", "true") == "true",
			SourceCIDRs:         r.Ranges("SOURCE_CIDRS"),
			MaxDays:             r.Number("MAX_DAYS", 0, 0, mostMaxDays),
		},
		accounts:      r.NeededList("STACK_ACCOUNTS"),
		responseHosts: spec.Patterns(r.Optional("RESPONSE_HOSTS")),
		// Also where it says neither: a Delete is carried out whatever is missing.
		refuseUnbound: r.OneOf("UNBOUND_EVENTS", "Report", "Refuse") != "Report",
		local:         r.Local(),
	}
	return e, r.Err()
}
