package spec

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
)

// Limits are what the provider's owner allows stacks, and asks of them: parameters
// of the provider's stack. The zero one allows all but KMS keys of other accounts.
type Limits struct {
	AllowedBuckets []string // patterns with *; empty: any bucket
	ClosedBuckets  []string // patterns with *: buckets that no user reaches, allowed or not
	// AllowedReaders are account ids, each for all in it, and patterns of ARNs
	// with *; empty: anyone.
	AllowedReaders []string
	// SecretKMSKeys are patterns of ARNs with *: KMS keys of other accounts than the
	// secret's that may encrypt it.
	SecretKMSKeys       []string
	RequireSecretKMSKey bool           // SecretKmsKeyId has to be given
	SourceCIDRs         []netip.Prefix // where all requests have to come from; empty: anywhere
	MaxDays             int            // ExpiresAt has to be given, and at most so far ahead; 0: no limit
}

// disallow tells what the provider's owner does not allow: as a problem, or in an
// Update to the plan. label is the property, perhaps with an index; value is what
// the Spec holds. It reports whether that refuses it.
func (r *reader) disallow(label, value, format string, args ...any) (refused bool) {
	problem := Problem{label, fmt.Sprintf(format, args...)}
	if !r.rules.Update {
		r.problems = append(r.problems, problem)
		return true
	}
	property, _, _ := strings.Cut(label, "[")
	r.notAllowed = append(r.notAllowed, NotAllowed{property, value, problem.String()})
	return false
}

// limitBucket holds a place against the owner's two lists.
func (r *reader) limitBucket(item item, place access.Place) (refused bool) {
	bucket := place.Bucket()
	switch {
	case !allowed(bucket, r.rules.AllowedBuckets):
		return r.disallow(item.property, string(place), "%s is not among the buckets that this provider may give access to (its AllowedBuckets: %s); ask the owner of the provider's stack", quote(item.text), listed(r.rules.AllowedBuckets))
	case matchesAny(r.rules.ClosedBuckets, bucket):
		return r.disallow(item.property, string(place), "%s is a bucket that this provider keeps closed, because deployments may read their code from it (its ClosedBuckets: %s); put the data into a bucket of its own, and name that", quote(item.text), listed(r.rules.ClosedBuckets))
	}
	return false
}

func (r *reader) limitReader(item item, arn, account string) (refused bool) {
	if mayRead(arn, account, r.rules.AllowedReaders) {
		return false
	}
	return r.disallow(item.property, arn, "%s is not among those whom this provider may let read (its AllowedReaders: %s); ask the owner of the provider's stack", quote(item.text), listed(r.rules.AllowedReaders))
}

// limitKMSKey judges a SecretKmsKeyId that is valid, or missing. Of an alias without
// an ARN and of a key's id the account is the secret's own.
func (r *reader) limitKMSKey(key string) {
	own := cmp.Or(r.rules.Account, r.rules.Owner.Stack.Account)
	account := own
	if parts := strings.Split(key, ":"); len(parts) == 6 {
		account = parts[4]
	}
	switch {
	case key == "" && r.rules.RequireSecretKMSKey:
		r.disallow("SecretKmsKeyId", key, "is missing, and this provider's owner asks for a customer managed KMS key (RequireSecretKmsKey); write the ARN of one of account %s, and let its key policy allow the provider's role to use it", own)
	case awsManaged.MatchString(key) && r.rules.RequireSecretKMSKey:
		r.disallow("SecretKmsKeyId", key, "%s is a key that AWS manages, and this provider's owner asks for a customer managed one (RequireSecretKmsKey); write the ARN of one of account %s, and let its key policy allow the provider's role to use it", quote(key), own)
	case account == own || matchesAny(r.rules.SecretKMSKeys, key):
	case kmsAliasARN.MatchString(key):
		r.disallow("SecretKmsKeyId", key, "%s is an alias in another account than the secret, and does not say which key that is; write the key's own ARN, or a key of account %s", quote(key), own)
	default:
		r.disallow("SecretKmsKeyId", key, "%s is in another account than the secret, and not among the keys of others that this provider may encrypt secrets with (its SecretKmsKeys: %s); write a key of account %s, or ask the owner of the provider's stack", quote(key), listed(r.rules.SecretKMSKeys), own)
	}
}

// limitAddresses refuses what lies outside of the owner's addresses: a key that is
// used from there reaches nothing.
func (r *reader) limitAddresses(item item, addresses netip.Prefix) (refused bool) {
	if len(r.rules.SourceCIDRs) == 0 || slices.ContainsFunc(r.rules.SourceCIDRs, addresses.Overlaps) {
		return false
	}
	ranges := make([]string, len(r.rules.SourceCIDRs))
	for i, of := range r.rules.SourceCIDRs {
		ranges[i] = of.String()
	}
	return r.disallow(item.property, written(addresses), "%s is outside of the addresses that this provider lets keys be used from (its SourceCidrs: %s); write addresses within them, or ask the owner of the provider's stack", quote(item.text), listed(ranges))
}

// limitExpiry judges an ExpiresAt that is valid, or missing, by the event's time. Days
// are of 24 hours.
func (r *reader) limitExpiry(text string, at time.Time) {
	if r.rules.MaxDays == 0 || r.rules.Now.IsZero() {
		return
	}
	latest := r.rules.Now.UTC().AddDate(0, 0, r.rules.MaxDays).Truncate(time.Second)
	switch {
	case at.IsZero():
		r.disallow("ExpiresAt", "", "is missing, and this provider's owner asks for one within %d days (MaxDays); write the moment at which access ends, %s at the latest", r.rules.MaxDays, latest.Format(time.RFC3339))
	case at.After(latest):
		r.disallow("ExpiresAt", at.Format(time.RFC3339), "%s is more than %d days ahead, and this provider's owner allows no more (MaxDays); write %s or earlier, and a later time in a later update", quote(text), r.rules.MaxDays, latest.Format(time.RFC3339))
	}
}

// listed shows a list of the owner's.
func listed(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return short(strings.Join(list, ", "))
}
