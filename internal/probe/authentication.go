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

// authentication is the proof that STS knows the key.
type authentication struct {
	cfg   aws.Config
	keyID string
	clock *clock
	row
	user string // the ARN in the last answer of STS
	err  error  // of the last call
}

// reach polls STS until the key has authenticated so many times in a row.
func (a *authentication) reach(whole context.Context, inARow int) error {
	ctx, cancel := context.WithDeadline(whole, a.clock.started.Add(mostPolling))
	defer cancel()
	for a.inARow < inARow {
		if patience.Sleep(ctx, time.Until(a.due(successes, a.clock.span()))) == nil {
			a.try(ctx)
			continue
		}
		if whole.Err() != nil {
			return fmt.Errorf("the access key %s did not authenticate before the function's time was up (%s); try again", a.keyID, said(a.err))
		}
		return fmt.Errorf("the access key %s did not authenticate within %d seconds (%s); IAM may take longer to know a new key today, so try again", a.keyID, int(mostPolling.Seconds()), said(a.err))
	}
	return nil
}

// try asks STS for the user of the key, which needs no permission. It uses a new
// connection each time, because that may lead to another host.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func (a *authentication) try(ctx context.Context) {
	cfg, leave := edge.Closing(a.cfg)
	defer leave()
	began := time.Now()
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if a.err = err; err != nil {
		a.clock.failed()
		a.failed()
		return
	}
	a.succeeded(began)
	a.user = aws.ToString(out.Arn)
}
