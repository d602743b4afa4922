package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// MakeBucket creates a bucket in the client's region, unless the account has it
// already.
func MakeBucket(ctx context.Context, client *s3.Client, bucket string) error {
	in, region := &s3.CreateBucketInput{Bucket: &bucket}, client.Options().Region
	// S3 takes any other region for the constraint, and refuses this one.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
	if region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	var there *types.BucketAlreadyOwnedByYou
	if _, err := client.CreateBucket(ctx, in); err != nil && !errors.As(err, &there) {
		return fmt.Errorf("creating bucket %s: %w", bucket, err)
	}
	return nil
}
