package probe_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"cloney-s3-credentials/internal/edge/edgetest"
)

// request is what S3 is asked.
type request struct {
	kind   string // list, locate, read, begin, abort
	bucket string
	key    string // or the prefix that is listed
	region string // the one that it is signed for
	acl    string
	sse    string
	owner  string // the account whose the bucket has to be
	pays   bool   // it agrees to pay
	match  string // the ETag that an object that is read has to have
	n      int    // the how-manieth of its kind and bucket
}

// s3Answer is what S3 answers, byte for byte but for ids.
type s3Answer struct {
	status int
	header map[string]string
	body   string
}

// server answers over the wire as STS and S3 do. say overrides an answer;
// buckets whose names begin with "hangs" never get one.
type server struct {
	say func(request) *s3Answer

	mu    sync.Mutex
	count map[string]int
	live  map[string]bool // uploads begun and not aborted
	told  []string        // kinds of failures that were answered, in order
}

const someonesObject = "someones-object.csv"

func (s *server) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && r.URL.Path == "/" {
		fmt.Fprint(to, edgetest.Query("GetCallerIdentity", "<Arn>arn:aws:iam::123456789012:user/x</Arn>").Body)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/hangs") {
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.read(r)
	var answer *s3Answer
	if s.say != nil {
		answer = s.say(q)
	}
	if answer != nil {
		s.tell(q, answer)
	} else {
		answer = s.usual(q, r.URL)
	}
	if answer.status == 200 && q.kind == "begin" {
		s.live[q.bucket+"/"+q.key] = true
	}
	for name, value := range answer.header {
		to.Header().Set(name, value)
	}
	to.Header().Set("Content-Type", "application/xml")
	to.Header().Set("X-Amz-Request-Id", "DVBR3B6WQ1ZC9N2P")
	to.WriteHeader(answer.status)
	fmt.Fprint(to, answer.body)
}

var signedFor = regexp.MustCompile(`Credential=[^/]+/\d+/([^/]+)/s3/`)

func (s *server) read(r *http.Request) request {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := request{
		bucket: bucket, key: key, acl: r.Header.Get("X-Amz-Acl"), sse: r.Header.Get("X-Amz-Server-Side-Encryption"),
		owner: r.Header.Get("X-Amz-Expected-Bucket-Owner"), match: r.Header.Get("If-Match"), pays: r.Header.Get("X-Amz-Request-Payer") == "requester",
	}
	if q.match == "*" {
		panic("an object would be read: every object meets this condition")
	}
	if signed := signedFor.FindStringSubmatch(r.Header.Get("Authorization")); signed != nil {
		q.region = signed[1]
	}
	switch {
	case key == "" && r.URL.Query().Has("location"):
		q.kind = "locate"
	case key == "":
		q.kind, q.key = "list", r.URL.Query().Get("prefix")
	case r.Method == http.MethodGet:
		q.kind = "read"
	case r.Method == http.MethodPost:
		q.kind = "begin"
	case r.Method == http.MethodDelete:
		q.kind = "abort"
	}
	s.count[q.kind+q.bucket]++
	q.n = s.count[q.kind+q.bucket]
	return q
}

