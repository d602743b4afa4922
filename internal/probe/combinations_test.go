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

// says is what names a cause in a Reason: where AWS tells it, or leaves it open.
var says = map[string][]string{
	"region":     {"S3 in region me-south-1 does not know the key"},
	"owner":      {"does not belong to account 210987654321"},
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
	"encryption": {"headers of uploads", "demands the header"},
	"ACL":        {"headers of uploads"},
	"unnamed":    {"a KMS key that KmsKeyArns does not name", "a KMS key that is closed"},
	"closed":     {"is closed to the user"},
	"disabled":   {"KMS.DisabledException"},
	"deleted":    {"KMS.NotFoundException"},
}

// notes is what names in the log what the client has to know.
var notes = map[string]string{
	"tags": "a Deny about tags on objects", "encryption": "without the header x-amz-server-side-encryption", "ACL": "without the header x-amz-acl",
}

// sorts are causes that AWS's words tell apart: where they are told, a Reason
// speaks of no other sort.
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

// Whatever is in the way, alone or together: the Reason names the bucket and
// each cause that AWS's answers show or leave open, none that they exclude, and
// no next step but safe ones.
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
	if !strings.Contains(reason, "cannot be used: shut") {
		wrong("not named:", "the bucket")
	}
	if strings.Contains(reason, "aws:PrincipalArn") && !strings.Contains(reason, "not as Principal") {
		wrong("not said:", "how to name the user")
	}
	if unknown := unsafe(reason); unknown != "" {
		wrong("is not known to be safe:", unknown)
	}
}

// safe is every sentence that a Reason here may be made of: whoever adds a next
// step has to think about what obeying it opens, and write it down here.
var safe = strings.Split(`
1 of 1 buckets cannot be used: shut
1 of 1 buckets and prefixes cannot be used: shut/in/
: the key may not 
list it
ask for its region
read from it
write to it
abort an upload in it
AWS does not tell why
Most likely 
the bucket does not belong to account 210987654321, which BucketOwner asks for: check who owns it
another account owns the bucket: ask it to let this user in, by aws:PrincipalArn
it encrypts with a KMS key that is closed to the user: name it in KmsKeyArns, and let its own policy allow this account
it is a Requester Pays bucket: ask its owner to switch that off
the bucket's policy has a Deny about 
addresses (set SourceIps to those it lets in, or Verify: false)
VPC endpoints (set Verify: false)
a list of users (ask the bucket's owner to add this one, by aws:PrincipalArn, to that list alone)
prefixes (name the prefix in Buckets)
tags on objects (one of the first five keys there has to pass, or set Verify: false)
headers of uploads (have the client send them, and set Verify: false)
something else (meet its condition)
a control policy of an organization, the user's permissions boundary, or the policy of the provider's VPC endpoint denies it: ask those who run them why
it is allowed with the header x-amz-server-side-encryption: AES256
Either the bucket encrypts with a KMS key that is closed to the user: name it in KmsKeyArns, and let its own policy allow this account; or its policy demands the header: have the client send it, and set Verify: false
a Deny in the bucket's policy is in the way. It is about one of these: 
the bucket belongs to another account, and its policy does not let the user in; ask its owner to allow your account there, on the condition that aws:PrincipalArn is the user's
a service control policy of your organization denies it; 
a resource control policy denies it, of the organization that the bucket's account is in; 
ask those who run the organization which condition is not met (often region, network or encryption), and meet it; if only the network of the provider's function does not meet it, set Verify: false
the policy of the VPC endpoint that the provider's function goes through denies it; ask the provider's owner to allow the bucket there
the user's permissions boundary denies it. One of these parameters of the provider's stack does it: AllowedBuckets lacks the bucket, ClosedBuckets closes it, BucketAccounts or BucketOrganizationId leaves out the account that the bucket is in, or the policy that UserPermissionsBoundary names denies it. Ask the provider's owner which it is, and use another bucket if it is closed
the bucket encrypts with a KMS key that KmsKeyArns does not name; add arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
the KMS key that the bucket encrypts with is closed to the user; let the key's own policy allow this account kms:GenerateDataKey and kms:Decrypt, and see that the key still exists, in the bucket's region
S3 cannot use the KMS key that the bucket encrypts with: 
it is disabled (KMS.DisabledException); enable it, or name another one in the bucket's default encryption
there is no such key (KMS.NotFoundException); name one that exists in the bucket's default encryption
it is a Requester Pays bucket of another account, which denies requests without the header x-amz-request-payer: requester; ask its owner to switch that off, or have the client send the header and set Verify: false
S3 in region me-south-1 does not know the key (InvalidAccessKeyId); if it is an opt-in region, enable it for this account, else try again in some minutes
. The user is arn:aws:iam::123456789012:user/x
. Set UserName before a policy names the user: a new stack makes another name
. A policy names the user by aws:PrincipalArn in a condition, not as Principal: that stops matching when the user is made again`[1:], "\n")

// unsafe returns what is left of a Reason without all that is known.
func unsafe(reason string) string {
	// A sentence may stand within a longer one.
	slices.SortFunc(safe, func(a, b string) int { return len(b) - len(a) })
	for _, sentence := range safe {
		reason = strings.ReplaceAll(reason, sentence, "|")
	}
	for _, glue := range []string{"Also, the key may not ", "Also, ", "Or ", " or ", ". ", ": ", ", ", "|"} {
		reason = strings.ReplaceAll(reason, glue, "")
	}
	return reason
}
