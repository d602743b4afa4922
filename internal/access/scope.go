package access

import (
	"slices"
	"strings"
	"time"
)

// Scope is what a credential is for: the roles of the guide in these places,
// and what narrows them.
type Scope struct {
	Source      bool    // read: list, GetObject, GetObjectVersion
	Destination bool    // write: list, PutObject, PutObjectAcl, multipart
	Places      []Place // sorted, none covers another

	KMSKeys   []string  // ARNs of the KMS keys of the places' objects, sorted
	Owner     string    // only buckets of this account; empty: any
	SourceIPs []string  // only from these addresses and CIDRs, sorted; empty: any
	ExpiresAt time.Time // no access from then on, UTC, whole seconds; zero: never
}

// Expired reports whether the scope gives no access any more.
func (s Scope) Expired(now time.Time) bool {
	return !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt)
}

// Subject is whose key is proven, as far as the next step of whoever reads of a
// failure depends on it.
type Subject struct {
	// MadeUp: the stack sets no UserName. A stack that is deleted and created
	// again then makes a user of another name.
	MadeUp bool
}

// Place is where in S3 a credential reaches: a whole bucket, or the keys of a
// bucket that begin with a prefix, written "bucket" or "bucket/prefix". The
// prefix is taken literally.
type Place string

// Bucket returns the name of the bucket.
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

// Fold sorts the places and leaves out those that another one covers.
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
