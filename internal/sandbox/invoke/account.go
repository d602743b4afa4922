package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cloney-s3-credentials/internal/sandbox"
)

// endpoint is the sandbox's, as this machine knows it.
var endpoint = fmt.Sprintf("http://127.0.0.1:%d", sandbox.Port)

// account is the running sandbox, as this machine reaches it.
type account struct{ endpoint string }

func (a account) s3(region string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &a.endpoint, Region: region, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("sandbox", "sandbox", ""),
	})
}

// there asks whether the sandbox runs.
func (a account) there(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := a.s3(sandbox.Region).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(sandbox.ResponsesBucket)}); err != nil {
		return fmt.Errorf("the sandbox does not answer at %s. Run make sandbox in another shell, and wait until it says that it runs", a.endpoint)
	}
	return nil
}

// forget removes a former answer.
func (a account) forget(ctx context.Context, key string) error {
	_, err := a.s3(sandbox.Region).DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(sandbox.ResponsesBucket), Key: &key})
	if err != nil {
		return fmt.Errorf("removing a former answer: %w", err)
	}
	return nil
}

// answer reads what the function has put to its ResponseURL.
func (a account) answer(ctx context.Context, key string) (string, error) {
	object, err := a.s3(sandbox.Region).GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(sandbox.ResponsesBucket), Key: &key})
	if _, none := errors.AsType[*types.NoSuchKey](err); none {
		return "", errors.New("the function has ended and answered nothing; its log is above")
	}
	if err != nil {
		return "", fmt.Errorf("reading the answer from the sandbox: %w", err)
	}
	defer object.Body.Close()
	text, err := io.ReadAll(object.Body)
	return string(text), err
}

// bucket makes a bucket if there is none of that name.
func (a account) bucket(ctx context.Context, name, region string) (made bool, err error) {
	client := a.s3(region)
	if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name}); err == nil {
		return false, nil
	}
	err = sandbox.MakeBucket(ctx, client, name)
	return err == nil, err
}
