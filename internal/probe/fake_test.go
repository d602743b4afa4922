package probe_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/probe"
)

const (
	keyID  = "AKIAPROBED"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func key() access.Credentials {
	return access.Credentials{KeyID: keyID, Secret: access.NewSecret(secret)}
}

// answer is one answer of AWS.
type answer struct {
	status int
	body   string
	region string // x-amz-bucket-region
}

// cloud answers as STS and S3 do, in memory. By default every call works.
type cloud struct {
	t testing.TB
	// say overrides the nth answer (from 1) to a call of one kind on a bucket;
	// the bucket is empty for STS. nil: the usual one.
	say func(kind, bucket string, n int) *answer
	// home is the region of the buckets; empty: the client's own.
	home string
	// object answers for objects that exist; nil: none is requested.
	object func(r *http.Request, key string) *answer
	// unpaid: S3 denies requests that do not agree to pay.
	unpaid bool
	// takes is how long an answer to STS or S3 takes; nil: no time.
	takes func(kind string) time.Duration
	// subject is the owner of the key.
	subject access.Subject
	// options are what the provider's owner has set.
	options probe.Options

	log    strings.Builder
	mu     sync.Mutex
	paid   int      // lists that agreed to pay
	calls  []string // kind, or "kind bucket"
	counts map[string]int
	live   map[string]bool // uploads begun and not aborted
}

// kindOf names a request, or returns "" for one that may not be sent. The
// bucket is the place: with the prefix that the request names.
func kindOf(r *http.Request) (kind, bucket string) {
	host, query := r.URL.Hostname(), r.URL.Query()
	if strings.HasPrefix(host, "sts.") {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost && strings.Contains(string(body), "Action=GetCallerIdentity") {
			return "identity", ""
		}
		return "", ""
	}
	bucket, _, hosted := strings.Cut(host, ".s3.")
	object := strings.TrimPrefix(r.URL.Path, "/")
	if !hosted { // the bucket is in the path
		bucket, object, _ = strings.Cut(object, "/")
	}
	prefix, _, absent := strings.Cut(object, "cloney-verification-")
	if object == "" {
		prefix = query.Get("prefix")
	}
	if prefix != "" {
		bucket += "/" + prefix
	}
	switch {
	case r.Method == http.MethodGet && object == "" && query.Has("location"):
		return "locate", bucket
	case r.Method == http.MethodGet && object == "" && query.Get("list-type") == "2" && query.Get("max-keys") == "5" && query.Get("encoding-type") == "url":
		return "list", bucket
	case r.Method == http.MethodPost && absent && query.Has("uploads") && r.Header.Get("X-Amz-Acl") == "private":
		return "acl", bucket
	case r.Method == http.MethodGet && absent && !query.Has("uploadId"):
		return "read", bucket
	case r.Method == http.MethodPost && absent && query.Has("uploads"):
		return "begin", bucket
	case r.Method == http.MethodDelete && absent && query.Has("uploadId"):
		return "abort", bucket
	}
	return "", bucket
}

func (c *cloud) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	kind, bucket := kindOf(r)
	if c.takes != nil {
		time.Sleep(c.takes(kind)) // synctest's time
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind == "" && c.object != nil {
		return c.object(r, strings.TrimPrefix(r.URL.Path, "/")).response(r), nil
	}
	pays := r.Header.Get("X-Amz-Request-Payer") == "requester"
	if kind == "list" && pays {
		c.paid++
	}
	if c.unpaid && kind != "identity" && !pays {
		return failing(403, "AccessDenied").response(r), nil
	}
	if kind == "" {
		c.t.Errorf("%s %s was sent", r.Method, r.URL)
	}
	c.calls = append(c.calls, strings.TrimSpace(kind+" "+bucket))
	signed := r.Header.Get("Authorization")
	if !strings.Contains(signed, "Credential="+keyID+"/") || r.Header.Get("X-Amz-Security-Token") != "" {
		c.t.Errorf("%s was not signed with the key itself: %s", kind, signed)
	}
	if c.counts == nil {
		c.counts, c.live = map[string]int{}, map[string]bool{}
	}
	c.counts[kind+" "+bucket]++
	if c.say != nil {
		if a := c.say(kind, bucket, c.counts[kind+" "+bucket]); a != nil {
			return a.response(r), nil
		}
	}
	if c.home != "" && kind != "identity" && !strings.Contains(signed, "/"+c.home+"/s3/") {
		a := failing(301, "PermanentRedirect")
		a.region = c.home
		return a.response(r), nil
	}
	return c.usual(kind, r).response(r), nil
}

func (c *cloud) usual(kind string, r *http.Request) *answer {
	switch kind {
	case "identity":
		return &answer{status: 200, body: `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`}
	case "list":
		return &answer{status: 200, body: `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>data</Name><KeyCount>0</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>`}
	case "locate":
		return &answer{status: 200, body: `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>`}
	case "read":
		return failing(404, "NoSuchKey")
	case "begin", "acl":
		id := fmt.Sprintf("upload-%d", len(c.calls))
		c.live[id+r.URL.Path] = true
		return &answer{status: 200, body: `<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>data</Bucket><Key>x</Key><UploadId>` + id + `</UploadId></InitiateMultipartUploadResult>`}
	case "abort":
		upload := r.URL.Query().Get("uploadId") + r.URL.Path
		if !c.live[upload] {
			return failing(404, "NoSuchUpload")
		}
		delete(c.live, upload)
		return &answer{status: 204}
	}
	return failing(501, "NotImplemented")
}

// failing is an error as S3 writes it.
func failing(status int, code string) *answer {
	return &answer{status: status, body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code><Message>AWS's own words</Message><RequestId>0A49CE4060975EAC</RequestId><HostId>x</HostId></Error>`}
}

// unknownKey is STS's answer to a key that it does not know.
func unknownKey() *answer {
	return &answer{status: 403, body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error><RequestId>x</RequestId></ErrorResponse>`}
}

func (a *answer) response(r *http.Request) *http.Response {
	header := http.Header{"Content-Type": {"application/xml"}}
	if a.region != "" {
		header.Set("X-Amz-Bucket-Region", a.region)
	}
	return &http.Response{
		StatusCode: a.status, Header: header, Request: r, ContentLength: int64(len(a.body)),
		Body: io.NopCloser(strings.NewReader(a.body)),
	}
}

// prober is a Prober that asks the cloud, and logs to it.
func prober(c *cloud) *probe.Prober {
	return probe.New(config(c), slog.New(slog.NewTextHandler(&c.log, nil)), c.options)
}

// config is the function's own configuration. Its credentials are never used.
func config(c *cloud) aws.Config {
	return aws.Config{
		Region:      "eu-west-1",
		HTTPClient:  c,
		Credentials: credentials.NewStaticCredentialsProvider("ASIAFUNCTION", "function", "token"),
	}
}
