package keyring_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/keyring/keyringtest"
	"cloney-s3-credentials/internal/name"
)

// holding is one user's keys, and the secret s that records them.
func holding(ofUser, ofSecret string, changes ...func(*keyring.Holding)) keyring.Holding {
	h := keyring.Holding{
		User: "u", Keys: keys(ofUser), LastUse: map[string]access.LastUse{}, Now: now,
		Secrets: []access.SecretInfo{{Name: "s", Tags: map[string]string{}, Versions: versions(ofSecret)}},
	}
	for _, change := range changes {
		change(&h)
	}
	return h
}

const hour = time.Hour

// usedAgo says how long ago a key was used.
func usedAgo(key string, ago time.Duration) func(*keyring.Holding) {
	return func(h *keyring.Holding) {
		h.LastUse[key] = access.LastUse{Time: now.Add(-ago), Service: "s3", Region: "eu-west-1"}
	}
}

// labelled puts a label on the version that holds the key.
func labelled(key, label string) func(*keyring.Holding) {
	return func(h *keyring.Holding) {
		for _, secret := range h.Secrets {
			for i, v := range secret.Versions {
				if v.ID == "v"+key {
					secret.Versions[i].Labels = append(v.Labels, label)
				}
			}
		}
	}
}

// offAgo and onAgo say how long ago the sweep deactivated a key, and found it active
// again.
func offAgo(key string, ago time.Duration) func(*keyring.Holding) {
	return labelled(key, name.DeactivatedLabel(key, now.Add(-ago)))
}
func onAgo(key string, ago time.Duration) func(*keyring.Holding) {
	return labelled(key, name.ReactivatedLabel(key, now.Add(-ago)))
}

// movedAgo says how long ago AWSCURRENT moved to the key.
func movedAgo(key string, ago time.Duration) func(*keyring.Holding) {
	return labelled(key, name.SinceLabel(now.Add(-ago)))
}

// graceOf sets RotationGraceDays.
func graceOf(days int) func(*keyring.Holding) {
	return func(h *keyring.Holding) { h.Secrets[0].Tags[name.TagGrace] = strconv.Itoa(days) }
}

// wentBack says how long ago AWSCURRENT moved back to an older key.
func wentBack(ago time.Duration) func(*keyring.Holding) {
	return func(h *keyring.Holding) { h.Secrets[0].Tags[name.TagPromoted] = now.Add(-ago).Format(time.RFC3339) }
}

// former adds a secret that the user had before.
func former(versionsOf string, tags ...string) func(*keyring.Holding) {
	return func(h *keyring.Holding) { h.Secrets = append(h.Secrets, another("former", versionsOf, tags)) }
}

// passed adds a secret of the same resource that belongs to another user now.
func passed(versionsOf string) func(*keyring.Holding) {
	return func(h *keyring.Holding) { h.Others = append(h.Others, another("passed", versionsOf, nil)) }
}

func another(called, versionsOf string, tags []string) access.SecretInfo {
	secret := access.SecretInfo{Name: called, Tags: map[string]string{}, Versions: versions(versionsOf)}
	for _, tag := range tags {
		secret.Tags[tag] = "true"
	}
	return secret
}

func deeds(h keyring.Holding) string {
	var all []string
	for _, due := range h.Retire() {
		if due.Version != "v"+due.KeyID {
			panic("the version is not the key's")
		}
		all = append(all, string(due.Deed)+" "+due.KeyID)
	}
	return strings.Join(all, ", ")
}

