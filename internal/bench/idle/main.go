// Command idle is what the benchmark compares with as the usual way in Go: the
// SDK's default configuration, and the four clients that the provider's job needs,
// made before the first event. It answers every event with nothing.
//
// Nobody calls the clients, so the linker leaves their operations out: with a
// handler that does the job it would be larger, and start no sooner.
package main

import (
	"context"
	"log"
	"runtime"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	clients := []any{
		iam.NewFromConfig(cfg),
		s3.NewFromConfig(cfg),
		secretsmanager.NewFromConfig(cfg),
		sts.NewFromConfig(cfg),
	}
	lambda.Start(func(context.Context) error {
		runtime.KeepAlive(clients)
		return nil
	})
}
