// Command folder writes a release into dist/VERSION: the template, the functions' code,
// the lists of what is in it (SBOM), the schema of the properties and the checksums of
// all of these. `make release` builds the functions for both processors and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cloney-s3-credentials/internal/release/published"
)

func main() {
	if err := fromCommandLine(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// dist is where releases are.
const dist = "dist"

func fromCommandLine(ctx context.Context) error {
	f := published.Folder{Root: "."}
	f.Template = func(ctx context.Context, r published.Release) ([]byte, error) { return r.Template(ctx, f.Root) }
	check := flag.Bool("check", false, "check the version and the checkout alone: what takes a minute to build comes after it")
	flag.StringVar(&f.Version, "version", "", "what the release is called")
	flag.StringVar(&f.Commit, "commit", "unknown", "the commit that the bootstraps are of")
	flag.StringVar(&f.ARM64, "arm64", "", "the directory of what was built for arm64")
	flag.StringVar(&f.X86, "x86_64", "", "the directory of what was built for x86_64")
	flag.Parse()
	f.SBOMs = flag.Args()
	f.Dir = filepath.Join(dist, f.Version)
	if err := errors.Join(f.Check(false), f.CheckChangelog()); err != nil {
		return fmt.Errorf("%w\nCall it so: make release VERSION=1.0.0", err)
	}
	if *check {
		return nil
	}
	if err := f.Write(ctx); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(f.Dir, "SHA256SUMS"))
	if err != nil {
		return err
	}
	fmt.Printf("%s\n%s: version %s of commit %s\n", strings.TrimSpace(string(sums)), f.Dir, f.Version, f.Commit)
	return nil
}