func TestWhatIsRetired(t *testing.T) {
	const replaced, late = "1:A=previous 2:B=current", keyring.RecordsLate
	week := 7 * 24 * hour
	for what, c := range map[string]struct {
		h    keyring.Holding
		want string
	}{
		"nothing but the current key": {holding("A-90", "1:A=current"), ""},
		"no key":                      {holding("", "1:A=current"), ""},
		"no secret":                   {holding("A-90", "", func(h *keyring.Holding) { h.Secrets = nil }), ""},

		// IAM notes a use up to four hours late.
		"replaced, and never used":                       {holding("A-90 B-30", replaced), "deactivate A"},
		"replaced for the grace, as far as IAM noted":    {holding("A-90 B-8", replaced, movedAgo("B", week+late)), "deactivate A"},
		"replaced for the grace, and IAM may note a use": {holding("A-90 B-8", replaced, movedAgo("B", week+late-1*time.Second)), ""},
		"unused for the grace, as far as IAM noted":      {holding("A-90 B-30", replaced, usedAgo("A", week+late)), "deactivate A"},
		"unused for the grace, and IAM may note another": {holding("A-90 B-30", replaced, usedAgo("A", week+late-1*time.Second)), ""},
		"in use": {holding("A-90 B-60", replaced, usedAgo("A", hour)), ""},
		"its key is old, and became current lately":    {holding("A-90 B-30", replaced, movedAgo("B", 24*hour)), ""},
		"AWSCURRENT went back to it lately":            {holding("A-90 B-30", "1:A=current 2:B=previous", wentBack(24*hour)), ""},
		"AWSCURRENT went back to it long ago":          {holding("A-90 B-30", "1:A=current 2:B=previous", wentBack(9*24*hour)), "deactivate B"},
		"neither AWSCURRENT nor AWSPREVIOUS":           {holding("A-90 B-30", "1:A 2:B=current"), "deactivate A"},
		"a longer grace":                               {holding("A-90 B-30", replaced, graceOf(30)), ""},
		"a shorter grace":                              {holding("A-90 B-3", replaced, graceOf(1)), "deactivate A"},
		"a grace that makes no sense is the usual one": {holding("A-90 B-3", replaced, graceOf(0)), ""},

		// A key that a rotation holds, and one that an update stored and never gave out.
		"a rotation's":                        {holding("A-90 B-80", "1:A=current 1:B=pending"), ""},
		"a rotation has not taken off its":    {holding("A-90 B-30", "1:A=previous,pending 1:B=current"), ""},
		"of an update that failed":            {holding("A-90 B-30", "1:A=current 2:B=latest"), "deactivate B"},
		"of an update that failed lately":     {holding("A-90 B-7", "1:A=current 2:B=latest"), ""},
		"of an update that failed, and used":  {holding("A-90 B-30", "1:A=current 2:B=latest", usedAgo("B", hour)), ""},
		"made by hand is reported, not more":  {holding("A-90 X-90", "1:A=current"), ""},
		"made by hand, inactive, is not more": {holding("A-90 X-90-off", "1:A=current"), ""},

		// Deactivated: by the sweep, or by hand.
		"as long again":                       {holding("A-90-off B-30", replaced, offAgo("A", week)), "delete A"},
		"the sweep came a little sooner":      {holding("A-90-off B-30", replaced, offAgo("A", week-36*hour)), "delete A"},
		"not as long again":                   {holding("A-90-off B-30", replaced, offAgo("A", week-36*hour-time.Second)), ""},
		"not twice the grace":                 {holding("A-90-off B-13", replaced, offAgo("A", week)), ""},
		"half of a short grace":               {holding("A-90-off B-30", replaced, graceOf(1), offAgo("A", 12*hour)), "delete A"},
		"not half of a short grace":           {holding("A-90-off B-30", replaced, graceOf(1), offAgo("A", 12*hour-time.Second)), ""},
		"by hand, once it was replaced":       {holding("A-90-off B-13", replaced), ""},
		"by hand, and twice the grace":        {holding("A-90-off B-14", replaced), "delete A"},
		"by hand, used when it was replaced":  {holding("A-90-off B-30", replaced, usedAgo("A", 13*24*hour)), ""},
		"its key is gone, and not forgotten":  {holding("B-30", replaced, offAgo("A", week)), "forget A"},
		"gone by hand is left to the events":  {holding("B-30", replaced), ""},
		"somebody activated it again":         {holding("A-90 B-30", replaced, offAgo("A", week)), "spare A"},
		"that was noted":                      {holding("A-90 B-30", replaced, offAgo("A", 2*week), onAgo("A", 24*hour)), ""},
		"noted, and unused for the grace":     {holding("A-90 B-30", replaced, offAgo("A", 2*week), onAgo("A", week+late)), "deactivate A"},
		"deactivated again, activated again":  {holding("A-90 B-60", replaced, offAgo("A", 3*week), onAgo("A", 2*week), offAgo("A", week)), "spare A"},
		"deactivated by hand after it noted":  {holding("A-90-off B-60", replaced, offAgo("A", 3*week), onAgo("A", week+24*hour)), ""},
		"what an earlier key left is no note": {holding("A-90-off B-30", replaced, offAgo("X", 0)), "delete A"},

		// A leaked key is deactivated by hand. The one before it may be all that is left.
		"the current key is inactive":              {holding("A-90 B-30-off", replaced), ""},
		"the current key and a former are":         {holding("A-90-off B-30-off", replaced, offAgo("A", 2*week)), ""},
		"the current key is gone":                  {holding("A-90", replaced, wentBack(30*24*hour)), ""},
		"a new one has replaced it long ago":       {holding("B-60-off C-30", "2:B=previous 3:C=current"), "delete B"},
		"AWSCURRENT is someone else's value":       {holding("A-90", "1:A=previous x=current"), ""},
		"AWSCURRENT's of a user that it passed to": {holding("A-90", "", func(h *keyring.Holding) { h.Secrets = nil }, passed("1:A=previous 2:B=current")), ""},

		// More than one secret.
		"moved along, and replaced there":        {holding("A-90 B-30", replaced, former("1:A=previous")), "deactivate A, deactivate A"},
		"the longest grace of its secrets":       {holding("A-90 B-20", replaced, graceOf(30), former("1:A=previous")), ""},
		"a former secret gives it out":           {holding("A-90 B-30", "2:B=current", former("1:A=current")), ""},
		"one that nobody can read gives nothing": {holding("A-90 B-30", "2:B=current", former("1:A=current", name.TagLocked)), "deactivate A"},
		"the former one comes first":             {holding("A-90 B-30", "1:A=current", former("2:B=current 1:A=previous")), ""},
		"a rotation of the former one":           {holding("A-90 B-30", "2:B=current", former("1:A=pending 2:B=current")), ""},
		"the secret has passed to another user":  {holding("A-90 B-30", replaced, passed("1:A=current")), ""},
	} {
		if got := deeds(c.h); got != c.want {
			t.Errorf("%s: %q, not %q", what, got, c.want)
		}
	}
}

