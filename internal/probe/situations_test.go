package probe_test

import (
	"fmt"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
)

// situation is something that can be in the way, and how S3 answers then.
type situation struct {
	label string
	scope access.Scope
	say   func(request) *s3Answer
	until time.Duration // when the function's time is up; 0: never
	left  int           // uploads that cannot be aborted
	named bool          // the stack sets UserName
}

func in(places ...access.Place) access.Scope {
	return access.Scope{Source: true, Destination: true, Places: places}
}

// on answers calls of one kind on the bucket "shut"; "": all kinds.
func on(kind string, say func(request) *s3Answer) func(request) *s3Answer {
	return func(q request) *s3Answer {
		if q.bucket == "shut" && (kind == "" || q.kind == kind) {
			return say(q)
		}
		return nil
	}
}

func because(why string) func(request) *s3Answer {
	return func(q request) *s3Answer { return unauthorized(q, why) }
}

// mayNotList is what a request for an object that does not exist is answered
// with, where the right to list, which a 404 takes, is missing.
func mayNotList(q request) *s3Answer {
	return s3Error(403, "AccessDenied", `User: arn:aws:iam::123456789012:user/cloney/eu-west-1/u is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::`+q.bucket+`" because no identity-based policy allows the s3:ListBucket action`)
}

func always(answer *s3Answer) func(request) *s3Answer {
	return func(request) *s3Answer { return answer }
}

const (
	byBucket   = "with an explicit deny in a resource-based policy"
	notByUser  = "because no identity-based policy allows the ACTION action"
	noKeyInIt  = "resource: " + kmsKey + " because no identity-based policy allows the kms:GenerateDataKey action"
	keyElse    = "this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
	keyControl = "resource: " + kmsKey + " with an explicit deny in a service control policy"
)

