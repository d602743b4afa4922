package name

import (
	"strings"
	"time"
)

// What the rotator remembers of a version, as staging labels: the value and its
// labels come and go together. A label is on one version at a time, so each holds
// what makes it unique.
const (
	provenLabel      = TagPrefix + "proven:"
	sinceLabel       = TagPrefix + "since:"
	announcedLabel   = TagPrefix + "announced:"
	deactivatedLabel = TagPrefix + "deactivated:"
	reactivatedLabel = TagPrefix + "reactivated:"
	labelTime        = "20060102T150405Z"
)

// ProvenLabel says that the version's key was proven: proof is keyring.Proof's digest of
// the key and its scope.
func ProvenLabel(proof string) string { return provenLabel + proof }

// SinceLabel says that AWSCURRENT moved to the version at that time. A version that it
// moved to several times has several.
func SinceLabel(t time.Time) string { return sinceLabel + t.UTC().Format(labelTime) }

// AnnouncedLabel says that the rotation to the version's key was announced.
func AnnouncedLabel(keyID string) string { return announcedLabel + keyID }

// DeactivatedLabel says that the sweep deactivated the version's key at that time.
func DeactivatedLabel(keyID string, t time.Time) string {
	return deactivatedLabel + keyID + ":" + t.UTC().Format(labelTime)
}

// ReactivatedLabel says that the sweep found the key active again, at that time, which
// it had deactivated: somebody needs it, and its grace begins anew.
func ReactivatedLabel(keyID string, t time.Time) string {
	return reactivatedLabel + keyID + ":" + t.UTC().Format(labelTime)
}

// Since returns the latest time of the SinceLabels among these; zero: there is none.
func Since(labels []string) time.Time { return latestOf(labels, sinceLabel) }

// DeactivatedAt returns when the sweep deactivated the key, by these labels; zero: it
// has not.
func DeactivatedAt(labels []string, keyID string) time.Time {
	return latestOf(labels, deactivatedLabel+keyID+":")
}

// ReactivatedAt returns when the sweep found the key active again, by these labels;
// zero: it has not.
func ReactivatedAt(labels []string, keyID string) time.Time {
	return latestOf(labels, reactivatedLabel+keyID+":")
}

// latestOf returns the latest time that stands after the prefix.
func latestOf(labels []string, prefix string) (latest time.Time) {
	for _, label := range labels {
		if text, ok := strings.CutPrefix(label, prefix); ok {
			if t, err := time.Parse(labelTime, text); err == nil && t.After(latest) {
				latest = t
			}
		}
	}
	return latest
}

// IsOwnLabel reports whether the provider has put the staging label on a version.
func IsOwnLabel(label string) bool { return strings.HasPrefix(label, TagPrefix) }
