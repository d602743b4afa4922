package probe

import (
	"context"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// agreeToPay adds the header with which a requester agrees to pay. The owner's own
// account does not need it. Without it, S3 denies the requests of another account, and
// gives no reason.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html
//
// A header of every request: the SDK has no parameter for GetBucketLocation.
func agreeToPay(stack *middleware.Stack) error {
	return smithyhttp.AddHeaderValue("X-Amz-Request-Payer", "requester")(stack)
}

// mayBePayer reports whether a look may have failed because of Requester Pays: listing is
// still denied after some looks, and AWS gives no reason. Not at every look: at first
// the policy is most likely too new.
func (p *place) mayBePayer(failures []answer) bool {
	return p.looks%doubtful == 0 && failures[0].purpose == listing && failures[0].cause == denied && failures[0].reason == untold
}

// tryPayer looks once more and agrees to pay, and returns what fails then. It is Requester
// Pays if something changes: listing is allowed, or S3 now gives a reason for the
// denial. The few requests cost the user's account a fraction of a cent; nothing is
// read.
func (b *bucket) tryPayer(ctx context.Context, p *place, failures []answer) []answer {
	b.pays = true
	agreed := b.attempt(ctx, p)
	b.pays = false
	if len(agreed) > 0 && agreed[0].purpose == listing && agreed[0].reason == untold {
		return failures
	}
	// Once more without the header: S3 may have learned of the policy meanwhile.
	if again := classify(b.list(ctx, p)); again.cause != denied || again.reason != untold {
		return failures
	}
	b.pays = true
	return agreed
}
