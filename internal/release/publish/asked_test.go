package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/release/published"
)

// typed is a command line that is right.
func typed(t *testing.T) asked {
	t.Helper()
	dir := t.TempDir()
	for _, function := range published.Functions {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, function), 0o755), os.WriteFile(filepath.Join(dir, function, "bootstrap"), []byte(function), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return asked{
		Source:  published.Source{Version: "1.0.0", Commit: "unknown", ARM64: dir, X86: dir},
		regions: "us-east-1 eu-west-1  us-gov-west-1 eu-west-1", prefix: "cloney-code",
	}
}

func TestWhatIsAsked(t *testing.T) {
	p, err := typed(t).plan()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"eu-west-1", "us-east-1", "us-gov-west-1"}, p.regions); diff != "" || p.dryRun {
		t.Error(diff, p.dryRun)
	}
	for _, change := range []func(*asked){
		func(a *asked) { a.dryRun = "yes" },
		func(a *asked) { a.Version = "2026.11.26-rc1" },
		func(a *asked) { a.Commit, a.dryRun = strings.Repeat("0f", 20)+"-dirty", "yes" },
	} {
		a := typed(t)
		change(&a)
		if p, err := a.plan(); err != nil || p.dryRun != (a.dryRun == "yes") {
			t.Error(p.dryRun, err)
		}
	}
}

func TestWhatIsAskedWrongly(t *testing.T) {
	for says, change := range map[string]func(*asked){
		"VERSION is missing. Call it so: make publish VERSION=1.0.0 REGIONS=": func(a *asked) { a.Version = "" },
		`VERSION "1.0/0" is not`:                  func(a *asked) { a.Version = "1.0/0" },
		`VERSION "1.0\nKey: x" is not`:            func(a *asked) { a.Version = "1.0\nKey: x" },
		`VERSION "-1" is not`:                     func(a *asked) { a.Version = "-1" },
		"REGIONS is missing. Call it so: make":    func(a *asked) { a.regions = " " },
		`REGIONS names "eu-west-1,us-east-1"`:     func(a *asked) { a.regions = "eu-west-1,us-east-1" },
		`REGIONS names "x.example.com/?"`:         func(a *asked) { a.regions = "x.example.com/?" },
		`PREFIX "Cloney" is not`:                  func(a *asked) { a.prefix = "Cloney" },
		`DRY_RUN is "ture": write yes or no`:      func(a *asked) { a.dryRun = "ture" },
		`"x\n" is not a commit`:                   func(a *asked) { a.Commit = "x\n" },
		"changes that are not committed. Commit":  func(a *asked) { a.Commit = strings.Repeat("0f", 20) + "-dirty" },
		"a bootstrap is missing; make build and ": func(a *asked) { a.X86 += "-not" },
		"RotatorFunction/bootstrap: no such file": func(a *asked) { _ = os.RemoveAll(filepath.Join(a.ARM64, "RotatorFunction")) },
	} {
		a := typed(t)
		change(&a)
		if _, err := a.plan(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}
