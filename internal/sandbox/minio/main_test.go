//go:build s3

// These tests run the issued policies on a real S3 server, by make test-s3.
package minio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/sandbox/minio"
)

// The names that docs/clients.md uses.
const (
	sourceBucket      = "data-lake"
	destinationBucket = "archive"
)

// large is so long that every client sends it in parts.
var large = strings.Repeat("0123456789abcdef", 9<<16)

// inside are the source's objects below in/.
var inside = map[string]string{
	"a.txt": "a", "sub/b.txt": "b", "star*.txt": "*", "what?.txt": "?", "$cost.txt": "$", "${*}.txt": "${*}",
	"with space.txt": " ", "café.txt": "é", "large.bin": large,
}

// beside are objects that a prefix in/ does not cover.
var beside = []string{"in-other/x", "inn", "beside.txt"}

var server *minio.Server

// users is the number of users.
var users atomic.Int64

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	// This is shorter than the timeout of go test, so that MinIO never outlives the tests.
	ctx, cancel := context.WithTimeout(context.Background(), 45*time.Minute)
	defer cancel()
	var err error
	if server, err = minio.Start(ctx, "../../.."); err == nil {
		defer func() { _ = server.Close() }()
		err = fill(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func fill(ctx context.Context) error {
	admin := server.Client(server.Root)
	for _, bucket := range []string{sourceBucket, destinationBucket} {
		if _, err := admin.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			return err
		}
	}
	for key, text := range inside {
		if err := put(ctx, admin, sourceBucket, "in/"+key, text); err != nil {
			return err
		}
	}
	for _, key := range beside {
		if err := put(ctx, admin, sourceBucket, key, "not for us"); err != nil {
			return err
		}
	}
	return nil
}

func put(ctx context.Context, client *s3.Client, bucket, key, text string) error {
	_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(text)})
	return err
}

// acl is the only part that is removed from a document before MinIO gets it: MinIO has no
// such action, and refuses a document that names it. It also refuses the additions of
// KmsKeyArns and BucketOwner, so no test here has them. The oracle judges those and this
// action.
const acl = `,"s3:PutObjectAcl"`

// issue creates a user with the documents of the scope, and returns its key.
func issue(t *testing.T, scope access.Scope) minio.Key {
	t.Helper()
	text := document(t, scope)
	if scope.Destination != strings.Contains(text, acl) || strings.Count(text, acl) > 1 {
		t.Fatalf("what is to be taken out for MinIO does not stand there once: %s", text)
	}
	return add(t, strings.Replace(text, acl, "", 1))
}

func document(t *testing.T, scope access.Scope) string {
	t.Helper()
	documents, err := policy.Documents(name.MaxPolicies, scope, "aws", nil)
	if err != nil || len(documents) != 1 {
		t.Fatal(documents, err)
	}
	return documents[0].Text
}

func add(t *testing.T, text string) minio.Key {
	t.Helper()
	key := minio.Key{ID: fmt.Sprintf("AKIA%d", users.Add(1)), Secret: "secret-of-a-test"}
	if err := server.Add(t.Context(), minio.User{Key: key, Document: text}); err != nil {
		t.Fatal(err)
	}
	return key
}

func source(places ...access.Place) access.Scope {
	return access.Scope{Source: true, Places: places}
}

func destination(places ...access.Place) access.Scope {
	return access.Scope{Destination: true, Places: places}
}

// code returns the error code of S3, or "" for success.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return err.Error()
}

// keys are those of a bucket's objects.
func keys(t *testing.T, bucket string) (found []string) {
	t.Helper()
	pages := s3.NewListObjectsV2Paginator(server.Client(server.Root), &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, object := range page.Contents {
			found = append(found, aws.ToString(object.Key))
		}
	}
	return found
}

// stored is what a bucket holds, by key.
func stored(t *testing.T, bucket string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, key := range keys(t, bucket) {
		found[key] = read(t, bucket, key)
	}
	return found
}

func read(t *testing.T, bucket, key string) string {
	t.Helper()
	object, err := server.Client(server.Root).GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	must(t, err)
	defer object.Body.Close()
	text, err := io.ReadAll(object.Body)
	must(t, err)
	return string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
