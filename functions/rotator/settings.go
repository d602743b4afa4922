package main

import (
	"time"

	"cloney-s3-credentials/internal/settings"
)

// environment is what the template sets for the function.
type environment struct {
	boundary         string // the permissions boundary that users must have
	own              string // this function's ARN: it rotates only secrets that name it
	topic            string // that gets notices of rotations and of the sweep; empty: only EventBridge gets them
	keyAge           time.Duration
	addressesLimited bool // SourceCidrs may deny this function's own calls

	local bool // AWS is a local one
}

// mostKeyAgeDays is a hundred years.
const mostKeyAgeDays = 36500

// read reads the environment. Its error names all that is wrong.
func read(lookup func(string) (string, bool)) (environment, error) {
	r := settings.New(lookup)
	e := environment{
		boundary:         r.Needed("PERMISSIONS_BOUNDARY_ARN"),
		own:              r.Needed("ROTATION_FUNCTION_ARN"),
		topic:            r.Unless("NOTICE_TOPIC_ARN", "none"),
		keyAge:           time.Duration(r.Number("KEY_AGE_DAYS", 90, 1, mostKeyAgeDays)) * 24 * time.Hour,
		addressesLimited: len(r.Ranges("SOURCE_CIDRS")) > 0,
		local:            r.Local(),
	}
	return e, r.Err()
}
