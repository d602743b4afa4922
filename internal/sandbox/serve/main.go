// Command serve runs a local AWS with the provider deployed, until it is interrupted:
//
//	serve [-port 4599]
//
// It is for `make invoke`, `aws lambda invoke` and your own stacks. Where Lambda's
// runtime emulator does not run, on a Mac, it does without: the function then runs in
// SAM's container alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"cloney-s3-credentials/internal/sandbox"
)

func main() {
	given := flag.String("port", strconv.Itoa(sandbox.Port), "of the sandbox")
	flag.Parse()
	port, err := strconv.ParseUint(*given, 10, 16)
	if err != nil || port == 0 {
		fmt.Fprintf(os.Stderr, "make sandbox: PORT is a number from 1 to 65535, and %q is not\n", *given)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := serve(ctx, int(port)); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "make sandbox:", err)
		stop()
		os.Exit(1)
	}
	fmt.Println("\nThe sandbox has ended.")
}

func serve(ctx context.Context, port int) (err error) {
	files, err := sandbox.OpenShellFiles(sandbox.ShellDirectory("."))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	if err := files.Note(port); err != nil {
		return err
	}
	without := runtime.GOOS != "linux"
	var s *sandbox.Sandbox
	if err := sandbox.Doing("Start a local AWS", func() (err error) {
		s, err = sandbox.Start(ctx, sandbox.Options{Root: ".", Port: port, ShellFiles: files, WithoutFunction: without})
		return err
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := sandbox.Doing("Deploy the provider", func() error { return s.Open(ctx, files) }); err != nil {
		return err
	}
	fmt.Print(banner(s, without))
	if err := s.LetContainersIn(func(format string, about ...any) { fmt.Printf(format+"\n", about...) }); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// banner says what is there, and what is laxer than AWS.
func banner(s *sandbox.Sandbox, without bool) string {
	text := fmt.Sprintf(`
The sandbox runs at %s: a local AWS with the provider deployed.
Press Ctrl-C to end it. Nothing in it is kept. The provider serves %s alone.

In another shell, in this directory, call it as its administrator:

  source .tools/sandbox/env
  aws s3 ls

Or send one event to the function in a container of SAM:

  make invoke EVENT=events/create-source.json

Buckets:
%s
`, s.Endpoint, sandbox.Region, buckets())
	if without {
		text += `
No function runs in here, because Lambda's runtime emulator needs Linux: a stack
with credentials waits for a response that does not come. Use make invoke.
`
	} else {
		text += `
Logs of the functions, as they are written:
  .tools/sandbox/provider.log  answers CloudFormation
  .tools/sandbox/rotator.log   rotates keys, and sweeps
The functions keep the code and the limits with which they started: the
provider's parameters have no effect here.
`
	}
	return text + `
IAM is enforced, but less than on AWS:
- Users' policies count: their actions, resources and Deny statements. Their
  conditions are ignored. So are permissions boundaries, service control
  policies, the policies of secrets and keys, and most of bucket policies.
- Both functions run as the administrator. Their own roles are not tried.
- SecretReaders may name users and roles that do not exist.
docs/local.md lists all differences.

`
}

func buckets() (lines string) {
	for _, bucket := range sandbox.Buckets {
		lines += fmt.Sprintf("  %-28s %s\n", bucket.Name, bucket.Holds)
	}
	return lines[:len(lines)-1]
}
