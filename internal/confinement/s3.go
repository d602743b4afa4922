package confinement

import (
	"net/http"
	"strings"
)

// Organization is that of the place's account.
const Organization = "o-a1b2c3d4e5"

// Address is one from which keys are used.
const Address = "203.0.113.7"

// Bucket is what S3 is told of a request to a bucket with a key: whose it is, and from
// where it is asked. Here all buckets are the account's own.
func Bucket(p Place) map[string][]string {
	return map[string][]string{
		"aws:ResourceAccount": {p.Account}, "aws:ResourceOrgID": {Organization},
		"aws:SourceIp": {Address},
	}
}

// s3 takes a request to a bucket, in path style.
func (w *wire) s3(r *http.Request) {
	bucket, key, object := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	context := Bucket(w.Place)
	arn, query := "arn:"+w.Place.Partition+":s3:::"+bucket, r.URL.Query()
	if object {
		arn += "/" + key
	}
	switch {
	case r.Method == http.MethodGet && !object && query.Get("list-type") == "2":
		w.operation = "ListObjectsV2"
		with(context, "s3:prefix", query.Get("prefix"))
		w.needs("s3:ListBucket", arn, with(context, "s3:max-keys", query.Get("max-keys")))
	case r.Method == http.MethodGet && !object && query.Has("location"):
		w.operation = "GetBucketLocation"
		w.needs("s3:GetBucketLocation", arn, context)
	case r.Method == http.MethodGet && object && !query.Has("uploadId"):
		w.operation = "GetObject"
		w.needs("s3:GetObject", arn, context)
	case r.Method == http.MethodPost && object && query.Has("uploads"):
		w.operation = "CreateMultipartUpload"
		w.needs("s3:PutObject", arn, context)
	case r.Method == http.MethodDelete && object && query.Has("uploadId"):
		w.operation = "AbortMultipartUpload"
		w.needs("s3:AbortMultipartUpload", arn, context)
	default:
		w.refuse("s3 %s %s", r.Method, r.URL.RawQuery)
	}
}
