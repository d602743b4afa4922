package probe_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/probe"
)

// inMemory is an HTTP client whose requests end at the handler.
type inMemory struct{ http.Handler }

func (m inMemory) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	to := httptest.NewRecorder()
	m.ServeHTTP(to, r)
	return to.Result(), nil
}

// one of the values, each as likely.
func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// anyWorld returns a world, and what a stack asks of it. Many have no obstacle
// of a given sort, so that the others show.
func anyWorld(r *rand.Rand) (*world, access.Scope) {
	w := &world{
		region:  one(r, "eu-west-1", "eu-west-1", "eu-west-1", "eu-west-1", "ap-southeast-2", "ap-southeast-2", "ap-southeast-2", "me-south-1"),
		kin:     one(r, own, own, relative, stranger),
		lets:    r.IntN(4) > 0,
		claimed: r.IntN(12) == 0,
		pays:    r.IntN(3) == 0,
		denies:  one(r, "", "", "", "", "addresses", "endpoints", "users", "tags", "tags", "encryption", "ACL"),
		outer:   one(r, "", "", "", "", "", "", "", "SCP", "RCP", "endpoint", "boundary"),
		narrow:  r.IntN(2) == 0,
		key:     one(r, "", "named", "unnamed", "unnamed", "closed", "closed", "disabled", "deleted"),
		aclsOff: r.IntN(2) == 0,
		objects: one(r, "none", "clean", "unclean"),
		prefix:  one(r, "", "", "in/"),
		blamed:  map[string]bool{}, noted: map[string]bool{},
	}
	scope := access.Scope{Places: []access.Place{access.Place(strings.TrimSuffix("shut/"+w.prefix, "/"))}}
	if w.prefix != "" {
		scope.Places[0] = access.Place("shut/" + w.prefix)
	}
	role := r.IntN(3)
	scope.Source, scope.Destination = role != 0, role != 1
	if w.claimed {
		scope.Owner = "210987654321"
	}
	if w.key == "named" || w.key == "closed" {
		scope.KMSKeys = []string{kmsKey}
	}
	return w, scope
}

// lookAt proves a key in the world, for as long as two looks take beyond those
// at which headers and paying are tried.
func lookAt(t *testing.T, w *world, scope access.Scope, subject access.Subject) (reason, log string) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		c := &cloud{}
		cfg := config(c)
		cfg.HTTPClient = inMemory{&server{say: w.answer, count: map[string]int{}, live: map[string]bool{}}}
		cfg.BaseEndpoint = aws.String("http://aws.test")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := probe.New(cfg, slog.New(slog.NewTextHandler(&lines, nil)), probe.Options{}).Prove(ctx, key(), scope, subject); err != nil {
			reason = err.Error()
		}
		log = lines.String()
	})
	return reason, log
}

// says are the words for a cause in a Reason: where AWS names it, and where AWS leaves it
// open.
var says = map[string][]string{
	"region":     {"S3 in region me-south-1 does not know the key"},
	"owner":      {"account 210987654321, which BucketOwner names, does not own"},
	"payer":      {"Requester Pays"},
	"lacks":      {"another account owns the bucket", "belongs to another account"},
	"SCP":        {"a service control policy of your organization", "a control policy of an organization"},
	"RCP":        {"a resource control policy", "a control policy of an organization"},
	"endpoint":   {"the policy of the VPC endpoint", "the policy of the provider's VPC endpoint"},
	"boundary":   {"the user's permissions boundary"},
	"addresses":  {"a Deny about addresses", "one of these: addresses", "), addresses ("},
	"endpoints":  {"VPC endpoints ("},
	"users":      {"users ("},
	"tags":       {"tags on objects"},
	"encryption": {"headers of uploads", "requires the header"},
	"ACL":        {"headers of uploads"},
	"unnamed":    {"a KMS key that KmsKeyArns does not name", "a KMS key that the user may not use"},
	"closed":     {"a KMS key that the user may not use", "the policy of the KMS key that the bucket encrypts with does not allow it"},
	"disabled":   {"KMS.DisabledException"},
	"deleted":    {"KMS.NotFoundException"},
}

