package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/release/published"
)

// usage is how the command is called.
const usage = `make publish VERSION=1.0.0 REGIONS="eu-west-1 us-east-1" [PREFIX=cloney-code] [DRY_RUN=yes]`

// What a bucket's name can hold.
var (
	regions  = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]$`)
	prefixes = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
)

// asked is the command line, as it was typed.
type asked struct {
	published.Source
	regions, prefix, dryRun string
}

// plan is a valid command line, with the zips.
type plan struct {
	version, prefix, commit string
	regions                 []string
	dryRun                  bool
	zips                    map[published.Code][]byte
}

// plan checks everything that was typed, and packs the bootstraps.
func (a asked) plan() (plan, error) {
	p := plan{version: a.Version, prefix: a.prefix, commit: a.Commit, regions: strings.Fields(a.regions), dryRun: a.dryRun == "yes"}
	if err := a.Check(p.dryRun); err != nil {
		return plan{}, fmt.Errorf("%w. Call it so: %s", err, usage)
	}
	switch {
	case len(p.regions) == 0:
		return plan{}, errors.New("REGIONS is missing. Call it so: " + usage)
	case !prefixes.MatchString(p.prefix):
		return plan{}, fmt.Errorf("PREFIX %q is not made of lower case letters, digits and hyphens, at most 32", p.prefix)
	case a.dryRun != "" && a.dryRun != "yes" && a.dryRun != "no":
		return plan{}, fmt.Errorf("DRY_RUN is %q: write yes or no", a.dryRun)
	}
	for _, region := range p.regions {
		if !regions.MatchString(region) {
			return plan{}, fmt.Errorf("REGIONS names %q, which is not a region. Put spaces between regions: %s", region, usage)
		}
	}
	slices.Sort(p.regions)
	p.regions = slices.Compact(p.regions)
	var err error
	p.zips, err = a.Zips()
	return p, err
}
