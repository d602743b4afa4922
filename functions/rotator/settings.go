package main

import (
	"time"

	"cloney-s3-credentials/internal/settings"
)

// environment is what the template tells the function.
type environment struct {
	boundary         string // the users' permissions boundary, to judge them by
	own              string // this function: whose rotation of a secret it is
	topic            string // what is told of rotations and of the sweep; empty: EventBridge alone is
	keyAge           time.Duration
	addressesLimited bool // the owner's SourceCidrs may deny this function's own calls

	local bool // AWS is a local one
}

// mostKeyAgeDays is a hundred years.
const mostKeyAgeDays = 36500

// read reads the environment, or says all that is wrong with it.
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
