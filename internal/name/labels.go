package name

import (
	"strings"
	"time"
)

// These staging labels hold what the rotator remembers of a version: a version and its
// labels are created and deleted together. A label is on one version at a time, so each
// contains something unique.
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

// SinceLabel says that AWSCURRENT moved to the version at that time. A version to which it
// moved several times has several of these labels.
func SinceLabel(t time.Time) string { return sinceLabel + t.UTC().Format(labelTime) }

// AnnouncedLabel says that the rotation to the version's key was announced.
func AnnouncedLabel(keyID string) string { return announcedLabel + keyID }

// DeactivatedLabel says that the sweep deactivated the version's key at that time.
func DeactivatedLabel(keyID string, t time.Time) string {
	return deactivatedLabel + keyID + ":" + t.UTC().Format(labelTime)
}

// ReactivatedLabel says that the sweep found a key active again that it had deactivated, and
// when: somebody needs the key, and its grace starts again.
func ReactivatedLabel(keyID string, t time.Time) string {
	return reactivatedLabel + keyID + ":" + t.UTC().Format(labelTime)
}

// Since returns the latest time of the SinceLabels; zero: there are none.
func Since(labels []string) time.Time { return latestOf(labels, sinceLabel) }

// DeactivatedAt returns when the sweep deactivated the key, by these labels; zero: never.
func DeactivatedAt(labels []string, keyID string) time.Time {
	return latestOf(labels, deactivatedLabel+keyID+":")
}

// ReactivatedAt returns when the sweep found the key active again, by these labels; zero:
// never.
func ReactivatedAt(labels []string, keyID string) time.Time {
	return latestOf(labels, reactivatedLabel+keyID+":")
}

// latestOf returns the latest time after the prefix.
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

// IsOwnLabel reports whether the provider has set the staging label.
func IsOwnLabel(label string) bool { return strings.HasPrefix(label, TagPrefix) }
