// Command serve runs a local AWS with the provider deployed, on a fixed port,
// until it is interrupted: for `make invoke`, `aws lambda invoke` and stacks of
// one's own. Where Lambda's runtime emulator does not run, on a Mac, it does
// without: the function then runs in SAM's container alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"cloney-s3-credentials/internal/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	without := runtime.GOOS != "linux"
	var s *sandbox.Sandbox
	if err := sandbox.Doing("Start a local AWS", func() (err error) {
		s, err = sandbox.Start(ctx, sandbox.Options{Root: ".", Port: sandbox.Port, WithoutFunction: without})
		return err
	}); err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := sandbox.Doing("Deploy the provider", func() error {
		return errors.Join(s.MakeBuckets(ctx), s.DeployProvider(ctx))
	}); err != nil {
		return err
	}
	fmt.Printf(`A local AWS with the provider runs at %s. Ctrl-C ends it. In another shell:

  make invoke EVENT=events/create-source.json
`, s.Endpoint)
	if without {
		fmt.Println("\nThe function runs in that command's container, and not in here: Lambda's runtime emulator needs Linux.")
	} else {
		fmt.Printf(`
or, without containers:

  export PATH="$PWD/.tools/venv/bin:$PATH" AWS_ENDPOINT_URL=%s AWS_DEFAULT_REGION=%s AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox
  aws lambda invoke --function-name cloney-s3-credentials --payload file://events/create-source.json /dev/null
  aws s3 cp s3://%s/create-source.json -

`, s.Endpoint, sandbox.Region, sandbox.ResponsesBucket)
	}
	if err := s.LetContainersIn(func(format string, about ...any) { fmt.Printf(format+"\n", about...) }); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
