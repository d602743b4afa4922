// Command demo shows the provider at work in a local AWS, step by step, and
// exits with 1 if any of what it shows does not hold.
//
// Everything is real but AWS itself: the bootstraps that `sam build` built run under
// Lambda's own runtime emulator; the AWS CLI deploys our template and the examples;
// the AWS CLI takes the issued keys through credential_process, and uses them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/screen"
)

func main() {
	recording := flag.Bool("recording", false, "print the part that docs/demo.svg shows, in color, 80 columns wide")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	d := &demo{screen: screen.New(os.Stdout), held: map[string]stored{}}
	if *recording {
		d.screen = &screen.Screen{Out: os.Stdout, Width: screen.Usual, Color: true}
		d.recording = true
	}
	err := d.run(ctx)
	if ctx.Err() != nil {
		interrupted(*recording)
		return
	}
	d.table()
	if err != nil {
		d.screen.Out = os.Stderr
		d.screen.Blank()
		d.screen.Line(screen.Red, "Does not hold: ", err.Error())
		stop()
		os.Exit(1)
	}
	d.screen.Blank()
	d.screen.Line(screen.Bold, "", "All of it held.")
}

// interrupted ends what somebody has stopped: nothing is known to fail. make has the
// signal too, and adds an error of its own unless we exit with 0.
func interrupted(recording bool) {
	fmt.Fprintln(os.Stderr, "\nInterrupted.")
	if recording {
		os.Exit(1) // half a picture is not kept
	}
}

type demo struct {
	s         *sandbox.Sandbox
	cli       *sandbox.CLI
	screen    *screen.Screen
	recording bool
	rows      []row
	profile   string            // of the AWS CLI: its configuration file
	keys      map[string]string // outputs of the migration's stack
	held      map[string]stored // by profile: what the secrets hold
	rotated   rotated
}

// step is one part of the demo. do returns what the step has shown.
type step struct {
	title    string
	do       func(context.Context) (string, error)
	recorded bool // docs/demo.svg shows it
}

type row struct {
	title string
	took  time.Duration
	held  bool
}

const shown = true // by docs/demo.svg

func (d *demo) steps() []step {
	return []step{
		{"Start a local AWS", d.start, !shown},
		{"Deploy the provider: template.yaml", d.provider, shown},
		{"Deploy examples/migration.yaml: a key to read, a key to write", d.migration, shown},
		{"The policies that the provider created", d.policies, !shown},
		{"The secrets that hold the keys", d.secrets, !shown},
		{"Use the Source key: it reads and does nothing else", d.source, shown},
		{"Use the Destination key: it writes and does nothing else", d.destination, shown},
		{"Verify a credential that exists: make verify", d.verify, !shown},
		{"Add a bucket to the source: the key stays the same", d.addBucket, !shown},
		{"Add a bucket that does not exist: rolled back", d.failingUpdate, shown},
		{"Raise Serial: new keys, and the previous keys still work", d.newKeys, shown},
		{"Deploy examples/source.yaml and examples/destination.yaml", d.others, !shown},
		{"Deploy examples/rotation.yaml and rotate: both keys work", d.rotate, !shown},
		{"The previous key is unused: the daily sweep retires it", d.retire, !shown},
		{"Delete the stacks: nothing is left", d.remove, shown},
	}
}

func (d *demo) run(ctx context.Context) error {
	defer func() { _ = errors.Join(d.s.Close(), d.cli.Close()) }()
	dir, err := os.MkdirTemp("", "cloney-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d.profile = dir + "/config"
	for _, step := range d.steps() {
		if err := d.show(ctx, step); err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	return nil
}

// show carries a step out, and prints what it does as it happens.
func (d *demo) show(ctx context.Context, step step) error {
	if d.recording && !step.recorded {
		out := d.screen.Out
		d.screen.Out = io.Discard
		defer func() { d.screen.Out = out }()
	}
	d.screen.Blank()
	d.screen.Line(screen.Bold, "", step.title)
	d.screen.Doing("")
	started, done, watched := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		if !d.recording {
			d.screen.Watch(done)
		}
	}()
	result, err := step.do(ctx)
	close(done)
	<-watched
	d.rows = append(d.rows, row{step.title, time.Since(started), err == nil})
	if err == nil {
		d.screen.Line(screen.Plain, "  → ", fmt.Sprintf("%s (%.1f\u00a0s)", result, time.Since(started).Seconds()))
	}
	return err
}

// table is what the demo ends with.
func (d *demo) table() {
	if d.recording {
		return
	}
	d.screen.Blank()
	d.screen.Columns(screen.Bold, "step", "seconds", "")
	d.screen.Rule()
	var total time.Duration
	for _, r := range d.rows {
		style, held := screen.Green, "holds"
		if !r.held {
			style, held = screen.Red, "FAILS"
		}
		total += r.took
		d.screen.Columns(style, r.title, fmt.Sprintf("%.1f", r.took.Seconds()), held)
	}
	d.screen.Rule()
	d.screen.Columns(screen.Bold, "", fmt.Sprintf("%.1f", total.Seconds()), "")
}
