package probe

import (
	"errors"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// kind is what an answer of S3 means for a new key.
type kind int

const (
	notYet    kind = iota // the key or its policy is not known there yet, or S3 is busy
	final                 // waiting does not help
	elsewhere             // the bucket is in another region
	noKey                 // the object does not exist: reading is allowed
	noUpload              // the upload does not exist: it is aborted
)

// answer is a classified error.
type answer struct {
	kind     kind
	region   string // elsewhere: where
	sentence string // what is in the way and what to do
}

// classify reads an error of S3 by its code and status, never by its text.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func classify(err error) answer {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return answer{kind: notYet, sentence: "S3 gave no clear answer; try again"}
	}
	switch api.ErrorCode() {
	case "NoSuchKey":
		return answer{kind: noKey}
	case "NoSuchUpload":
		return answer{kind: noUpload}
	case "NoSuchBucket":
		return answer{kind: final, sentence: "there is no such bucket; create it first, or correct the name"}
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "MovedPermanently":
		if region := regionOf(err); region != "" {
			return answer{kind: elsewhere, region: region, sentence: "it is in region " + region + " and does not answer there"}
		}
		return answer{kind: final, sentence: "it is in another region, which S3 does not tell; check the name"}
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken":
		return answer{kind: notYet, sentence: "S3 does not know the key yet; try again"}
	case "AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem":
		return answer{kind: notYet, sentence: "access denied although its policy allows it; look for a Deny in the bucket's policy or a control policy of the organization, whether another account owns the bucket, and whether a KMS key of its own closes it"}
	}
	return answer{kind: notYet, sentence: "S3 answered " + api.ErrorCode()}
}

// regionOf returns the bucket's region, which S3 tells in a header, also to
// those who may not use the bucket.
func regionOf(err error) string {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return ""
	}
	return http.Header(response.Response.Header).Get("X-Amz-Bucket-Region")
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