// notes are the words in the log for what the client has to know.
var notes = map[string]string{
	"tags": "a Deny about tags on objects", "encryption": "without the header x-amz-server-side-encryption", "ACL": "without the header x-amz-acl",
}

// sorts are the causes that AWS's words distinguish: if AWS names one, a Reason names no
// other.
var sorts = map[string]string{
	"SCP": "service control policy", "RCP": "resource control policy", "endpoint": "the policy of the VPC endpoint", "boundary": "permissions boundary",
	"lacks": "another account, and its policy", "payer": "Requester Pays", "unnamed": "KmsKeyArns does not name", "closed": "own policy allow",
	"disabled": "Disabled", "deleted": "NotFound", "addresses": "the bucket's policy", "endpoints": "the bucket's policy", "users": "the bucket's policy",
	"tags": "the bucket's policy", "encryption": "the bucket's policy", "ACL": "the bucket's policy", "owner": "BucketOwner", "region": "S3 in region",
}

func names(text string, any []string) bool {
	for _, word := range any {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// In any situation, the Reason names the bucket and each cause that AWS's answers show or
// leave open. It names no cause that they exclude, and only safe next steps.
func TestAnySituation(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 2018))
	failed := map[string]int{}
	for range 280 / accesstest.OneIn(7) {
		w, scope := anyWorld(r)
		madeUp := r.IntN(2) == 0
		reason, log := lookAt(t, w, scope, access.Subject{MadeUp: madeUp})
		if (reason != "") != (len(w.blamed) > 0) {
			t.Errorf("%v %v\nin the way: %v, the Reason: %s\n%s", w, scope, causes(w.blamed), reason, log)
			continue
		}
		judge(t, w, madeUp, reason, log)
		for cause := range w.blamed {
			failed[cause]++
		}
	}
	for cause := range says {
		if failed[cause] < 3 && accesstest.OneIn(7) == 1 {
			t.Errorf("%s was in the way %d times only", cause, failed[cause])
		}
	}
}

func judge(t *testing.T, w *world, madeUp bool, reason, log string) {
	t.Helper()
	wrong := func(what, of string) {
		t.Errorf("%v\n%s %q: %s\n%s", w, what, of, reason, log)
	}
	excluded := map[string]bool{}
	for _, word := range sorts {
		excluded[word] = true
	}
	for _, cause := range causes(w.blamed) {
		if !names(reason, says[cause]) {
			wrong("not named:", cause)
		}
		excluded[sorts[cause]] = false
	}
	for _, cause := range causes(w.noted) {
		if reason != "" && cause == "tags" {
			continue // it is not what fails
		}
		if noted := strings.Contains(log, "level=WARN") && strings.Contains(log, notes[cause]); !noted && !names(reason, says[cause]) {
			wrong("not noted:", cause)
		}
		excluded[sorts[cause]] = false
	}
	for cause, note := range notes {
		if cause != w.denies && strings.Contains(log, note) {
			wrong("nothing is so, and it is noted:", cause)
		}
	}
	if w.told() && !w.claimed && !w.blamed["payer"] {
		for word, out := range excluded {
			if out && strings.Contains(reason, word) {
				wrong("AWS excludes", word)
			}
		}
	}
	if reason == "" {
		return
	}
	if madeUp != strings.Contains(reason, "Set UserName before") && strings.Contains(reason, "The user is") {
		wrong("of a made-up name:", "that a new stack makes another one")
	}
	if !strings.Contains(reason, `Buckets: "shut`) {
		wrong("not named:", "the bucket")
	}
	if strings.Contains(reason, "aws:PrincipalArn") && !strings.Contains(reason, "not as Principal") {
		wrong("not said:", "how to name the user")
	}
	if unknown := unsafe(reason); unknown != "" {
		wrong("is not known to be safe:", unknown)
	}
}

