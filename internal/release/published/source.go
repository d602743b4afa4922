package published

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// What the published template and an object's key can hold.
var (
	versions = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$`)
	commits  = regexp.MustCompile(`^([0-9a-f]{7,64}(-dirty)?|unknown)$`)
)

// Source is what a release is made of, as the command line has it. The last two are the
// directories that `sam build` has written for a processor.
type Source struct{ Version, Commit, ARM64, X86 string }

// Check returns what is wrong with the version and the commit. A trial publishes
// nothing, so its commit may have changes that are not committed.
func (s Source) Check(trial bool) error {
	switch {
	case s.Version == "":
		return errors.New("VERSION is missing")
	case !versions.MatchString(s.Version):
		return fmt.Errorf("VERSION %q is not made of letters, digits, dots and hyphens, at most 64", s.Version)
	case !commits.MatchString(s.Commit):
		return fmt.Errorf("%q is not a commit", s.Commit)
	// A version never changes, so its source must be a commit, which never changes either.
	case strings.HasSuffix(s.Commit, "-dirty") && !trial:
		return errors.New("the checkout has changes that are not committed. Commit them first")
	}
	return nil
}

// Zips packs the bootstraps.
func (s Source) Zips() (map[Code][]byte, error) {
	zips := map[Code][]byte{}
	for _, code := range Codes() {
		built := map[string]string{"arm64": s.ARM64, "x86_64": s.X86}[code.Architecture]
		bootstrap, err := os.ReadFile(filepath.Join(built, code.Function, "bootstrap"))
		if err != nil {
			return nil, fmt.Errorf("a bootstrap is missing; make build and make build-x86_64 build them: %w", err)
		}
		if zips[code], err = Zip(bootstrap); err != nil {
			return nil, err
		}
	}
	return zips, nil
}

// Checksums are those of zips.
func Checksums(zips map[Code][]byte) map[Code]Checksum {
	sums := map[Code]Checksum{}
	for code, zip := range zips {
		sums[code] = ChecksumOf(zip)
	}
	return sums
}
