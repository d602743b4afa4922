package edge

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Account returns what asks STS for the function's own partition and account, which no
// event is trusted to say. The call needs no permission.
func Account(cfg aws.Config) func(context.Context) (partition, id string, err error) {
	api := sts.NewFromConfig(cfg)
	return func(ctx context.Context) (partition, id string, err error) {
		out, err := api.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		// As an outcome, so that being throttled is waited out here too.
		if err = Outcome(err, nil); err != nil {
			return "", "", fmt.Errorf("asking for the function's account: %w", err)
		}
		self, err := arn.Parse(aws.ToString(out.Arn))
		if err != nil {
			return "", "", fmt.Errorf("asking for the function's account: %w", err)
		}
		return self.Partition, self.AccountID, nil
	}
}
