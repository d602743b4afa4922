package probe

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// cause is what is in the way. The most useful one to read comes first.
type cause int

const (
	nothing   cause = iota
	missing         // no such bucket
	hidden          // in another region, and S3 does not say in which
	elsewhere       // in another region, to which requests are redirected
	barred          // S3 has closed the bucket, or the account
	brokenKey       // the KMS key cannot be used, or does not exist
	payer           // a Requester Pays bucket of another account
	denied          // by some policy
	unknown         // S3 does not know the key
	silent          // no clear answer
	busy            // "slow down", or a fault within S3

	noKey    // the object does not exist: reading is allowed
	noUpload // the upload does not exist: it is aborted
	noACLs   // Object Ownership has ACLs switched off
	unread   // the object may be read, and was not read
)

// names are the causes as the log names them.
var names = map[cause]string{
	missing: "no such bucket", hidden: "region not told", elsewhere: "region", barred: "barred", brokenKey: "KMS key", payer: "Requester Pays",
	denied: "denied", unknown: "key unknown", silent: "no answer", busy: "busy",
}

// answer is a classified error of S3.
type answer struct {
	cause   cause
	code    string // S3's error code
	region  string // elsewhere: the region
	reason  reason // denied: by which policy, if AWS says it
	action  string // denied: what was not allowed, if AWS says it
	key     string // denied: the KMS key, if AWS says it
	purpose string // what the key may not do
	cure    header // denied uploads: the header with which they work
}

// final reports whether more looks would not change the answer.
func (a answer) final() bool { return slices.Contains([]cause{missing, hidden, barred}, a.cause) }

// leavesOthers reports whether the other things that the roles need can still be asked
// for: such an answer is about this request. Any other answer is about the whole bucket.
func (a answer) leavesOthers() bool { return a.cause == denied || a.cause == brokenKey }

// aboutKey reports whether S3 says that the bucket's KMS key is in the way.
func (a answer) aboutKey() bool {
	return a.cause == brokenKey || slices.Contains([]reason{keyNotNamed, keyClosed, keyDenied, keyRestricted}, a.reason)
}

// aboutReading reports whether AWS says that reading an object is denied. For an object
// that does not exist it may say that listing is denied: S3 answers 404 only to a key
// that may list.
func (a answer) aboutReading() bool { return a.reason != untold && a.action != "s3:ListBucket" }

// classify reads an error by S3's code. For an answer without a body the SDK makes the
// code from the status. The text of the error chooses only between sentences.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func classify(err error) answer {
	if err == nil {
		return answer{}
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return answer{cause: silent}
	}
	a := answer{cause: causeOf(api.ErrorCode()), code: api.ErrorCode()}
	switch a.cause {
	case elsewhere:
		if a.region = regionOf(err); a.region == "" {
			a.cause = hidden
		}
	case denied:
		message := api.ErrorMessage()
		a.reason, a.action, a.key = reasonOf(message), actionOf(message), keyOf(message)
		if a.code == kmsDenied && !a.aboutKey() {
			a.reason = keyDenied
		}
	}
	return a
}

// Codes of S3 that say more than a cause.
const (
	kmsDenied = "KMS.AccessDeniedException"
	misnamed  = "InvalidBucketName" // by the naming rules of the region that was asked
)

func causeOf(code string) cause {
	switch code {
	case "NoSuchKey":
		return noKey
	case "NoSuchUpload":
		return noUpload
	case "AccessControlListNotSupported":
		return noACLs
	case "PreconditionFailed", "InvalidObjectState": // the latter: it is archived
		return unread
	case "NoSuchBucket", misnamed:
		return missing
	case "PermanentRedirect", "TemporaryRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return elsewhere
	case "AllAccessDisabled", "AccountProblem":
		return barred
	case "AccessDenied", "Forbidden", kmsDenied:
		return denied
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken":
		return unknown
	case "SlowDown", "InternalError", "ServiceUnavailable", "InternalServerError", "RequestTimeout", "KMS.ThrottlingException", "KMS.KMSInternalException":
		return busy
	}
	// S3 passes on what KMS says: KMS.NotFoundException, KMS.DisabledException,
	// KMS.KMSInvalidStateException and the like.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html#API_GenerateDataKey_Errors
	if strings.HasPrefix(code, "KMS.") {
		return brokenKey
	}
	return silent
}

// regionOf returns the bucket's region. S3 names it also to users without access to the
// bucket.
func regionOf(err error) string {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return ""
	}
	return http.Header(response.Response.Header).Get(regionHeader)
}

// said names what AWS said, without the text of its message.
func said(err error) string {
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		return "AWS said " + api.ErrorCode()
	case err == nil:
		return "it did not work often enough in a row"
	}
	return "no answer from AWS"
}
