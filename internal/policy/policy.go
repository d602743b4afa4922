// Package policy writes the managed policies: what the guide grants, on the
// named buckets, and nothing else.
//
// The documents are canonical JSON: the same Scope gives the same bytes. They
// hold no wildcard but the /* that means "the objects of this bucket". A Scope
// whose buckets do not fit one policy is spread over several, at most ten to a
// user; more than those hold is refused with the count.
//
// It is pure: no SDK, no clock, no I/O.
package policy

import (
	"encoding/json"
	"strings"

	"cloney-s3-credentials/internal/access"
)

// MaxSize is how many characters a managed policy may have, white space not
// counted (ours has none).
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const MaxSize = 6144

// role is one column of the guide's table.
type role struct {
	sid     string
	bucket  []string // actions on the bucket
	objects []string // actions on its objects
}

// The guide's table. This is the whole of what a credential can ever do.
var (
	listing = []string{"s3:GetBucketLocation", "s3:ListBucket"}
	source  = role{
		sid:     "CloneySourceAccess",
		bucket:  listing,
		objects: []string{"s3:GetObject", "s3:GetObjectVersion"},
	}
	destination = role{
		sid:     "CloneyDestinationAccess",
		bucket:  listing,
		objects: []string{"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectAcl"},
	}
)

type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource []string
}

// write returns the document that grants the scope's roles on the buckets.
func write(scope access.Scope, buckets []string, partition string) string {
	var roles []role
	if scope.Source {
		roles = append(roles, source)
	}
	if scope.Destination {
		roles = append(roles, destination)
	}
	arns := make([]string, len(buckets))
	objects := make([]string, len(buckets))
	for i, bucket := range buckets {
		arns[i] = "arn:" + partition + ":s3:::" + bucket
		objects[i] = arns[i] + "/*"
	}
	doc := document{Version: "2012-10-17"}
	for _, role := range roles {
		doc.Statement = append(doc.Statement,
			statement{role.sid + "Bucket", "Allow", role.bucket, arns},
			statement{role.sid + "Objects", "Allow", role.objects, objects})
	}
	// Strings alone cannot fail to marshal.
	text, _ := json.Marshal(doc)
	return string(text)
}

// Buckets returns the buckets that a document of ours names, in its order; none
// if it is not one of ours.
func Buckets(text string) []string {
	var doc document
	if json.Unmarshal([]byte(text), &doc) != nil || len(doc.Statement) == 0 {
		return nil
	}
	var buckets []string
	for _, arn := range doc.Statement[0].Resource {
		// arn:partition:s3:::bucket
		if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[2] == "s3" {
			buckets = append(buckets, parts[5])
		}
	}
	return buckets
}

// Same reports whether two documents hold the same JSON, however it is laid
// out. AWS keeps a document as it was sent.
func Same(a, b string) bool {
	one, ok := canonical(a)
	other, also := canonical(b)
	return ok && also && one == other
}

func canonical(text string) (string, bool) {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return "", false
	}
	// Maps marshal with sorted keys.
	out, err := json.Marshal(value)
	return string(out), err == nil
}
