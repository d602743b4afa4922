// Package policy writes the managed policies: exactly what the guide grants, in the declared
// places.
//
// The documents are canonical JSON: the same Scope gives the same bytes. The only wildcard
// is the * at the end of an object ARN or a prefix; what a stack declares is escaped. If the
// places of a Scope do not fit into one policy, they are spread over several, at most ten
// per user; a Scope that is larger still is refused, with the number of places that fit. The
// package also writes the resource policy of the secret: which principals may read the key,
// in addition to the administrators of its own account.
//
// It is pure: no SDK, no clock, no I/O.
package policy

import (
	"bytes"
	"encoding/json"
	"strings"

	"cloney-s3-credentials/internal/access"
)

// MaxSize is how many characters a managed policy may have. AWS does not count white space;
// our policies have none outside of prefixes.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const MaxSize = 6144

// role is one column of the guide's table.
type role struct {
	sid     string
	objects []string // actions on objects
	keys    []string // what the same calls need on the objects' KMS keys
}

// This is the guide's table: everything that a credential can ever do.
var (
	location    = "s3:GetBucketLocation"
	list        = "s3:ListBucket"
	source      = role{"CloneySourceAccess", []string{"s3:GetObject", "s3:GetObjectVersion"}, []string{"kms:Decrypt"}}
	destination = role{
		"CloneyDestinationAccess",
		[]string{"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectAcl"},
		// Decrypt: S3 reads the parts of a multipart upload to join them.
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
		[]string{"kms:Decrypt", "kms:GenerateDataKey"},
	}
)

type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition conditions `json:",omitempty"`
}

// write returns the document that grants the scope's roles in the places.
func write(scope access.Scope, places []access.Place, partition string) string {
	g := newGrammar(scope, partition)
	doc := document{Version: "2012-10-17"}
	for _, role := range g.roles {
		doc.Statement = append(doc.Statement, g.buckets(role, places)...)
		doc.Statement = append(doc.Statement, g.objects(role, places))
		doc.Statement = append(doc.Statement, g.keys(role)...)
	}
	return encode(doc)
}

// encode writes JSON without escaping: Go would write <, > and & as \u003c …, and AWS does
// not say whether it reads those.
func encode(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	// Strings, lists and maps of them cannot fail to marshal.
	_ = encoder.Encode(value)
	return strings.TrimSuffix(text.String(), "\n")
}

// Same reports whether two documents hold the same JSON in any layout. AWS keeps a document
// as it was sent.
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