// Whatever is retired, AWSCURRENT's key and a rotation's stay, and so does what was
// used within the grace.
func TestNoKeyInUseIsRetired(t *testing.T) {
	states := []string{"", "=current", "=previous", "=pending", "=latest", "=current,latest", "=previous,latest", "=current,pending"}
	for _, ages := range []string{"A-90 B-30", "A-30 B-90", "A-90-off B-30", "A-90 B-3", "A-90-off B-3-off"} {
		for _, a := range states {
			for _, b := range states {
				for _, second := range []string{"", "1:A=current", "2:B=current", "1:A=pending"} {
					for _, use := range []time.Duration{hour, 6 * day, 8 * day, 20 * day} {
						h := holding(ages, "1:A"+a+" 2:B"+b, usedAgo("A", use), usedAgo("B", use), former(second))
						judgeRetired(t, ages+", A"+a+", B"+b+", "+second, h)
					}
				}
			}
		}
	}
}

func judgeRetired(t *testing.T, what string, h keyring.Holding) {
	t.Helper()
	for _, due := range h.Retire() {
		for _, secret := range h.Secrets {
			for _, label := range []string{access.Current, access.Pending} {
				if v, ok := secret.Labelled(label); ok && keyring.KeyID(v) == due.KeyID {
					t.Errorf("%s: to %s %s, which has %s", what, due.Deed, due.KeyID, label)
				}
			}
		}
		if due.Deed == keyring.Deactivate && now.Sub(h.LastUse[due.KeyID].Time) < h.Grace() {
			t.Errorf("%s: %s is deactivated, and was used within the grace", what, due.KeyID)
		}
	}
}

