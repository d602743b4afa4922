package policy

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/lazyregexp"
	"cloney-s3-credentials/internal/name"
)

// Read is the inverse of Documents: it returns the scope for which the documents of a user
// were written, in any order. ok is false if Documents does not write these documents:
// somebody has changed one by hand, they have different scopes, or two of them hold the same
// place. Read cannot notice that a whole document is missing.
//
// It reads the documents' claims, writes documents from them, and compares.
func Read(documents []string) (scope access.Scope, ok bool) {
	if len(documents) == 0 || len(documents) > name.MaxPolicyNumber {
		return access.Scope{}, false
	}
	scope, partition := claimed(documents[0])
	for _, text := range documents {
		places := Places(text)
		written := write(scope, places, partition)
		if len(places) == 0 || utf8.RuneCountInString(written) > MaxSize || !Same(written, text) {
			return access.Scope{}, false
		}
		scope.Places = append(scope.Places, places...)
	}
	held := len(scope.Places)
	scope.Places = access.Fold(scope.Places)
	if len(scope.Places) < held || !literal(scope, partition) {
		return access.Scope{}, false
	}
	return scope, true
}

// claimed returns what a document says of its scope, without the places.
func claimed(text string) (scope access.Scope, partition string) {
	var doc document
	if json.Unmarshal([]byte(text), &doc) != nil {
		return access.Scope{}, ""
	}
	for _, s := range doc.Statement {
		scope.Source = scope.Source || strings.HasPrefix(s.Sid, source.sid)
		scope.Destination = scope.Destination || strings.HasPrefix(s.Sid, destination.sid)
		switch {
		case strings.HasSuffix(s.Sid, objectsSid):
			narrow(&scope, s.Condition)
			partition = partitionOf(s.Resource)
		case strings.HasPrefix(s.Sid, source.sid+keysSid), strings.HasPrefix(s.Sid, destination.sid+keysSid):
			scope.KMSKeys = append(scope.KMSKeys, s.Resource...)
		}
	}
	slices.Sort(scope.KMSKeys)
	scope.KMSKeys = slices.Compact(scope.KMSKeys) // each role names them
	return scope, partition
}

func narrow(scope *access.Scope, when conditions) {
	if owners := when["StringEquals"]["aws:ResourceAccount"]; len(owners) > 0 {
		scope.Owner = owners[0]
	}
	scope.SourceIPs = when["IpAddress"]["aws:SourceIp"]
	if ends := when["DateLessThan"]["aws:CurrentTime"]; len(ends) > 0 {
		// A value that is not a time leaves the zero time, which would not be written.
		scope.ExpiresAt, _ = time.Parse(time.RFC3339, ends[0])
	}
}

func partitionOf(arns []string) string {
	if len(arns) == 0 {
		return ""
	}
	_, rest, _ := strings.Cut(arns[0], ":")
	partition, _, _ := strings.Cut(rest, ":")
	return partition
}

var (
	bucketName = lazyregexp.New(`^[A-Za-z0-9._-]+$`)
	account    = lazyregexp.New(`^[0-9]{12}$`)
	kmsKey     = lazyregexp.New(`^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$`)
)

// literal reports whether none of the values has a wildcard. Documents escapes prefixes. It
// writes everything else unchanged, because no stack can declare a wildcard there.
func literal(scope access.Scope, partition string) bool {
	not := func(form *lazyregexp.Regexp) func(string) bool {
		return func(value string) bool { return !form.MatchString(value) }
	}
	return name.Suffix(partition) != "" &&
		(scope.Owner == "" || account.MatchString(scope.Owner)) &&
		!slices.ContainsFunc(scope.KMSKeys, not(kmsKey)) &&
		ascending(scope.SourceIPs) && !slices.ContainsFunc(scope.SourceIPs, notAddress) &&
		!slices.ContainsFunc(scope.Places, func(p access.Place) bool { return not(bucketName)(p.Bucket()) })
}

// ascending reports whether the list is sorted and has no duplicates.
func ascending(list []string) bool {
	return slices.IsSorted(list) && len(slices.Compact(slices.Clone(list))) == len(list)
}

// notAddress reports whether the text is not an address or range in the form that a scope
// holds.
func notAddress(text string) bool {
	if address, err := netip.ParseAddr(text); err == nil {
		return address.String() != text || address.Zone() != ""
	}
	prefix, err := netip.ParsePrefix(text)
	return err != nil || prefix.IsSingleIP() || prefix.Masked().String() != text
}

// Claimed returns what a document of ours says of its scope, with its places; false if the
// document is not ours. Like Places it accepts a document that somebody has changed by hand.
func Claimed(text string) (scope access.Scope, ok bool) {
	scope, _ = claimed(text)
	scope.Places = Places(text)
	return scope, len(scope.Places) > 0
}

// Places returns the places to which a document of ours gives access, sorted; nothing if the
// document is not ours. Unlike Read it accepts a document that somebody has changed by hand:
// its access must stay while the policies are replaced, and a plan must not fail because of
// it.
func Places(text string) []access.Place {
	var doc document
	if json.Unmarshal([]byte(text), &doc) != nil {
		return nil
	}
	var places []access.Place
	for _, s := range doc.Statement {
		if s.Sid != source.sid+objectsSid && s.Sid != destination.sid+objectsSid {
			continue
		}
		for _, arn := range s.Resource {
			// arn:partition:s3:::bucket/prefix*
			if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && strings.HasSuffix(arn, "*") {
				places = append(places, placeOf(strings.TrimSuffix(parts[5], "*")))
			}
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// placeOf reads an object ARN up to its last *.
func placeOf(resource string) access.Place {
	place := access.Place(unescape(resource))
	if place.Prefix() == "" {
		return access.Place(place.Bucket())
	}
	return place
}
