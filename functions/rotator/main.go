// Command rotator is the Lambda function that rotates keys: Secrets Manager
// invokes it with the four steps of a rotation, and EventBridge once a day for the
// sweep.
//
// It only puts the parts together, which are in internal/.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/announce"
	"cloney-s3-credentials/internal/edge"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/probe"
	"cloney-s3-credentials/internal/rotation"
	"cloney-s3-credentials/internal/secrets"
	"cloney-s3-credentials/internal/stacks"
	"cloney-s3-credentials/internal/sweep"
	"cloney-s3-credentials/internal/users"
)

func main() {
	log := slog.New(lambdacontext.NewLogHandler())
	log.Info("the rotator starts", "version", os.Getenv("VERSION"))
	env, err := read(os.LookupEnv)
	if err != nil {
		// Only a malformed environment leads here.
		log.Error("the rotator cannot start", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(serve(edge.Config(), env, log))
}

// handle answers one event.
type handle func(context.Context, json.RawMessage) error

// serve answers events. It leaves no key in the memory of a function that stays
// warm: after each event nothing refers to the memory that held a key, and the
// memory is freed.
func serve(cfg aws.Config, env environment, log *slog.Logger) handle {
	cfg, closeAll := edge.Closing(cfg)
	h := assemble(cfg, env, log)
	return func(ctx context.Context, raw json.RawMessage) error {
		defer func() {
			closeAll()
			// Twice: memory that the library keeps in pools survives one collection.
			debug.FreeOSMemory()
			debug.FreeOSMemory()
		}()
		return h.handle(ctx, raw)
	}
}

// handler has one part for each of the function's two callers.
type handler struct {
	rotator *rotation.Rotator
	sweeper *sweep.Sweeper
}

func assemble(cfg aws.Config, env environment, log *slog.Logger) *handler {
	log = slog.New(metric.Warning(log.Handler()))
	iam := users.New(cfg, users.Options{Path: name.Path(cfg.Region), Boundary: env.boundary, Account: edge.Account(cfg, env.own)})
	kept := secrets.New(cfg, secrets.Options{Rotator: env.own})
	tell := announce.New(cfg, env.topic, log)
	metrics := &metric.Sink{Function: lambdacontext.FunctionName, Out: os.Stdout}
	rotator := &rotation.Rotator{
		Users: iam, Keys: iam, Policies: iam, Secrets: kept,
		Versions: func(token access.Secret) rotation.Versions { return kept.WithRotationToken(token) },
		Prober:   probe.New(cfg, log, probe.Options{SourceCIDRs: env.addressesLimited}), Announcer: tell, Log: log, Function: env.own, Ended: metrics.Rotation,
	}
	if env.local {
		// A local AWS answers at once.
		rotator.Lease, rotator.InFlight = time.Second, 4*time.Second
	}
	return &handler{
		rotator: rotator,
		sweeper: &sweep.Sweeper{
			Users: iam, Policies: iam, Keys: iam, Secrets: kept, Stacks: stacks.New(cfg), Announcer: tell,
			Log: log, Metrics: metrics, KeyAge: env.keyAge,
		},
	}
}

// caller is the part of an event that shows which service invokes the function.
type caller struct {
	Step       string // of a rotation, by Secrets Manager
	Source     string `json:"source"` // of an event of EventBridge
	DetailType string `json:"detail-type"`
}

// errCaller shows nothing of the event: an event that is nearly one of Secrets Manager
// holds a token, which must not be in a log.
var errCaller = errors.New("the event is neither a step of a rotation by Secrets Manager nor EventBridge's daily schedule: nothing was done")

func (h *handler) handle(ctx context.Context, raw json.RawMessage) error {
	var by caller
	if err := json.Unmarshal(raw, &by); err != nil {
		return errCaller
	}
	switch {
	case by.Step != "":
		event, err := rotation.ParseEvent(raw)
		if err != nil {
			return err
		}
		return h.rotator.Step(ctx, event)
	case by.Source == "aws.events" && by.DetailType == "Scheduled Event":
		return h.sweeper.Sweep(ctx)
	}
	return errCaller
}