func TestWhatIsSaidOfKeys(t *testing.T) {
	const replaced = "1:A=previous 2:B=current"
	for what, c := range map[string]struct {
		h                   keyring.Holding
		used, retired, lost string
	}{
		"replaced, and used within the grace":       {holding("A-90 B-30", replaced, usedAgo("A", hour)), "A", "", ""},
		"replaced lately, and used":                 {holding("A-90 B-6", replaced, usedAgo("A", hour)), "", "", ""},
		"replaced, and not used":                    {holding("A-90 B-30", replaced, usedAgo("A", 7*day)), "", "", ""},
		"the current one is meant to be used":       {holding("A-90 B-30", replaced, usedAgo("B", hour)), "", "", ""},
		"never given out, and used to prove it":     {holding("A-90 B-1", "1:A=current 2:B=latest", usedAgo("B", hour), movedAgo("A", 60*day)), "", "", ""},
		"deactivated by the sweep":                  {holding("A-90-off B-30", replaced, offAgo("A", hour)), "", "A", ""},
		"deactivated by hand":                       {holding("A-90-off B-30", replaced), "", "", ""},
		"noted, and not carried out":                {holding("A-90 B-30", replaced, offAgo("A", hour)), "", "", ""},
		"made by hand":                              {holding("A-90 X-1", "1:A=current"), "", "", "X"},
		"there is no secret":                        {holding("A-90 B-1-off", ""), "", "", "A B"},
		"recorded by a former secret":               {holding("A-90 B-30", "2:B=current", former("1:A=current")), "", "", ""},
		"recorded by a secret that went to another": {holding("A-90", "", passed("1:A=previous 2:B=current")), "", "", ""},
	} {
		if u, r, x := ids(c.h.StillInUse()), ids(c.h.Retired()), ids(c.h.LostKeys()); u != c.used || r != c.retired || x != c.lost {
			t.Errorf("%s: in use %q, retired %q, lost %q", what, u, r, x)
		}
	}
}

// The secret whose current key is younger is the user's; one that nobody can read is
// not, if there is another.
func TestThePresentSecret(t *testing.T) {
	for what, c := range map[string]struct {
		h           keyring.Holding
		secret, key string
	}{
		"the only one":                   {holding("A-90", "1:A=current"), "s", "A"},
		"none":                           {holding("A-90", "", func(h *keyring.Holding) { h.Secrets = nil }), "", ""},
		"its key is gone":                {holding("", "1:A=current"), "s", ""},
		"that of the younger key":        {holding("A-90 B-30", "1:A=current", former("2:B=current")), "former", "B"},
		"not the one whose key is gone":  {holding("A-90", "1:X=current", former("1:A=current")), "former", "A"},
		"not the one nobody can read":    {holding("A-90 B-30", "1:A=current", former("2:B=current", name.TagLocked)), "s", "A"},
		"both give out the same: either": {holding("A-90", "1:A=current", former("1:A=current")), "s", "A"},
	} {
		if secret, key, there := c.h.Current(); secret.Name != c.secret || key.ID != c.key || there != (c.key != "") {
			t.Errorf("%s: %s, %s", what, secret.Name, key.ID)
		}
	}
}

// What is forgotten loses all labels of ours, that of its key last, and none of others.
func TestTheLabelsToForget(t *testing.T) {
	h := holding("A-90 B-30", "1:A=previous,latest 2:B=current", offAgo("A", day), movedAgo("A", 60*day), labelled("A", "mine"))
	got := h.OwnLabels(keyring.Retirement{KeyID: "A", Secret: "s", Version: "vA"})
	want := []string{name.LabelLatest, name.DeactivatedLabel("A", keyringtest.Ago(1)), name.SinceLabel(keyringtest.Ago(60)), name.KeyLabel(1, "A")}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
