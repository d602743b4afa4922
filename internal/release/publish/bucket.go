package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"cloney-s3-credentials/internal/release/published"
)

// bucket is the code bucket of a region. Each request names the account that has
// to own it: S3 refuses the request otherwise.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
type bucket struct {
	client              *s3.Client
	region, owner, name string
}

func newBucket(cfg aws.Config, prefix, account, region string) bucket {
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.Region = region
		// A local AWS has no host name for each bucket.
		o.UsePathStyle = cfg.BaseEndpoint != nil
	})
	return bucket{client, region, account, published.Bucket(prefix, account, region)}
}

// check returns nil if the bucket exists, is ours, and is in its region: Lambda takes
// code only from a bucket of the function's own region.
// https://docs.aws.amazon.com/lambda/latest/api/API_FunctionCode.html
func (b bucket) check(ctx context.Context) error {
	out, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name, ExpectedBucketOwner: &b.owner})
	status, region := answered(err)
	if err == nil {
		region = aws.ToString(out.BucketRegion)
	}
	switch {
	case status == http.StatusNotFound:
		return fmt.Errorf("there is no bucket %s: deploy stacksets/code-bucket.yaml in %s first", b.name, b.region)
	case status == http.StatusForbidden:
		return fmt.Errorf("the bucket %s does not belong to account %s, or you may not list it (s3:ListBucket). Where it belongs to somebody else, deploy stacksets/code-bucket.yaml in %s with another BucketPrefix, and publish with that PREFIX", b.name, b.owner, b.region)
	case err != nil && (region == "" || region == b.region):
		return fmt.Errorf("looking at the bucket %s: %w", b.name, err)
	case region != b.region:
		return fmt.Errorf("the bucket %s is in region %q, and Lambda in %s cannot take code from it: delete it, and deploy stacksets/code-bucket.yaml in %s", b.name, region, b.region, b.region)
	}
	return nil
}

// has reports whether the bucket has the object. One that has other content under
// the object's key, or content that cannot be compared, is an error.
func (b bucket) has(ctx context.Context, o object) (bool, error) {
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &b.name, Key: &o.key, ExpectedBucketOwner: &b.owner, ChecksumMode: types.ChecksumModeEnabled,
	})
	if status, _ := answered(err); status == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for s3://%s/%s (it needs s3:GetObject and s3:ListBucket): %w", b.name, o.key, err)
	}
	if head.ChecksumSHA256 == nil {
		return false, fmt.Errorf("s3://%s/%s has no SHA-256 checksum, so make publish did not upload it, and it cannot be compared. Find out who did", b.name, o.key)
	}
	if *head.ChecksumSHA256 != o.checksum() {
		return false, fmt.Errorf("s3://%s/%s has other content than this release: %s", b.name, o.key, o.differs)
	}
	return true, nil
}

// put adds an object. With If-None-Match, S3 refuses to write over one that exists.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (b bucket) put(ctx context.Context, o object) error {
	sum := o.checksum()
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: &o.key, Body: bytes.NewReader(o.body), ContentType: &o.contentType,
		IfNoneMatch: aws.String("*"), ExpectedBucketOwner: &b.owner,
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ChecksumSHA256: &sum,
	})
	if err == nil {
		return nil
	}
	// An attempt whose response was lost may have written it, or another person who
	// publishes the same at the same time.
	if there, otherwise := b.has(ctx, o); there || otherwise != nil {
		return otherwise
	}
	return fmt.Errorf("uploading s3://%s/%s (the same command again goes on from here): %w", b.name, o.key, err)
}

// answered returns what S3 adds to an error: the HTTP status, and the bucket's region if
// the request went to another region. The response to a HEAD has no body.
func answered(err error) (status int, region string) {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) {
		return 0, ""
	}
	return response.HTTPStatusCode(), response.Response.Header.Get("X-Amz-Bucket-Region")
}
