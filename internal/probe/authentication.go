package probe

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/edge"
	"cloney-s3-credentials/internal/patience"
)

// authentication proves that STS knows the key.
type authentication struct {
	cfg   aws.Config
	keyID string
	lag   *lag
	row
	user string // the ARN that STS told last
	err  error  // of the last call
}

// reach waits until the key has authenticated so many times in a row.
func (a *authentication) reach(whole context.Context, inARow int) error {
	ctx, cancel := context.WithDeadline(whole, a.lag.started.Add(settling))
	defer cancel()
	for a.inARow < inARow {
		if patience.Sleep(ctx, time.Until(a.due(successes, a.lag.span()))) == nil {
			a.try(ctx)
			continue
		}
		if whole.Err() != nil {
			return fmt.Errorf("key %s did not authenticate before the function's time was over (%s); try again", a.keyID, said(a.err))
		}
		return fmt.Errorf("key %s did not authenticate within %d seconds (%s); try again, IAM may be slow today", a.keyID, int(settling.Seconds()), said(a.err))
	}
	return nil
}

// try asks STS who the key belongs to, which needs no permission, over a connection
// of its own: the next one may lead to another host.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func (a *authentication) try(ctx context.Context) {
	cfg, leave := edge.Closing(a.cfg)
	defer leave()
	began := time.Now()
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if a.err = err; err != nil {
		a.lag.failed()
		a.failed()
		return
	}
	a.succeeded(began)
	a.user = aws.ToString(out.Arn)
}
