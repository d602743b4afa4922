// Package keyringtest writes keys and the versions of a secret in few words, for
// the tables of package keyring and of those who ask it.
package keyringtest

import (
	"strconv"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Day is what ages are counted in, up to Now.
const Day = 24 * time.Hour

// Now is when the tables play.
var Now = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// Ago is that many days before Now.
func Ago(days int) time.Time { return Now.Add(-time.Duration(days) * Day) }

// Keys reads "A-90 B-30-off": A was made 90 days ago, B 30 and was deactivated.
func Keys(text string) (all []access.Key) {
	for _, word := range strings.Fields(text) {
		parts := strings.Split(word, "-")
		days, err := strconv.Atoi(parts[1])
		if err != nil {
			panic(err)
		}
		all = append(all, access.Key{ID: parts[0], Active: len(parts) == 2, Created: Ago(days)})
	}
	return all
}

var labels = map[string]string{"current": access.Current, "previous": access.Previous, "pending": access.Pending, "latest": name.LabelLatest}

// Versions reads "1:A=previous 2:B=current,latest x=pending": the version vA
// holds key A, issued for Serial 1; someone else has stored vx.
func Versions(text string) (all []access.Version) {
	for _, word := range strings.Fields(text) {
		issued, labelled, _ := strings.Cut(word, "=")
		v := access.Version{ID: "v" + issued}
		if serial, key, ours := strings.Cut(issued, ":"); ours {
			number, err := strconv.Atoi(serial)
			if err != nil {
				panic(err)
			}
			v = access.Version{ID: "v" + key, Labels: []string{name.KeyLabel(number, key)}}
		}
		for _, label := range strings.FieldsFunc(labelled, func(r rune) bool { return r == ',' }) {
			v.Labels = append(v.Labels, labels[label])
		}
		all = append(all, v)
	}
	return all
}
