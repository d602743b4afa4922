package probe

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// cause is what stands in the way, the most useful to read first.
type cause int

const (
	nothing   cause = iota
	missing         // no such bucket
	hidden          // in another region, which S3 does not tell
	elsewhere       // in another region, which is followed
	barred          // S3 has closed the bucket, or the account
	brokenKey       // the KMS key is there and not usable, or is not there
	payer           // another account's bucket has the requester pay
	denied          // by whatever policy
	unknown         // S3 does not know the key
	silent          // no clear answer
	busy            // "slow down", or a fault within S3

	noKey    // the object does not exist: reading is allowed
	noUpload // the upload does not exist: it is aborted
	noACLs   // Object Ownership has ACLs switched off
	unread   // the object may be read, and was not
)

// names are the causes in the log.
var names = map[cause]string{
	missing: "no such bucket", hidden: "region not told", elsewhere: "region", barred: "barred", brokenKey: "KMS key", payer: "Requester Pays",
	denied: "denied", unknown: "key unknown", silent: "no answer", busy: "busy",
}

// answer is a classified error of S3.
type answer struct {
	cause   cause
	code    string // S3's error code
	region  string // elsewhere: where
	reason  reason // denied: by what, where AWS tells
	action  string // denied: what was not allowed, where AWS tells
	key     string // denied: the KMS key, where AWS tells
	purpose string // what the key may not do
	cure    header // denied uploads: what would make them work
}

// final reports whether waiting does not help.
func (a answer) final() bool { return a.cause == missing || a.cause == hidden }

// leavesOthers reports whether what else the roles need can still be asked for:
// such an answer is about this request, any other one about the whole bucket.
func (a answer) leavesOthers() bool { return a.cause == denied || a.cause == brokenKey }

// aboutKey reports whether S3 tells that the bucket's KMS key is in the way.
func (a answer) aboutKey() bool {
	return a.cause == brokenKey || slices.Contains([]reason{keyNotNamed, keyClosed, keyDenied, keyRestricted}, a.reason)
}

// aboutReading reports whether AWS tells that reading an object is what is
// denied. Of an object that does not exist it may tell that listing is: the
// right to list is what a 404 takes.
func (a answer) aboutReading() bool { return a.reason != untold && a.action != "s3:ListBucket" }

// classify reads an error by S3's code, which for an answer without a body the
// SDK makes from the status; the text chooses at most a sentence.
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

// Codes of S3's that are more than a cause.
const (
	kmsDenied = "KMS.AccessDeniedException"
	misnamed  = "InvalidBucketName" // by the rules of the region that was asked
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
	// S3 hands on what KMS says: KMS.NotFoundException, KMS.DisabledException,
	// KMS.KMSInvalidStateException and the like.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html#API_GenerateDataKey_Errors
	if strings.HasPrefix(code, "KMS.") {
		return brokenKey
	}
	return silent
}

// regionOf returns the bucket's region, which S3 tells also to those who may
// not use the bucket.
func regionOf(err error) string {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return ""
	}
	return http.Header(response.Response.Header).Get(regionHeader)
}

// said names what AWS said, without its text.
func said(err error) string {
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		return "AWS said " + api.ErrorCode()
	case err == nil:
		return "not often enough in a row"
	}
	return "no answer from AWS"
}
