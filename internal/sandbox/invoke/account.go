package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cloney-s3-credentials/internal/sandbox"
)

// account is the running sandbox, as this machine reaches it.
type account struct {
	endpoint string
	key      aws.Credentials // of its administrator
}

// running is the account of the sandbox that runs from this checkout.
func running(ctx context.Context) (account, error) {
	config, err := sandbox.Running(ctx, ".")
	if err != nil {
		return account{}, err
	}
	key, err := config.Credentials.Retrieve(ctx)
	return account{aws.ToString(config.BaseEndpoint), key}, err
}

// host is where a container finds the sandbox.
func (a account) host() string {
	_, port, _ := strings.Cut(strings.TrimPrefix(a.endpoint, "http://"), ":")
	return "host.docker.internal:" + port
}

func (a account) s3(region string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &a.endpoint, Region: region, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.StaticCredentialsProvider{Value: a.key},
	})
}

// there asks whether the sandbox runs.
func (a account) there(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := a.s3(sandbox.Region).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(sandbox.ResponsesBucket)}); err != nil {
		return fmt.Errorf("the sandbox does not answer at %s. End it, and run make sandbox again", a.endpoint)
	}
	return nil
}

// forget removes the response of an earlier run.
func (a account) forget(ctx context.Context, key string) error {
	_, err := a.s3(sandbox.Region).DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(sandbox.ResponsesBucket), Key: &key})
	if err != nil {
		return fmt.Errorf("removing the response of an earlier run: %w", err)
	}
	return nil
}

// answer reads the response that the function has put to its ResponseURL.
func (a account) answer(ctx context.Context, key string) (string, error) {
	object, err := a.s3(sandbox.Region).GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(sandbox.ResponsesBucket), Key: &key})
	if _, none := errors.AsType[*types.NoSuchKey](err); none {
		return "", errors.New("the function has ended without a response; its log is above")
	}
	if err != nil {
		return "", fmt.Errorf("reading the response from the sandbox: %w", err)
	}
	defer object.Body.Close()
	text, err := io.ReadAll(object.Body)
	return string(text), err
}

// bucket creates a bucket, unless one of that name exists.
func (a account) bucket(ctx context.Context, name, region string) (created bool, err error) {
	client := a.s3(region)
	if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name}); err == nil {
		return false, nil
	}
	err = sandbox.MakeBucket(ctx, client, name)
	return err == nil, err
}
