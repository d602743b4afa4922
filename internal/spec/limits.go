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

// Limits are what the provider's owner allows stacks and requires of them: parameters
// of the provider's stack. The zero value allows everything except KMS keys of other
// accounts.
type Limits struct {
	AllowedBuckets []string // patterns with *; empty: any bucket
	ClosedBuckets  []string // patterns with *: buckets that no user reaches, even if they are allowed
	// AllowedReaders are account ids, each for everyone in the account, and patterns
	// of ARNs with *; empty: anyone.
	AllowedReaders []string
	// SecretKMSKeys are patterns of ARNs with *: KMS keys in other accounts that may
	// encrypt the secret.
	SecretKMSKeys       []string
	RequireSecretKMSKey bool           // SecretKmsKeyId has to be given
	SourceCIDRs         []netip.Prefix // all requests have to come from these; empty: anywhere
	MaxDays             int            // ExpiresAt has to be given, and at most so far ahead; 0: no limit
}

// disallow reports what the provider's owner does not allow: as a problem, or for an
// Update in Spec.NotAllowed. label is the property, perhaps with an index; value is what
// the Spec holds. It returns whether the value is refused.
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

// limitBucket checks a place by the owner's two lists of buckets.
func (r *reader) limitBucket(item item, place access.Place) (refused bool) {
	bucket := place.Bucket()
	switch {
	case !allowed(bucket, r.rules.AllowedBuckets):
		return r.disallow(item.property, string(place), "%s is not in AllowedBuckets of the provider's stack (%s); ask the owner of that stack to add the bucket", quote(item.text), listed(r.rules.AllowedBuckets))
	case matchesAny(r.rules.ClosedBuckets, bucket):
		return r.disallow(item.property, string(place), "%s is in ClosedBuckets of the provider's stack (%s), because deployments may read their code from such a bucket; put the data into another bucket, and name that one", quote(item.text), listed(r.rules.ClosedBuckets))
	}
	return false
}

func (r *reader) limitReader(item item, arn, account string) (refused bool) {
	if mayRead(arn, account, r.rules.AllowedReaders) {
		return false
	}
	return r.disallow(item.property, arn, "%s is not in AllowedReaders of the provider's stack (%s); ask the owner of that stack to add the reader", quote(item.text), listed(r.rules.AllowedReaders))
}

// limitKMSKey checks a SecretKmsKeyId that is valid, or missing. An alias without an ARN
// and a key's id belong to the account of the secret.
func (r *reader) limitKMSKey(key string) {
	own := cmp.Or(r.rules.Account, r.rules.Owner.Stack.Account)
	account := own
	if parts := strings.Split(key, ":"); len(parts) == 6 {
		account = parts[4]
	}
	switch {
	case key == "" && r.rules.RequireSecretKMSKey:
		r.disallow("SecretKmsKeyId", key, "is missing, and the provider's stack requires a customer managed KMS key (RequireSecretKmsKey); write the ARN of one in account %s, and let its key policy allow the provider's role to use it", own)
	case awsManaged.MatchString(key) && r.rules.RequireSecretKMSKey:
		r.disallow("SecretKmsKeyId", key, "%s is a key that AWS manages, and the provider's stack requires a customer managed one (RequireSecretKmsKey); write the ARN of one in account %s, and let its key policy allow the provider's role to use it", quote(key), own)
	case account == own || matchesAny(r.rules.SecretKMSKeys, key):
	case kmsAliasARN.MatchString(key):
		r.disallow("SecretKmsKeyId", key, "%s is an alias in another account than the secret, and does not say which key that is; write the ARN of the key, or a key in account %s", quote(key), own)
	default:
		r.disallow("SecretKmsKeyId", key, "%s is in another account than the secret, and not in SecretKmsKeys of the provider's stack (%s); write a key in account %s, or ask the owner of that stack to add the key", quote(key), listed(r.rules.SecretKMSKeys), own)
	}
}

// limitAddresses refuses addresses outside the owner's: a key that is used from there
// reaches nothing.
func (r *reader) limitAddresses(item item, addresses netip.Prefix) (refused bool) {
	if len(r.rules.SourceCIDRs) == 0 || slices.ContainsFunc(r.rules.SourceCIDRs, addresses.Overlaps) {
		return false
	}
	ranges := make([]string, len(r.rules.SourceCIDRs))
	for i, of := range r.rules.SourceCIDRs {
		ranges[i] = of.String()
	}
	return r.disallow(item.property, written(addresses), "%s is outside SourceCidrs of the provider's stack (%s); write addresses within them, or ask the owner of that stack", quote(item.text), listed(ranges))
}

// limitExpiry checks an ExpiresAt that is valid, or missing, by the event's time. A day
// has 24 hours.
func (r *reader) limitExpiry(text string, at time.Time) {
	if r.rules.MaxDays == 0 || r.rules.Now.IsZero() {
		return
	}
	latest := r.rules.Now.UTC().AddDate(0, 0, r.rules.MaxDays).Truncate(time.Second)
	switch {
	case at.IsZero():
		r.disallow("ExpiresAt", "", "is missing, and the provider's stack requires one within %d days (MaxDays); write the time at which access ends, %s at the latest", r.rules.MaxDays, latest.Format(time.RFC3339))
	case at.After(latest):
		r.disallow("ExpiresAt", at.Format(time.RFC3339), "%s is more than %d days ahead, and the provider's stack allows no more (MaxDays); write %s or earlier, and a later time in a later update", quote(text), r.rules.MaxDays, latest.Format(time.RFC3339))
	}
}

// listed shows one of the owner's lists.
func listed(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return short(strings.Join(list, ", "))
}
