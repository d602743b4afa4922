package confinement

import (
	"net/http"
	"strings"
)

// Organization is the organization of the place's account.
const Organization = "o-a1b2c3d4e5"

// Address is an address from which keys are used.
const Address = "203.0.113.7"

// Bucket returns the condition keys of a request to a bucket: its account and the caller's
// address. Here all buckets belong to the account.
func Bucket(p Place) map[string][]string {
	return map[string][]string{
		"aws:ResourceAccount": {p.Account}, "aws:ResourceOrgID": {Organization},
		"aws:SourceIp": {Address},
	}
}

// s3 records a request to a bucket, in path style.
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
