package probe_test

import (
	"fmt"
	"slices"
	"strings"
)

// world is one bucket and all that stands between it and the user's key. It
// evaluates each request, and answers as S3 does. Of the causes it takes those
// down that its answers show, or leave open: those the Reason has to name.
type world struct {
	region  string // where the bucket is
	kin     kin    // whose it is
	lets    bool   // of another account: its policy lets the user in
	claimed bool   // BucketOwner names an account that does not own it
	pays    bool   // its owner has the requester pay
	denies  string // what a Deny in its policy is about; empty: none
	outer   string // another policy that denies; empty: none
	narrow  bool   // that one denies uploads alone
	key     string // the state of the KMS key that it encrypts with
	aclsOff bool   // Object Ownership is BucketOwnerEnforced
	objects string // none, clean (the first is not), unclean
	prefix  string // of the place

	mayList bool // the last list was allowed
	blamed  map[string]bool
	noted   map[string]bool // what stands in the way of a client that does not know of it
}

// kin is how near the bucket's account is to the user's.
type kin int

const (
	own kin = iota
	relative
	stranger
)

// told reports whether AWS tells the reason of a denial, as it does within an
// account and an organization.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html
func (w *world) told() bool { return w.kin != stranger }

// answer is what S3 answers to a request, from the outside in; nil: the usual.
func (w *world) answer(q request) *s3Answer {
	if a := w.elsewhere(q); a != nil {
		return a
	}
	// The owner is compared before any policy, and nothing is told.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
	if w.claimed {
		return w.plain(q, "owner")
	}
	// The owner's own account need not agree to pay. To others nothing is told.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html
	if w.pays && w.kin != own && !q.pays {
		return w.plain(q, "payer")
	}
	action := actions[q.kind]
	if q.kind == "list" {
		w.mayList = w.denial(q, action) == nil
	}
	if a := w.denial(q, action); a != nil {
		return a
	}
	switch q.kind {
	case "list":
		return w.list()
	case "read":
		return w.read(q)
	case "begin":
		return w.begin(q)
	}
	return nil
}

var actions = map[string]string{"list": "s3:ListBucket", "locate": "s3:GetBucketLocation", "read": "s3:GetObject", "begin": "s3:PutObject", "abort": "s3:AbortMultipartUpload"}

// elsewhere: a region other than the bucket's tells where it is, and an opt-in
// region that the account has not enabled does not know the key.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
// https://docs.aws.amazon.com/general/latest/gr/rande-manage.html
func (w *world) elsewhere(q request) *s3Answer {
	if q.region != w.region {
		return redirect(q.bucket, w.region)
	}
	if w.region == "me-south-1" {
		w.blame("region")
		return s3Error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	}
	return nil
}

// denial is what the policies come to. Of several kinds that deny AWS tells
// one: the outer one here.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func (w *world) denial(q request, action string) *s3Answer {
	var causes []string
	if w.outer != "" && (!w.narrow || action == "s3:PutObject") {
		causes = append(causes, w.outer)
	}
	if w.matches(q, action) {
		causes = append(causes, w.denies)
	}
	if w.kin != own && !w.lets {
		causes = append(causes, "lacks")
	}
	switch {
	case len(causes) == 0:
		return nil
	case !w.told():
		return w.plain(q, causes...)
	}
	w.show(q, causes[0])
	return unauthorized(q, words[causes[0]])
}

// words is what AWS's message ends with.
var words = map[string]string{
	"SCP": "with an explicit deny in a service control policy", "RCP": "with an explicit deny in a resource control policy",
	"endpoint": "because no VPC endpoint policy allows the ACTION action", "boundary": "because no permissions boundary allows the ACTION action",
	"lacks":     "because no resource-based policy allows the ACTION action",
	"addresses": byBucket, "endpoints": byBucket, "users": byBucket, "tags": byBucket, "encryption": byBucket, "ACL": byBucket,
}

