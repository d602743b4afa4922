// Command invoke sends one event to the provider, or to the rotator, in `sam local
// invoke`'s container, with a running `make sandbox` for AWS, and prints the answer:
//
//	invoke EVENT.json [OPTIONS OF sam local invoke]
//
// SAM says little of what it lacks: a function that reaches nothing runs into
// its timeout, five minutes later, and SAM exits with 0. So what it needs is
// looked for first, and said. Without a response the command fails. A response that
// says FAILED is a response, and the command succeeds.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"cloney-s3-credentials/internal/sandbox"
)

// skipPull is SAM's own option: no registry is asked.
const skipPull = "--skip-pull-image"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := invoke(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "\ninvoke: NO RESPONSE:", err)
		stop()
		os.Exit(1)
	}
}

func invoke(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 || arguments[0] == "" {
		return errors.New("name an event, as in make invoke EVENT=events/create-source.json")
	}
	event, err := readEvent(arguments[0])
	if err != nil {
		return err
	}
	options := arguments[1:]
	aws, err := running(ctx)
	if err != nil {
		return err
	}
	if err := aws.there(ctx); err != nil {
		return err
	}
	e, err := findEngine(ctx)
	if err != nil {
		return err
	}
	skip := slices.Contains(options, skipPull)
	if err := e.image(ctx, skip); err != nil {
		return err
	}
	if err := build(ctx, e.Arch); err != nil {
		return err
	}
	if err := e.reaches(ctx, aws); err != nil {
		return err
	}
	if err := event.prepare(ctx, aws); err != nil {
		return err
	}
	return play(ctx, aws, event, samLine(e.Arch, aws, event, options), skip)
}

// build makes the bootstrap for the engine's architecture. The sandbox runs a copy
// of its own.
func build(ctx context.Context, arch string) error {
	say("Bootstrap for %s: %s, built again if something has changed.", arch, local(arch))
	command := exec.CommandContext(ctx, "make", "--no-print-directory", "build-container", "ARCH="+arch)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("building the bootstrap: %w", err)
	}
	return nil
}

// play runs SAM and shows the function's response.
func play(ctx context.Context, aws account, event *event, line []string, skipped bool) error {
	if event.key != "" {
		if err := aws.forget(ctx, event.key); err != nil {
			return err
		}
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	say("\nThis is run now, and can be pasted into another shell:\n\n  cd %s\n  %s\n", sandbox.Quoted(here), shell(line))
	var printed failures
	command := exec.CommandContext(ctx, line[0], line[1:]...)
	command.Stdout, command.Stderr = &printed, os.Stderr
	// SAM takes its container away when it is interrupted.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = time.Minute
	failed := command.Run()
	switch {
	case failed != nil && !skipped:
		return fmt.Errorf("sam local invoke: %w. If a registry could not be asked: SAM_FLAGS=%s takes the image that is here", failed, skipPull)
	case failed != nil:
		return fmt.Errorf("sam local invoke: %w", failed)
	case printed.function:
		return errors.New("the function failed; SAM has printed why")
	case event.key == "":
		say("\nThe rotator has ended. It sends no response; its log is above.")
		return nil
	}
	answer, err := aws.answer(ctx, event.key)
	if err != nil {
		return err
	}
	say("\nThe response, s3://%s/%s:\n", sandbox.ResponsesBucket, event.key)
	fmt.Println(answer)
	return nil
}

// say prints what is done. On standard output is the response alone.
func say(format string, about ...any) { fmt.Fprintf(os.Stderr, format+"\n", about...) }
