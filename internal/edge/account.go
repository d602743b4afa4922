package edge

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/lazyregexp"
)

var accountID = lazyregexp.New(`^[0-9]{12}$`)

// Account returns a function that returns the function's own partition and account; no event
// is trusted to say them. They come from own, the ARN of a function, which the owner's
// template sets. If own is not such an ARN, it asks STS: that call needs no permission, but
// the first event of each process would wait for it.
func Account(cfg aws.Config, own string) func(context.Context) (partition, id string, err error) {
	return func(ctx context.Context) (partition, id string, err error) {
		if given, err := arn.Parse(own); err == nil && given.Service == "lambda" && accountID.MatchString(given.AccountID) {
			return given.Partition, given.AccountID, nil
		}
		out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		// Translated, so that throttling is waited out here too.
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
