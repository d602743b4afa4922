// Command provider is the Lambda function behind Custom::CloneyS3Credentials:
// it answers CloudFormation's Create, Update and Delete.
//
// It only puts the parts together, which are in internal/.
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
	"cloney-s3-credentials/internal/users"
)

func main() {
	log := slog.New(lambdacontext.NewLogHandler())
	log.Info("the provider starts", "version", os.Getenv("VERSION"))
	lambda.Start(start(log))
}

// handle answers one event.
type handle func(context.Context, json.RawMessage) error

func start(log *slog.Logger) handle {
	env, err := read(os.LookupEnv)
	if err != nil {
		// While CloudFormation updates the function, new code may see the previous
		// environment for some seconds. A stack that gets a response fails at once. A
		// stack that gets none waits for an hour.
		log.Error("the provider refuses each Create and Update", "error", err.Error())
		env.closed = &resource.Closed{Problem: err}
	}
	return serve(edge.Config(), env, log)
}

// serve answers events. It leaves no key in the memory of a function that stays
// warm: after each event nothing refers to the memory that held a key, and the
// memory is freed.
func serve(cfg aws.Config, env environment, log *slog.Logger) handle {
	cfg, closeAll := edge.Closing(cfg)
	handler := assemble(cfg, env, log)
	return func(ctx context.Context, raw json.RawMessage) error {
		defer func() {
			closeAll()
			// Twice: memory that the library keeps in pools survives one collection.
			debug.FreeOSMemory()
			debug.FreeOSMemory()
		}()
		return handler.Handle(ctx, raw)
	}
}

func assemble(cfg aws.Config, env environment, log *slog.Logger) *resource.Handler {
	log = slog.New(metric.Warning(log.Handler()))
	iam := users.New(cfg, users.Options{
		Path:     name.Path(cfg.Region),
		Boundary: env.boundary,
		Account:  edge.Account(cfg, env.rotator),
	})
	kept := secrets.New(cfg, secrets.Options{Rotator: env.rotator})
	provisioner := &provision.Provisioner{
		Users: iam, Keys: iam, Policies: iam, Attachments: iam,
		Secrets: kept, Keeping: kept, Versions: kept, Readers: kept, Rotations: kept,
		Prober: probe.New(cfg, log, probe.Options{SourceCIDRs: len(env.limits.SourceCIDRs) > 0}), Log: log, Role: env.role,
	}
	watch := guard.Guard{Users: iam}
	if env.local {
		// A local AWS answers at once, and a local run has no queue.
		provisioner.Lease, provisioner.InFlight, provisioner.Queue = time.Second, 4*time.Second, 5*time.Second
		watch.Lag = time.Second
	}
	return &resource.Handler{
		Provisioner:   provisioner,
		Guard:         watch,
		Sender:        reply.New(),
		Log:           log,
		Limits:        env.limits,
		Rotates:       env.rotator != "",
		ResponseHosts: env.responseHosts,
		RefuseUnbound: env.refuseUnbound,
		Home:          resource.Home{Region: cfg.Region, Accounts: env.accounts},
		Closed:        env.closed,
		LogStream:     lambdacontext.LogStreamName,
		Metrics:       &metric.Sink{Function: lambdacontext.FunctionName, Out: os.Stdout},
	}
}