// matches reports whether the Deny in the bucket's policy matches.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
func (w *world) matches(q request, action string) bool {
	switch w.denies {
	case "addresses", "endpoints", "users":
		return true
	case "tags":
		// A negated operator matches where the tag is missing: also an object
		// that does not exist.
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging-and-policies.html
		return action == "s3:GetObject" && q.key != w.clean()
	case "encryption":
		return action == "s3:PutObject" && q.sse == ""
	case "ACL":
		return action == "s3:PutObject" && q.acl != "bucket-owner-full-control"
	}
	return false
}

func (w *world) clean() string { return w.prefix + someonesObject }

// list lists an object that is not scanned yet before one that is.
func (w *world) list() *s3Answer {
	var contents string
	if w.objects != "none" {
		contents += "<Contents><Key>" + w.prefix + "a-new-object</Key></Contents>"
	}
	if w.objects == "clean" {
		contents += "<Contents><Key>" + w.clean() + "</Key></Contents>"
	}
	return &s3Answer{status: 200, body: "<ListBucketResult>" + contents + "</ListBucketResult>"}
}

// read: the condition is looked at before anything is decrypted. Who may not
// list without a prefix is not told that a key is missing.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html
func (w *world) read(q request) *s3Answer {
	if !strings.Contains(q.key, "cloney-verification-") {
		if q.match == "" {
			panic("someone's object is read")
		}
		return s3Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	if w.prefix == "" {
		return nil
	}
	if !w.told() {
		return accessDenied()
	}
	return mayNotList(q)
}

// begin: an ACL where ACLs are off, and what KMS says of the key.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
func (w *world) begin(q request) *s3Answer {
	if w.aclsOff && q.acl == "private" {
		return s3Error(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	if q.sse == "AES256" {
		return nil
	}
	switch w.key {
	case "unnamed", "closed":
		if !w.told() {
			return w.plain(q, w.key)
		}
		w.blame(w.key)
		return keyDenied(map[string]string{"unnamed": noKeyInIt, "closed": keyElse}[w.key])
	case "disabled":
		w.blame(w.key)
		return s3Error(400, "KMS.DisabledException", kmsKey+" is disabled.")
	case "deleted":
		w.blame(w.key)
		return s3Error(400, "KMS.NotFoundException", "Invalid arn eu-west-1")
	}
	return nil
}

// plain is a denial that tells nothing: each of its causes is left open.
func (w *world) plain(q request, causes ...string) *s3Answer {
	// Denied a missing key, nobody can tell that from being denied a list.
	if q.kind == "read" && strings.Contains(q.key, "cloney-verification-") && (!w.mayList || w.prefix != "") {
		return accessDenied()
	}
	if len(causes) == 1 {
		w.show(q, causes[0])
		return accessDenied()
	}
	for _, cause := range causes {
		w.blame(cause)
	}
	return accessDenied()
}

// show takes the one cause of a denial down. A demand for a header or for tags
// that can be met, and is seen to be, is no failure: the client has to know.
func (w *world) show(q request, cause string) {
	keyDenies := w.key == "unnamed" || w.key == "closed"
	switch {
	case q.acl == "private": // it is only asked whether ACLs may be sent
	case cause == "ACL" && (w.told() || !keyDenies),
		cause == "encryption" && w.told(),
		cause == "tags" && w.objects == "clean":
		w.noted[cause] = true
	default:
		w.blame(cause)
	}
}

func (w *world) blame(cause string) { w.blamed[cause] = true }

// causes are those taken down, in the order of their names.
func causes(of map[string]bool) (names []string) {
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (w *world) String() string {
	return fmt.Sprintf("region %s, kin %d (let in: %v), claimed %v, Requester Pays %v, Deny %q, policy %q (writing alone: %v), KMS key %q, ACLs off %v, objects %s, prefix %q",
		w.region, w.kin, w.lets, w.claimed, w.pays, w.denies, w.outer, w.narrow, w.key, w.aclsOff, w.objects, w.prefix)
}
