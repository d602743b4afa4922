package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"cloney-s3-credentials/internal/release/published"
)

// account is whose the credentials are.
const account = "111122223333"

// fakeAWS is STS and S3 as the publisher asks them. It writes down each request.
type fakeAWS struct {
	mu      sync.Mutex
	regions map[string]string // of each bucket
	owners  map[string]string // of each bucket
	objects map[string]stored // by bucket/key
	seen    []*http.Request
	// lost: the object of the next PUT is stored, and no answer comes.
	lost bool
}

type stored struct{ checksum, body string }

// newAWS has a code bucket in each of the regions.
func newAWS(regions ...string) *fakeAWS {
	f := &fakeAWS{regions: map[string]string{}, owners: map[string]string{}, objects: map[string]stored{}}
	for _, region := range regions {
		name := published.Bucket("cloney-code", account, region)
		f.regions[name], f.owners[name] = region, account
	}
	return f
}

func (f *fakeAWS) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	f.seen = append(f.seen, r)
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket == "" {
		fmt.Fprintf(to, "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>", account)
		return
	}
	to.WriteHeader(f.s3(to.Header(), r, bucket, key, body))
}

// s3 answers with a status.
func (f *fakeAWS) s3(answer http.Header, r *http.Request, bucket, key string, body []byte) int {
	path := bucket + "/" + key
	old, there := f.objects[path]
	asked := strings.Split(r.Header.Get("Authorization"), "/")[2]
	switch expected := r.Header.Get("X-Amz-Expected-Bucket-Owner"); {
	case f.owners[bucket] == "":
		return http.StatusNotFound
	case expected != "" && expected != f.owners[bucket]:
		return http.StatusForbidden
	}
	answer.Set("X-Amz-Bucket-Region", f.regions[bucket])
	switch {
	case f.regions[bucket] != asked:
		return http.StatusMovedPermanently
	case key == "":
		return http.StatusOK
	case r.Method == http.MethodHead && !there:
		return http.StatusNotFound
	case r.Method == http.MethodHead && old.checksum != "" && r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED":
		answer.Set("X-Amz-Checksum-Sha256", old.checksum)
	case there && r.Header.Get("If-None-Match") == "*":
		return http.StatusPreconditionFailed
	case r.Method == http.MethodPut:
		f.objects[path] = stored{r.Header.Get("X-Amz-Checksum-Sha256"), string(body)}
		if f.lost {
			f.lost = false
			return http.StatusInternalServerError
		}
	}
	return http.StatusOK
}

// requests are those of a method, in the last call of the command.
func (f *fakeAWS) requests(method string) (found []*http.Request) {
	for _, r := range f.seen {
		if r.Method == method {
			found = append(found, r)
		}
	}
	return found
}

// run is one call of the command.
type run struct {
	dir, out string
	err      error
}

// publish calls the command; change makes of the plan what the test is about.
func (f *fakeAWS) publish(t *testing.T, change func(*plan)) run {
	t.Helper()
	server := httptest.NewServer(f)
	defer server.Close()
	// By name: the SDK would give a bucket a host of its own there, which is none.
	endpoint := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	f.seen = nil
	p := plan{version: "1.0.0", prefix: "cloney-code", commit: "unknown", regions: []string{"eu-west-1", "us-east-1"}, zips: map[published.Code][]byte{}}
	for _, code := range published.Codes() {
		p.zips[code] = []byte(zipOf(code))
	}
	if change != nil {
		change(&p)
	}
	var out bytes.Buffer
	dir := t.TempDir()
	err := publisher{
		plan: p, dir: dir, out: &out,
		cfg: aws.Config{
			Region: "eu-north-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "x", ""),
			Retryer: func() aws.Retryer { return retry.AddWithMaxBackoffDelay(retry.NewStandard(), time.Millisecond) },
		},
		template: func(_ context.Context, r published.Release) ([]byte, error) {
			return fmt.Appendf(nil, "%s %s %s %v\n", r.Version, r.Account, r.Prefix, r.Zips), nil
		},
	}.publish(t.Context())
	return run{dir, out.String(), err}
}
