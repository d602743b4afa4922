// Command publish puts a release into the code buckets, one in each region, and
// writes the published template into dist/. `make publish` builds the functions
// for both processors and runs it.
//
// It only adds objects. It compares an object that exists and never writes over it; if
// the content differs, it stops with an error. It checks all buckets before it writes.
//
// A crash between two writes leaves a part of the release: zips that no template
// names, or the template in some of the buckets. Nothing uses them, and none is
// wrong. The same command, run again, finds what exists and adds the rest.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/aws/aws-sdk-go-v2/config"

	"cloney-s3-credentials/internal/release/published"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := fromCommandLine(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

func fromCommandLine(ctx context.Context) error {
	var a asked
	flag.StringVar(&a.Version, "version", "", "what the release is called")
	flag.StringVar(&a.regions, "regions", "", "where it is published, with spaces between")
	flag.StringVar(&a.prefix, "prefix", "cloney-code", "the first part of the code buckets' names")
	flag.StringVar(&a.dryRun, "dry-run", "", "yes: say what would be done, and do nothing")
	flag.StringVar(&a.Commit, "commit", "unknown", "the commit that the bootstraps are of")
	flag.StringVar(&a.ARM64, "arm64", "", "the directory of what was built for arm64")
	flag.StringVar(&a.X86, "x86_64", "", "the directory of what was built for x86_64")
	flag.Parse()
	plan, err := a.plan()
	if err != nil {
		return err
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	p := publisher{plan: plan, cfg: cfg, dir: "dist", out: os.Stdout}
	p.template = func(ctx context.Context, r published.Release) ([]byte, error) { return r.Template(ctx, ".") }
	return p.publish(ctx)
}