// usual is what a bucket in the function's region answers that lets the key
// do all.
func (s *server) usual(q request, u *url.URL) *s3Answer {
	switch q.kind {
	case "list":
		return &s3Answer{status: 200, body: `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>` + q.bucket + `</Name><Prefix></Prefix><KeyCount>1</KeyCount><MaxKeys>5</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr</NextContinuationToken><Contents><Key>` + someonesObject + `</Key><LastModified>2026-10-12T17:50:30.000Z</LastModified><ETag>"fba9dede5f27731c9771645a39863328"</ETag><Size>434234</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>`}
	case "locate":
		return &s3Answer{status: 200, body: `<?xml version="1.0" encoding="UTF-8"?>
<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>`}
	case "read":
		if q.key == someonesObject {
			if q.match == "" {
				panic("someone's object is read")
			}
			return s3Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", "<Condition>If-Match</Condition>")
		}
		return s3Error(404, "NoSuchKey", "The specified key does not exist.", "<Key>"+q.key+"</Key>")
	case "begin":
		return &s3Answer{status: 200, body: `<?xml version="1.0" encoding="UTF-8"?>
<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>` + q.bucket + `</Bucket><Key>` + q.key + `</Key><UploadId>VXBsb2FkIElE` + "</UploadId></InitiateMultipartUploadResult>"}
	}
	if !s.live[q.bucket+"/"+q.key] || u.Query().Get("uploadId") != "VXBsb2FkIElE" {
		return s3Error(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	}
	delete(s.live, q.bucket+"/"+q.key)
	return &s3Answer{status: 204}
}

var codeIn = regexp.MustCompile(`<Code>(.*)</Code>.*<Message>(.*)</Message>`)

// tell writes a failure down once for the golden file.
func (s *server) tell(q request, said *s3Answer) {
	line := fmt.Sprintf("%s %d", q.kind, said.status)
	if found := codeIn.FindStringSubmatch(strings.ReplaceAll(said.body, "\n", "")); found != nil {
		line += " " + found[1] + ": " + found[2]
	}
	for _, known := range s.told {
		if known == line {
			return
		}
	}
	s.told = append(s.told, line)
}

// s3Error is an error as S3 writes it.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#RESTErrorResponses
func s3Error(status int, code, message string, more ...string) *s3Answer {
	var text strings.Builder
	_ = xml.EscapeText(&text, []byte(message))
	return &s3Answer{status: status, body: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code + "</Code><Message>" + text.String() + "</Message>" +
		strings.Join(more, "") + "<RequestId>DVBR3B6WQ1ZC9N2P</RequestId><HostId>Tnx1wPjCli0cLMkMf+MP+pMC39n8boUX4gGVnnOHZaGuQG4kMo16aJ3tO+KRtjcQ</HostId></Error>"}
}

// accessDenied is what S3 answers outside of the account and organization.
func accessDenied() *s3Answer { return s3Error(403, "AccessDenied", "Access Denied") }

// misnamed is what a region answers that makes no buckets of such names.
func misnamed() *s3Answer {
	return s3Error(400, "InvalidBucketName", "The specified bucket is not valid.")
}

// unauthorized is what it answers within, and by what words it ends.
func unauthorized(q request, why string) *s3Answer {
	action := map[string]string{"list": "s3:ListBucket", "locate": "s3:GetBucketLocation", "read": "s3:GetObject", "begin": "s3:PutObject", "abort": "s3:AbortMultipartUpload"}[q.kind]
	resource := "arn:aws:s3:::" + q.bucket
	if q.kind != "list" && q.kind != "locate" {
		resource += "/cloney-verification-…"
	}
	return s3Error(403, "AccessDenied", `User: arn:aws:iam::123456789012:user/cloney/eu-west-1/u is not authorized to perform: `+action+` on resource: "`+resource+`" `+strings.ReplaceAll(why, "ACTION", action))
}

const kmsKey = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// keyDenied is S3 handing on that KMS does not let the user have a data key.
func keyDenied(why string) *s3Answer {
	return s3Error(403, "AccessDenied", `User: arn:aws:iam::123456789012:user/cloney/eu-west-1/u is not authorized to perform: kms:GenerateDataKey on `+why)
}

// redirect is S3's answer of a region in which the bucket is not.
func redirect(bucket, region string) *s3Answer {
	endpoint := bucket + ".s3." + region + ".amazonaws.com"
	if region == "" {
		return s3Error(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.", "<Endpoint>s3.amazonaws.com</Endpoint><Bucket>"+bucket+"</Bucket>")
	}
	answer := s3Error(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.", "<Endpoint>"+endpoint+"</Endpoint><Bucket>"+bucket+"</Bucket>")
	answer.header = map[string]string{"X-Amz-Bucket-Region": region}
	return answer
}

// malformed is the other one, which may tell the region in its body alone.
func malformed(wrong, region string) *s3Answer {
	return s3Error(400, "AuthorizationHeaderMalformed", "The authorization header is malformed; the region '"+wrong+"' is wrong; expecting '"+region+"'", "<Region>"+region+"</Region>")
}

// nothingListed is a list of no object.
func nothingListed(bucket string) *s3Answer {
	return &s3Answer{status: 200, body: `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>` + bucket + `</Name><Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>5</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>`}
}
