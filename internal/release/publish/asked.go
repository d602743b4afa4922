package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/release/published"
)

// usage is how the command is called.
const usage = `make publish VERSION=1.0.0 REGIONS="eu-west-1 us-east-1" [PREFIX=cloney-code] [DRY_RUN=yes]`

// What the published template, an object's key and a bucket's name can hold.
var (
	versions = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$`)
	regions  = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]$`)
	prefixes = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	commits  = regexp.MustCompile(`^([0-9a-f]{7,64}(-dirty)?|unknown)$`)
)

// asked is the command line, as it was typed. The last two are the directories that
// `sam build` has made for a processor.
type asked struct{ version, regions, prefix, dryRun, commit, arm64, x86 string }

// plan is a valid one.
type plan struct {
	version, prefix, commit string
	regions                 []string
	dryRun                  bool
	zips                    map[published.Code][]byte
}

// plan checks all that is typed, and packs the bootstraps.
func (a asked) plan() (plan, error) {
	p := plan{version: a.version, prefix: a.prefix, commit: a.commit, regions: strings.Fields(a.regions), dryRun: a.dryRun == "yes"}
	switch {
	case p.version == "":
		return plan{}, errors.New("VERSION is missing. Call it so: " + usage)
	case !versions.MatchString(p.version):
		return plan{}, fmt.Errorf("VERSION %q is not made of letters, digits, dots and hyphens, at most 64. Call it so: %s", p.version, usage)
	case len(p.regions) == 0:
		return plan{}, errors.New("REGIONS is missing. Call it so: " + usage)
	case !prefixes.MatchString(p.prefix):
		return plan{}, fmt.Errorf("PREFIX %q is not made of lower case letters, digits and hyphens, at most 32", p.prefix)
	case a.dryRun != "" && a.dryRun != "yes" && a.dryRun != "no":
		return plan{}, fmt.Errorf("DRY_RUN is %q: write yes or no", a.dryRun)
	case !commits.MatchString(p.commit):
		return plan{}, fmt.Errorf("%q is not a commit", p.commit)
	// What is published stays for ever: it has to be what a commit has.
	case strings.HasSuffix(p.commit, "-dirty") && !p.dryRun:
		return plan{}, errors.New("the checkout has changes that are not committed. Commit them first, or look with DRY_RUN=yes what would be published")
	}
	for _, region := range p.regions {
		if !regions.MatchString(region) {
			return plan{}, fmt.Errorf("REGIONS names %q, which is not a region. Put spaces between regions: %s", region, usage)
		}
	}
	slices.Sort(p.regions)
	p.regions = slices.Compact(p.regions)
	p.zips = map[published.Code][]byte{}
	for _, code := range published.Codes() {
		built := map[string]string{"arm64": a.arm64, "x86_64": a.x86}[code.Architecture]
		zip, err := packed(filepath.Join(built, code.Function, "bootstrap"))
		if err != nil {
			return plan{}, err
		}
		p.zips[code] = zip
	}
	return p, nil
}

func packed(file string) ([]byte, error) {
	bootstrap, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("there is no bootstrap; make publish builds it: %w", err)
	}
	return published.Zip(bootstrap)
}
