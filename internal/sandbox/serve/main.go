// Command serve runs a local AWS with the provider deployed, on a fixed port,
// until it is interrupted: for `sam local invoke`, `aws lambda invoke` and
// stacks of one's own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"cloney-s3-credentials/internal/sandbox"
)

// port is the one that events/ and events/env.json name.
const port = 4599

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	s, err := sandbox.Start(ctx, sandbox.Options{Root: ".", Port: port})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.MakeBuckets(ctx); err != nil {
		return err
	}
	if err := s.DeployProvider(ctx); err != nil {
		return err
	}
	fmt.Printf(`A local AWS with the provider runs at %s. Ctrl-C ends it. In another shell:

  export PATH="$PWD/.tools/venv/bin:$PATH" AWS_ENDPOINT_URL=%s AWS_DEFAULT_REGION=%s AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox
  aws lambda invoke --function-name cloney-s3-credentials --payload file://events/create-source.json /dev/null
  aws s3 cp s3://%s/create-source.json -
`, s.Endpoint, s.Endpoint, sandbox.Region, sandbox.ResponsesBucket)
	<-ctx.Done()
	return nil
}
