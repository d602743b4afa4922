package probe

import (
	"context"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// agreeToPay has a request say that who sends it pays for it. The owner's own
// account need not say so; S3 denies another account's requests that do not,
// and tells no reason.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html
//
// A header of every request: the SDK has no parameter for GetBucketLocation.
func agreeToPay(stack *middleware.Stack) error {
	return smithyhttp.AddHeaderValue("X-Amz-Request-Payer", "requester")(stack)
}

// mayBePayer reports whether a look's failures may be due to Requester Pays:
// listing is denied, which waiting did not cure, and AWS tells no reason. Not
// at every look: a new policy is the likelier reason at first.
func (p *place) mayBePayer(failures []answer) bool {
	return p.looks%doubtful == 0 && failures[0].purpose == listing && failures[0].cause == denied && failures[0].reason == untold
}

// tryPayer looks once more, agreeing to pay, and returns what fails then. It is
// by what changes that Requester Pays is told from another denial: listing is
// allowed, or is denied for a reason that S3 now tells. The few requests cost
// the user's account a fraction of a cent; nothing is read.
func (b *bucket) tryPayer(ctx context.Context, p *place, failures []answer) []answer {
	b.pays = true
	agreed := b.attempt(ctx, p)
	b.pays = false
	if len(agreed) > 0 && agreed[0].purpose == listing && agreed[0].reason == untold {
		return failures
	}
	// Once more as it stands, or what S3 learned in the meantime would be taken
	// for the header's doing.
	if again := classify(b.list(ctx, p)); again.cause != denied || again.reason != untold {
		return failures
	}
	b.pays = true
	return agreed
}
