package access

import (
	"slices"
	"strings"
	"time"
)

// Scope is the access that a credential gives: the roles of the guide in these places, and
// what narrows them.
type Scope struct {
	Source      bool    // read: list, GetObject, GetObjectVersion
	Destination bool    // write: list, PutObject, PutObjectAcl, multipart
	Places      []Place // sorted, none covers another

	KMSKeys   []string  // ARNs of the KMS keys of the places' objects, sorted
	Owner     string    // only buckets of this account; empty: any
	SourceIPs []string  // only from these addresses and CIDRs, sorted; empty: from any
	ExpiresAt time.Time // no access from then on, UTC, whole seconds; zero: no end
}

// Expired reports whether the scope gives no access any more.
func (s Scope) Expired(now time.Time) bool {
	return !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt)
}

// Subject is what a message about a failed proof must know of the key's resource.
type Subject struct {
	// MadeUp: the stack does not set UserName. If such a stack is deleted and created again,
	// its user has another name.
	MadeUp bool
}

// Place is a part of S3 that a credential reaches: a whole bucket, or the keys of a bucket
// that begin with a prefix, written "bucket" or "bucket/prefix". A prefix has no wildcards.
type Place string

// Bucket returns the bucket's name.
func (p Place) Bucket() string {
	bucket, _, _ := strings.Cut(string(p), "/")
	return bucket
}

// Prefix returns the prefix; empty: the whole bucket.
func (p Place) Prefix() string {
	_, prefix, _ := strings.Cut(string(p), "/")
	return prefix
}

// Covers reports whether each key of q is one of p.
func (p Place) Covers(q Place) bool {
	return p.Bucket() == q.Bucket() && strings.HasPrefix(q.Prefix(), p.Prefix())
}

// Fold sorts the places, and drops those that another place covers.
func Fold(places []Place) []Place {
	var folded []Place
	// A place comes right after those that cover it: "b", "b/in", "b/in/x".
	for _, p := range slices.SortedFunc(slices.Values(places), compare) {
		if len(folded) == 0 || !folded[len(folded)-1].Covers(p) {
			folded = append(folded, p)
		}
	}
	return folded
}

// compare sorts by bucket first: "b/in" before "b-other".
func compare(p, q Place) int {
	if c := strings.Compare(p.Bucket(), q.Bucket()); c != 0 {
		return c
	}
	return strings.Compare(p.Prefix(), q.Prefix())
}
