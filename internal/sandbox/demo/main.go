// Command demo shows the provider at work in a local AWS, step by step, and
// exits with 1 if any of what it shows does not hold.
//
// Everything is real but AWS itself: the bootstraps that `sam build` made, under
// Lambda's own runtime emulator; our template and the examples, deployed by the
// AWS CLI; the issued keys, taken by the AWS CLI through credential_process and
// used by it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"cloney-s3-credentials/internal/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	d := &demo{held: map[string]stored{}}
	err := d.run(ctx)
	d.table()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\nDoes not hold:", err)
		stop()
		os.Exit(1)
	}
	fmt.Println("\nAll of it held.")
}

type demo struct {
	s       *sandbox.Sandbox
	rows    []row
	profile string            // of the AWS CLI: its configuration file
	keys    map[string]string // outputs of the migration's stack
	held    map[string]stored // by profile: what the secrets hold
	rotated rotated
}

type row struct {
	title, shown string
	took         time.Duration
	held         bool
}

func (d *demo) run(ctx context.Context) error {
	defer func() { _ = d.s.Close() }()
	dir, err := os.MkdirTemp("", "cloney-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d.profile = dir + "/config"
	for _, step := range []struct {
		title string
		do    func(context.Context) (string, error)
	}{
		{"Start a local AWS", d.start},
		{"Deploy the provider: template.yaml", d.provider},
		{"Deploy examples/migration.yaml: one key to read, one to write", d.migration},
		{"The policies that were made", d.policies},
		{"Where the keys are", d.secrets},
		{"Use the Source key: it reads and does nothing else", d.source},
		{"Use the Destination key: it writes and does nothing else", d.destination},
		{"Add a bucket to the source: same key", d.addBucket},
		{"Add a bucket that does not exist: rolled back", d.failingUpdate},
		{"Raise Serial: new keys, the former ones go on working", d.newKeys},
		{"Deploy examples/source.yaml and examples/destination.yaml", d.others},
		{"Deploy examples/rotation.yaml, rotate by hand: both keys work", d.rotate},
		{"Nobody uses the former key: the daily sweep retires it", d.retire},
		{"Delete the stacks: nothing is left", d.remove},
	} {
		fmt.Printf("\n%s\n", bold(step.title))
		started := time.Now()
		done := make(chan struct{})
		go sandbox.Still("  ...", started, done)
		shown, err := step.do(ctx)
		close(done)
		d.rows = append(d.rows, row{step.title, shown, time.Since(started), err == nil})
		if err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
		fmt.Printf("  → %s (%.1f s)\n", shown, time.Since(started).Seconds())
	}
	return nil
}

// bold is for a terminal; elsewhere lines are plain.
func bold(text string) string {
	if info, err := os.Stdout.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("CI") != "" {
		return text
	}
	return "\033[1m" + text + "\033[0m"
}

// table is what the demo closes with.
func (d *demo) table() {
	var total time.Duration
	fmt.Printf("\n%-66s %8s  %s\n%s\n", "step", "seconds", "", strings.Repeat("─", 84))
	for _, r := range d.rows {
		held := "holds"
		if !r.held {
			held = "FAILS"
		}
		total += r.took
		fmt.Printf("%-66s %8.1f  %s\n", r.title, r.took.Seconds(), held)
	}
	fmt.Printf("%s\n%-66s %8.1f\n", strings.Repeat("─", 84), "", total.Seconds())
}
