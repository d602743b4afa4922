// Command empty is the floor of the benchmark: the least that a Go function on
// Lambda can be. It answers every event with nothing.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context) error { return nil })
}