// safe is every sentence of which a Reason here may consist. Before you add a next step here,
// think about what it opens.
var safe = strings.Split(`
Buckets: "shut" cannot be used
Buckets: "shut/in/" cannot be used
: the key may not 
list it
ask for its region
read from it
write to it
abort an upload in it
AWS does not say why
Most likely 
account 210987654321, which BucketOwner names, does not own the bucket: check which account owns it
another account owns the bucket: ask it to let this user in, by aws:PrincipalArn
the bucket encrypts with a KMS key that the user may not use: name it in KmsKeyArns, and let its own policy allow this account
it is a Requester Pays bucket: ask its owner to switch that off
the bucket's policy has a Deny about 
addresses (set SourceIps to those that it allows, or Verify: false)
VPC endpoints (set Verify: false)
a list of users (ask the bucket's owner to add this one, by aws:PrincipalArn, to that list alone)
prefixes (name the prefix in Buckets)
tags on objects (let one of the first five objects there have the right tags, or set Verify: false)
headers of uploads (let the client send them, and set Verify: false)
something else (meet its condition)
a control policy of an organization, the user's permissions boundary, or the policy of the provider's VPC endpoint denies it: ask the owners of these policies why
it is allowed with the header x-amz-server-side-encryption: AES256
Either the bucket encrypts with a KMS key that the user may not use: name it in KmsKeyArns, and let its own policy allow this account; or its policy requires the header: let the client send it, and set Verify: false
a Deny in the bucket's policy is in the way. It is about one of these: 
the bucket belongs to another account, and its policy does not let the user in; ask its owner to allow your account there, on the condition that aws:PrincipalArn is the user's
a service control policy of your organization denies it; 
a resource control policy of the organization of the bucket's account denies it; 
ask the administrators of the organization which condition is not met, often one about region, network or encryption, and meet it; if only the network of the provider's function does not meet it, set Verify: false
the policy of the VPC endpoint that the provider's function goes through denies it; ask the provider's owner to allow the bucket there
the user's permissions boundary denies it, because of one of these parameters of the provider's stack: AllowedBuckets does not have the bucket, ClosedBuckets has it, BucketAccounts or BucketOrganizationId does not have the account of the bucket, SourceCidrs does not have the address that the call came from, or the policy that UserPermissionsBoundary names denies it. Ask the provider's owner which one it is; if it is ClosedBuckets, use another bucket
the bucket encrypts with a KMS key that KmsKeyArns does not name; add arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
the policy of the KMS key that the bucket encrypts with does not allow it; let the key's own policy allow this account kms:GenerateDataKey and kms:Decrypt, and check that the key still exists, in the bucket's region
S3 cannot use the KMS key that the bucket encrypts with: 
it is disabled (KMS.DisabledException); enable it, or name another one in the bucket's default encryption
there is no such key (KMS.NotFoundException); name one that exists in the bucket's default encryption
it is a Requester Pays bucket of another account, which denies requests without the header x-amz-request-payer: requester; ask its owner to switch that off, or let the client send the header and set Verify: false
S3 in region me-south-1 does not know the key (InvalidAccessKeyId); if it is an opt-in region, enable it for this account, otherwise try again in a few minutes
. The user is arn:aws:iam::123456789012:user/x
. Set UserName before a policy names the user: a new stack makes up another name
. A policy names the user by aws:PrincipalArn in a condition, not as Principal: a Principal stops matching when the user is created again`[1:], "\n")

// unsafe returns the rest of a Reason without the safe sentences.
func unsafe(reason string) string {
	// A sentence may be a part of a longer one.
	slices.SortFunc(safe, func(a, b string) int { return len(b) - len(a) })
	for _, sentence := range safe {
		reason = strings.ReplaceAll(reason, sentence, "|")
	}
	for _, glue := range []string{"Also, the key may not ", "Also, ", "Or ", " or ", ". ", ": ", ", ", "|"} {
		reason = strings.ReplaceAll(reason, glue, "")
	}
	return reason
}