// started is when made-up time begins.
var started = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func situations() []situation {
	owned, named, addressed, late, soon, ending := in("data", "shut"), in("data", "shut"), in("data", "shut"), in("data", "shut"), in("data"), in("data", "shut")
	owned.Owner = "210987654321"
	named.KMSKeys = []string{"arn:aws:kms:eu-west-1:123456789012:key/00000000-1111-2222-3333-444444444444"}
	sameKey := in("data", "shut")
	sameKey.KMSKeys = []string{kmsKey}
	addressed.SourceIPs = []string{"192.0.2.0/24"}
	late.ExpiresAt, soon.ExpiresAt, ending.ExpiresAt = started, started.Add(3*time.Hour), started.Add(time.Minute)
	both := in("data", "shut")
	return []situation{
		{"Two buckets do not exist", in("data", "gone", "lost"), func(q request) *s3Answer {
			if q.bucket != "data" {
				return s3Error(404, "NoSuchBucket", "The specified bucket does not exist", "<BucketName>"+q.bucket+"</BucketName>")
			}
			return nil
		}, 0, 0, false},
		{"Another region, told in the header", both, on("", func(q request) *s3Answer {
			if q.region != "ap-southeast-2" {
				return redirect(q.bucket, "ap-southeast-2")
			}
			return nil
		}), 0, 0, false},
		{"Another region, told in the body", both, on("", func(q request) *s3Answer {
			if q.region != "eu-central-1" {
				return malformed(q.region, "eu-central-1")
			}
			return nil
		}), 0, 0, false},
		{"Another region, which cannot be followed", both, on("", func(q request) *s3Answer {
			return redirect(q.bucket, map[string]string{"us-west-2": "us-east-1"}[q.region]+map[bool]string{true: "us-west-2"}[q.region != "us-west-2"])
		}), 0, 0, false},
		{"Another region, which is not told", both, on("", func(q request) *s3Answer { return redirect(q.bucket, "") }), 0, 0, false},
		{"A region that the account has not enabled", both, on("", func(q request) *s3Answer {
			if q.region != "me-south-1" {
				return redirect(q.bucket, "me-south-1")
			}
			return s3Error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", "<AWSAccessKeyId>"+keyID+"</AWSAccessKeyId>")
		}), 0, 0, false},
		{"The bucket's policy denies listing", both, on("list", because(byBucket)), 0, 0, false},
		{"The bucket's policy denies listing a prefix", in("shut/in/", "shut/out/"), func(q request) *s3Answer {
			if q.kind == "list" && q.key == "out/" {
				return unauthorized(q, byBucket)
			}
			return nil
		}, 0, 0, false},
		{"The bucket's policy denies reading under a prefix", in("data", "shut/in/"), on("read", because(byBucket)), 0, 0, false},
		{"S3 denies asking for a missing object under a prefix", in("data", "shut/in/"), on("read", func(q request) *s3Answer {
			if q.key == someonesObject {
				return nil
			}
			return mayNotList(q)
		}), 0, 0, false},
		{"The same, and the prefix is empty", in("data", "shut/in/"), on("", func(q request) *s3Answer {
			switch q.kind {
			case "list":
				return nothingListed(q.bucket)
			case "read":
				return mayNotList(q)
			}
			return nil
		}), 0, 0, false},
		{"The same, and S3 tells nothing", in("data", "shut/in/"), on("", func(q request) *s3Answer {
			switch q.kind {
			case "list":
				return nothingListed(q.bucket)
			case "read":
				return accessDenied()
			}
			return nil
		}), 0, 0, false},
		{"An empty prefix is denied for good", in("data", "shut/in/"), on("", func(q request) *s3Answer {
			switch q.kind {
			case "list":
				return nothingListed(q.bucket)
			case "read":
				return unauthorized(q, byBucket)
			}
			return nil
		}), 0, 0, false},
		{"A prefix with a wildcard, under which nothing is", in("data", "shut/in/*/x"), on("list", always(nothingListed("shut"))), 0, 0, false},
		{"An empty bucket", in("data", "shut"), on("list", always(nothingListed("shut"))), 0, 0, false},
		{"A Deny about tags, and a clean object", both, on("read", func(q request) *s3Answer {
			if q.key == someonesObject {
				return nil
			}
			return unauthorized(q, byBucket)
		}), 0, 0, false},
		{"A Deny about tags, and no object yet", both, on("", func(q request) *s3Answer {
			switch q.kind {
			case "list":
				return nothingListed(q.bucket)
			case "read":
				return unauthorized(q, byBucket)
			}
			return nil
		}), 0, 0, false},
		{"A Deny about addresses or endpoints", in("data", "shut"), on("", because(byBucket)), 0, 0, true},
		{"The bucket's policy denies asking for its region", both, on("locate", because(byBucket)), 0, 0, false},
		{"Requester Pays", both, on("", func(q request) *s3Answer {
			if !q.pays {
				return accessDenied()
			}
			return nil
		}), 0, 0, false},
		{"Requester Pays, and the KMS key is not in KmsKeyArns", both, on("", func(q request) *s3Answer {
			switch {
			case !q.pays:
				return accessDenied()
			case q.kind == "begin":
				return keyDenied(noKeyInIt)
			}
			return nil
		}), 0, 0, false},
		{"Requester Pays, and a service control policy", both, on("", func(q request) *s3Answer {
			if !q.pays {
				return accessDenied()
			}
			return unauthorized(q, "with an explicit deny in a service control policy")
		}), 0, 0, false},
		{"Listing is denied and the KMS key is closed, and nobody says so", both, on("", func(q request) *s3Answer {
			if q.kind == "list" || q.kind == "begin" && q.sse != "AES256" {
				return accessDenied()
			}
			return nil
		}), 0, 0, false},
		{"A VPC endpoint's policy and a KMS key", both, on("", func(q request) *s3Answer {
			switch q.kind {
			case "list", "locate":
				return unauthorized(q, "because no VPC endpoint policy allows the ACTION action")
			case "read":
				return mayNotList(q)
			case "begin":
				return keyDenied(noKeyInIt)
			}
			return nil
		}), 0, 0, false},
		{"A legacy name", in("data", "My_Legacy", "shut"), func(q request) *s3Answer {
			if q.bucket != "data" {
				return s3Error(404, "NoSuchBucket", "The specified bucket does not exist", "<BucketName>"+q.bucket+"</BucketName>")
			}
			return nil
		}, 0, 0, false},
		{"A legacy name that no region but its own takes", in("data", "My_Legacy"), func(q request) *s3Answer {
			if q.bucket != "data" && q.region != "us-east-1" {
				return misnamed()
			}
			return nil
		}, 0, 0, false},
		{"A name that no region takes", in("data", "data-"), func(q request) *s3Answer {
			if q.bucket != "data" {
				return misnamed()
			}
			return nil
		}, 0, 0, false},
		{"The bucket's policy denies reading", both, on("read", because(byBucket)), 0, 0, false},
		{"The bucket's policy denies writing", both, on("begin", because(byBucket)), 0, 0, false},
		{"The bucket's policy denies aborting", both, on("abort", because(byBucket)), 0, 1, false},
		{"A bucket of another account, of the same organization", both, on("", because("because no resource-based policy allows the ACTION action")), 0, 0, false},
		{"A bucket of another account", both, on("", always(accessDenied())), 0, 0, false},
		{"A denial without a body", both, on("", always(&s3Answer{status: 403})), 0, 0, false},
		{"Writing is denied and nobody says why", both, on("begin", always(accessDenied())), 0, 0, false},
		{"A service control policy denies", both, on("", because("with an explicit deny in a service control policy")), 0, 0, false},
		{"A resource control policy denies", both, on("", because("with an explicit deny in a resource control policy")), 0, 0, false},
		{"A VPC endpoint's policy denies", both, on("", because("because no VPC endpoint policy allows the ACTION action")), 0, 0, false},
		{"The permissions boundary denies", both, on("", because("with an explicit deny in a permissions boundary")), 0, 0, false},
		{"A policy that was put on the user by hand denies", both, on("", because("with an explicit deny in an identity-based policy")), 0, 0, false},
		{"The user's policy does not reach S3", both, on("", because(notByUser)), 0, 0, false},
		{"The bucket does not belong to BucketOwner", owned, on("", func(q request) *s3Answer {
			if q.owner != "210987654321" {
				panic("the owner is not sent")
			}
			return accessDenied()
		}), 0, 0, false},
		{"The bucket does not belong to BucketOwner, and IAM says so in its way", owned, on("", because(notByUser)), 0, 0, false},
		{"The KMS key is not in KmsKeyArns, which is not set", both, on("begin", always(keyDenied(noKeyInIt))), 0, 0, false},
		{"The KMS key is not in KmsKeyArns", named, on("begin", always(keyDenied(noKeyInIt))), 0, 0, false},
		{"The KMS key is in KmsKeyArns, and IAM does not see it", sameKey, on("begin", always(keyDenied(noKeyInIt))), 0, 0, false},
		{"The KMS key's policy does not let the account in", named, on("begin", always(keyDenied(keyElse))), 0, 0, false},
		{"KMS itself denies its key", both, on("begin", always(s3Error(403, "KMS.AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."))), 0, 0, false},
		{"The KMS key is denied by a control policy", named, on("begin", always(keyDenied(keyControl))), 0, 0, false},
		{"The KMS key is closed and nobody says so", both, on("begin", func(q request) *s3Answer {
			if q.sse != "AES256" {
				return accessDenied()
			}
			return nil
		}), 0, 0, false},
		{"The KMS key is disabled", named, on("begin", always(s3Error(400, "KMS.DisabledException", kmsKey+" is disabled."))), 0, 0, false},
		{"The KMS key is about to be deleted", named, on("begin", always(s3Error(400, "KMS.KMSInvalidStateException", kmsKey+" is pending deletion."))), 0, 0, false},
		{"The KMS key does not exist", named, on("begin", always(s3Error(400, "KMS.NotFoundException", "Invalid arn eu-west-1"))), 0, 0, false},
		{"The bucket's policy demands an encryption header", both, on("begin", func(q request) *s3Answer {
			if q.sse != "AES256" {
				return unauthorized(q, byBucket)
			}
			return nil
		}), 0, 0, false},
		{"The bucket's policy demands an ACL", both, on("begin", func(q request) *s3Answer {
			if q.acl != "bucket-owner-full-control" {
				return unauthorized(q, byBucket)
			}
			return nil
		}), 0, 0, false},
		{"ACLs are off", both, on("begin", func(q request) *s3Answer {
			if q.acl == "private" {
				return s3Error(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
			}
			return nil
		}), 0, 0, false},
		{"ACLs are denied", both, on("begin", func(q request) *s3Answer {
			if q.acl == "private" {
				return unauthorized(q, byBucket)
			}
			return nil
		}), 0, 0, false},
		{"AWS has closed the bucket", both, on("", always(s3Error(403, "AllAccessDisabled", "All access to this object has been disabled"))), 0, 0, false},
		{"S3 does not know the key", both, on("", always(s3Error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", "<AWSAccessKeyId>"+keyID+"</AWSAccessKeyId>"))), 0, 0, false},
		{"S3 is busy", both, on("", always(s3Error(503, "SlowDown", "Please reduce your request rate."))), 0, 0, false},
		{"Something new", both, on("read", always(s3Error(400, "ExpiredToken", "The provided token has expired."))), 0, 0, false},
		{"A proxy in between", both, on("", always(&s3Answer{status: 502, body: "<html><body>Bad Gateway</body>"})), 0, 0, false},
		{"SourceIps", addressed, always(accessDenied()), 0, 0, false},
		{"ExpiresAt has passed", late, always(accessDenied()), 0, 0, false},
		{"ExpiresAt is near", soon, nil, 0, 0, false},
		{"ExpiresAt passes meanwhile", ending, on("", always(accessDenied())), 0, 0, false},
		{"Much at once", in(everything()...), func(q request) *s3Answer {
			switch {
			case strings.HasPrefix(q.bucket, "gone"):
				return s3Error(404, "NoSuchBucket", "The specified bucket does not exist", "<BucketName>"+q.bucket+"</BucketName>")
			case strings.HasPrefix(q.bucket, "shut"):
				return accessDenied()
			case strings.HasPrefix(q.bucket, "busy"):
				return s3Error(503, "SlowDown", "Please reduce your request rate.")
			case strings.HasPrefix(q.bucket, "keyed") && q.kind == "begin":
				return keyDenied(noKeyInIt)
			}
			return nil
		}, 20 * time.Second, 0, false},
		{"The function's time is up", in("data", "hangs-1", "hangs-2", "media", "shut"), on("read", because(byBucket)), 10 * time.Second, 0, false},
	}
}

func everything() (places []access.Place) {
	for _, kind := range []string{"busy", "gone", "keyed", "shut", "works"} {
		for i := range 20 {
			places = append(places, access.Place(fmt.Sprintf("%s-%03d", kind, i)))
		}
	}
	return places
}
