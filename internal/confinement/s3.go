package confinement

import (
	"net/http"
	"strings"
)

// s3 takes a request to a bucket, in path style.
func (w *wire) s3(r *http.Request) {
	bucket, key, object := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	// Whose bucket it is, for BucketOwner. Here all are the account's own.
	context := map[string][]string{"aws:ResourceAccount": {w.Place.Account}}
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
