// Command provider is the Lambda function behind Custom::CloneyS3Credentials:
// it answers CloudFormation's Create, Update and Delete.
//
// It is a list of parts; what they do is in internal/.
package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/edge"
	"cloney-s3-credentials/internal/guard"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/probe"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/resource"
	"cloney-s3-credentials/internal/secrets"
	"cloney-s3-credentials/internal/spec"
	"cloney-s3-credentials/internal/users"
)

func main() {
	log := slog.New(lambdacontext.NewLogHandler())
	cfg, err := edge.Config(context.Background())
	if err != nil {
		// Nothing but a malformed environment does this.
		log.Error("the provider cannot start", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(serve(cfg, log))
}

// serve answers events, and leaves no key behind in the memory of a function
// that stays warm: what held one is out of reach, and its memory is given back.
func serve(cfg aws.Config, log *slog.Logger) func(context.Context, json.RawMessage) error {
	cfg, closeAll := edge.Closing(cfg)
	handler := assemble(cfg, log)
	return func(ctx context.Context, raw json.RawMessage) error {
		defer func() {
			closeAll()
			// Twice: what the library keeps in pools outlives one collection.
			debug.FreeOSMemory()
			debug.FreeOSMemory()
		}()
		return handler.Handle(ctx, raw)
	}
}

func assemble(cfg aws.Config, log *slog.Logger) *resource.Handler {
	log = slog.New(metric.Warning(log.Handler()))
	iam := users.New(cfg, users.Options{
		Path:     name.Path(cfg.Region),
		Boundary: os.Getenv("PERMISSIONS_BOUNDARY_ARN"),
		Account:  edge.Account(cfg),
	})
	rotator := os.Getenv("ROTATION_FUNCTION_ARN")
	kept := secrets.New(cfg, secrets.Options{Rotator: rotator})
	provisioner := &provision.Provisioner{
		Users: iam, Keys: iam, Policies: iam, Attachments: iam,
		Secrets: kept, Keeping: kept, Versions: kept, Readers: kept, Rotations: kept,
		Prober: probe.New(cfg, log), Log: log, Role: os.Getenv("PROVIDER_ROLE_ARN"),
	}
	watch := guard.Guard{Users: iam}
	if os.Getenv("AWS_ENDPOINT_URL") != "" {
		// A local AWS answers at once, and a local run has no queue.
		provisioner.Lease, provisioner.InFlight, provisioner.Queue = time.Second, 4*time.Second, 5*time.Second
		watch.Settle = time.Second
	}
	return &resource.Handler{
		Provisioner:    provisioner,
		Guard:          watch,
		Sender:         reply.New(),
		Log:            log,
		AllowedBuckets: spec.Patterns(os.Getenv("ALLOWED_BUCKETS")),
		AllowedReaders: spec.Patterns(os.Getenv("ALLOWED_READERS")),
		Rotates:        rotator != "",
		ResponseHosts:  spec.Patterns(os.Getenv("RESPONSE_HOSTS")),
		Home:           resource.Home{Region: cfg.Region, Accounts: spec.Patterns(os.Getenv("STACK_ACCOUNTS"))},
		LogStream:      lambdacontext.LogStreamName,
		Metrics:        &metric.Sink{Function: lambdacontext.FunctionName, Out: os.Stdout},
	}
}
