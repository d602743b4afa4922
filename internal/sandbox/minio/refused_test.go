//go:build s3

package minio_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/sandbox/minio"
)

const denied = "AccessDenied"

// calls are attempts with a key: each returns S3's answer.
type calls struct {
	t      *testing.T
	client *s3.Client
	bucket string
}

func (c calls) list(prefix *string) string {
	_, err := c.client.ListObjectsV2(c.t.Context(), &s3.ListObjectsV2Input{Bucket: &c.bucket, Prefix: prefix})
	return code(err)
}

func (c calls) get(key string) string {
	object, err := c.client.GetObject(c.t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: &key})
	if err == nil {
		_ = object.Body.Close()
	}
	return code(err)
}

func (c calls) put(key string) string {
	return code(put(c.t.Context(), c.client, c.bucket, key, "new"))
}

func (c calls) delete(key string) string {
	_, err := c.client.DeleteObject(c.t.Context(), &s3.DeleteObjectInput{Bucket: &c.bucket, Key: &key})
	return code(err)
}

func (c calls) locate() string {
	_, err := c.client.GetBucketLocation(c.t.Context(), &s3.GetBucketLocationInput{Bucket: &c.bucket})
	return code(err)
}

// multipart begins an upload, asks for its parts and aborts it.
func (c calls) multipart(key string) string {
	begun, err := c.client.CreateMultipartUpload(c.t.Context(), &s3.CreateMultipartUploadInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		return code(err)
	}
	if _, err := c.client.ListParts(c.t.Context(), &s3.ListPartsInput{Bucket: &c.bucket, Key: &key, UploadId: begun.UploadId}); err != nil {
		return "parts: " + code(err)
	}
	_, err = c.client.AbortMultipartUpload(c.t.Context(), &s3.AbortMultipartUploadInput{Bucket: &c.bucket, Key: &key, UploadId: begun.UploadId})
	return code(err)
}

// uploads lists other people's unfinished uploads, which no role may.
func (c calls) uploads() string {
	_, err := c.client.ListMultipartUploads(c.t.Context(), &s3.ListMultipartUploadsInput{Bucket: &c.bucket, Prefix: aws.String("in/")})
	return code(err)
}

// outcome is an answer of S3 with the right answer.
type outcome struct{ what, got, want string }

func check(t *testing.T, outcomes []outcome) {
	t.Helper()
	for _, o := range outcomes {
		if o.got != o.want {
			t.Errorf("%s: %q, not %q", o.what, o.got, o.want)
		}
	}
}

func TestSourceOfAPrefixReadsItAndNothingElse(t *testing.T) {
	client := server.Client(issue(t, source(sourceBucket+"/in/")))
	c, other := calls{t, client, sourceBucket}, calls{t, client, destinationBucket}
	check(t, []outcome{
		{"list in/", c.list(aws.String("in/")), ""},
		{"list in/s", c.list(aws.String("in/s")), ""},
		{"locate", c.locate(), ""},
		{"read inside", c.get("in/a.txt"), ""},
		{"read a key with wildcards", c.get("in/star*.txt"), ""},
		{"read what is not there", c.get("in/missing"), "NoSuchKey"},

		{"list without prefix", c.list(nil), denied},
		{"list the empty prefix", c.list(aws.String("")), denied},
		{"list in", c.list(aws.String("in")), denied},
		{"list i", c.list(aws.String("i")), denied},
		{"list in-other/", c.list(aws.String("in-other/")), denied},
		{"read in-other/x", c.get("in-other/x"), denied},
		{"read inn", c.get("inn"), denied},
		{"read in", c.get("in"), denied},
		{"write", c.put("in/new"), denied},
		{"write over", c.put("in/a.txt"), denied},
		{"write in parts", c.multipart("in/new"), denied},
		{"delete", c.delete("in/a.txt"), denied},
		{"list the destination", other.list(aws.String("in/")), denied},
		{"write to the destination", other.put("in/new"), denied},
	})
}

func TestDestinationOfAPrefixWritesThereAndNothingElse(t *testing.T) {
	store(t, destinationBucket, "in/old.txt", "old")
	client := server.Client(issue(t, destination(destinationBucket+"/in/")))
	c, other := calls{t, client, destinationBucket}, calls{t, client, sourceBucket}
	check(t, []outcome{
		{"list in/", c.list(aws.String("in/")), ""},
		{"locate", c.locate(), ""},
		{"write", c.put("in/new"), ""},
		{"write in parts", c.multipart("in/large"), ""},

		{"list without prefix", c.list(nil), denied},
		{"list in", c.list(aws.String("in")), denied},
		{"read back", c.get("in/new"), denied},
		{"read what is not there", c.get("in/missing"), denied},
		{"delete", c.delete("in/old.txt"), denied},
		{"write beside", c.put("in-other/x"), denied},
		{"write in", c.put("in"), denied},
		{"write beside in parts", c.multipart("inn"), denied},
		{"list uploads", c.uploads(), denied},
		{"read the source", other.get("in/a.txt"), denied},
		{"write to the source", other.put("in/new"), denied},
	})
}

