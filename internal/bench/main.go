// Command bench measures what a stack operation costs: how long it waits for us and how
// long for AWS, compared with an empty function and the same job in Python.
//
// Everything runs in package sandbox's local AWS, under a Runtime API of our own that
// sees when a process asks for its first event. Programs that are compared run in turn.
// Package report lays out what was measured. With -counts no time is measured: then the
// command checks what does not depend on the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"

	"cloney-s3-credentials/internal/sandbox"
)

func main() {
	b := &bench{}
	flag.StringVar(&b.root, "root", ".", "the checkout")
	flag.IntVar(&b.runs, "runs", 20, "how often each thing is measured")
	flag.IntVar(&b.crowd, "crowd", 200, "how many processes of the provider run at once; each has some 15 MB of memory")
	onlyCounts := flag.Bool("counts", false, "measure no time: check calls and sizes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, *onlyCounts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bench is one run of the benchmark.
type bench struct {
	root        string
	runs, crowd int
	sandbox     *sandbox.Sandbox
	numbers     atomic.Int64 // of resources
}

// run starts a local AWS and measures in it, or only counts.
func (b *bench) run(ctx context.Context, onlyCounts bool) (err error) {
	forget()
	if b.sandbox, err = sandbox.Start(ctx, sandbox.Options{Root: b.root}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.sandbox.Close()) }()
	if err := b.sandbox.MakeBuckets(ctx); err != nil {
		return err
	}
	// Secrets Manager rotates only by a function of a stack.
	if err := b.sandbox.DeployProvider(ctx); err != nil {
		return err
	}
	if onlyCounts {
		return b.check(ctx)
	}
	found, err := b.measure(ctx)
	if err != nil {
		return err
	}
	r := b.report(ctx, found)
	return errors.Join(r.Terminal(os.Stdout), b.write(r))
}

// forget unsets what changes how Go's programs run, such as the Makefile's GOGC: Lambda
// does not set it.
func forget() {
	for _, variable := range []string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG", "GORACE"} {
		_ = os.Unsetenv(variable)
	}
}

// check checks what is the same on every machine, and that the figures in simulated
// time can be measured.
func (b *bench) check(ctx context.Context) error {
	sizes, noSizes := b.sizes(ctx)
	b.runs = 1
	_, noFigures := b.figures(ctx)
	wrong := append([]error{noSizes, noFigures, b.checkCounts(ctx)}, tooLarge(sizes)...)
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	fmt.Printf("%d kinds of events have the expected counts, and every zip has at most %d bytes\n", len(kinds), zipLimit)
	return nil
}

// say reports how far the run is.
func (b *bench) say(format string, about ...any) { fmt.Fprintf(os.Stderr, format+"\n", about...) }

// pair starts the two functions, and has them carry out every kind of event once: what
// they and the local AWS do only the first time is not counted.
func (b *bench) pair(ctx context.Context) (provider, rotates *environment, err error) {
	if provider, err = b.start(b.sandbox.Bootstrap(sandbox.ProviderStack)); err != nil {
		return nil, nil, err
	}
	if rotates, err = b.start(b.sandbox.Bootstrap(sandbox.Rotator)); err != nil {
		provider.end()
		return nil, nil, err
	}
	if _, err = b.lives(ctx, ours, provider, rotates, 0); err != nil {
		provider.end()
		rotates.end()
		return nil, nil, err
	}
	return provider, rotates, nil
}