func TestWholeBuckets(t *testing.T) {
	s := calls{t, server.Client(issue(t, source(sourceBucket))), sourceBucket}
	d := calls{t, server.Client(issue(t, destination(destinationBucket))), destinationBucket}
	check(t, []outcome{
		{"list the source", s.list(nil), ""},
		{"read the source", s.get("in-other/x"), ""},
		{"write to the source", s.put("in-other/x"), denied},
		{"list the destination", d.list(nil), ""},
		{"write to the destination", d.put("beside"), ""},
		{"read the destination", d.get("beside"), denied},
		{"delete from the destination", d.delete("beside"), denied},
	})
}

func TestOnlyFromTheseAddresses(t *testing.T) {
	for address, want := range map[string]string{"127.0.0.1": "", "127.0.0.0/8": "", "203.0.113.7": denied, "2001:db8::/32": denied} {
		scope := source(sourceBucket+"/in/", destinationBucket)
		scope.SourceIPs = []string{address}
		c := calls{t, server.Client(issue(t, scope)), sourceBucket}
		check(t, []outcome{
			{address + ": list", c.list(aws.String("in/")), want},
			{address + ": read", c.get("in/a.txt"), want},
			{address + ": locate", c.locate(), want},
			{address + ": list without prefix", c.list(nil), denied},
			{address + ": list a whole bucket", calls{t, c.client, destinationBucket}.list(nil), want},
		})
	}
}

func TestNothingAfterTheEnd(t *testing.T) {
	for end, want := range map[time.Duration]string{time.Hour: "", -time.Second: denied} {
		scope := access.Scope{Source: true, Destination: true, Places: []access.Place{sourceBucket + "/in/", destinationBucket}}
		scope.ExpiresAt = time.Now().Add(end)
		c := calls{t, server.Client(issue(t, scope)), sourceBucket}
		other := calls{t, c.client, destinationBucket}
		check(t, []outcome{
			{end.String() + ": list", c.list(aws.String("in/")), want},
			{end.String() + ": read", c.get("in/a.txt"), want},
			{end.String() + ": locate", c.locate(), want},
			{end.String() + ": list a whole bucket", other.list(nil), want},
			{end.String() + ": write", other.put("late"), want},
			{end.String() + ": write in parts", other.multipart("late"), want},
		})
	}
}

// In AWS ${*}, ${?} and ${$} are the characters themselves. MinIO does not know them and
// reads the four characters as they are, so that a wildcard stays between ${ and }. So
// nobody gets too much access, but the prefix's own objects are out of reach too. The
// oracle shows that AWS allows those.
func TestPrefixesAreNoPatterns(t *testing.T) {
	for prefix, lookalike := range map[string]string{"all*/": "allow/", "wh?t/": "what/", "$x/": "x/"} {
		store(t, sourceBucket, prefix+"x", "ours")
		store(t, sourceBucket, lookalike+"x", "not ours")
		c := calls{t, server.Client(issue(t, source(access.Place(sourceBucket+"/"+prefix)))), sourceBucket}
		check(t, []outcome{
			{"list " + lookalike, c.list(&lookalike), denied},
			{"read " + lookalike, c.get(lookalike + "x"), denied},
			{"MinIO: list " + prefix, c.list(&prefix), denied},
			{"MinIO: read " + prefix, c.get(prefix + "x"), denied},
		})
	}
}

// When MinIO accepts one of these, it need not be removed any more.
func TestMinIOStillRefuses(t *testing.T) {
	kms, owner := destination(destinationBucket), source(sourceBucket)
	kms.KMSKeys = []string{"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
	owner.Owner = "111122223333"
	for text, complaint := range map[string]string{
		document(t, destination(destinationBucket)):   "unsupported action 's3:PutObjectAcl'",
		strings.Replace(document(t, kms), acl, "", 1): "invalid resource 'arn:aws:kms:",
		document(t, owner):                            "invalid condition key 'aws:ResourceAccount'",
	} {
		user := minio.User{Key: minio.Key{ID: "AKIAREFUSED", Secret: "secret-of-a-test"}, Document: text}
		if err := server.Add(t.Context(), user); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("MinIO does not say %q: %v", complaint, err)
		}
	}
}
