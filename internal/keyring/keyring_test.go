package keyring_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/keyring/keyringtest"
	"cloney-s3-credentials/internal/name"
)

const day = keyringtest.Day

var (
	now            = keyringtest.Now
	keys, versions = keyringtest.Keys, keyringtest.Versions
)

// ring returns a Ring whose AWSCURRENT moved back to an older version 30 days ago.
func ring(ofUser, ofSecret string, changes ...func(*keyring.Ring)) keyring.Ring {
	r := keyring.Ring{
		User: "u", Keys: keys(ofUser), Versions: versions(ofSecret), LastUse: map[string]access.LastUse{},
		Replaced: keyringtest.Ago(30), Grace: 7 * day, Now: now,
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

// used says how many days ago a key was used, others that another user has keys,
// and replaced when AWSCURRENT went back; never: that is not known.
func used(key string, days int) func(*keyring.Ring) {
	return func(r *keyring.Ring) {
		r.LastUse[key] = access.LastUse{Time: keyringtest.Ago(days), Service: "s3", Region: "eu-west-1"}
	}
}
func others(text string) func(*keyring.Ring) { return func(r *keyring.Ring) { r.Others = keys(text) } }
func replaced(days int) func(*keyring.Ring) {
	return func(r *keyring.Ring) { r.Replaced = keyringtest.Ago(days) }
}
func never(r *keyring.Ring) { r.Replaced = time.Time{} }

func ids(keys []access.Key) string {
	var all []string
	for _, key := range keys {
		all = append(all, key.ID)
	}
	return strings.Join(all, " ")
}

func TestWhichVersionStandsForASerial(t *testing.T) {
	for what, c := range map[string]struct {
		ring   keyring.Ring
		serial int
		want   string
	}{
		"AWSCURRENT":                     {ring("A-90", "1:A=current"), 1, "vA"},
		"a former one":                   {ring("A-90 B-30", "1:A=previous 2:B=current"), 1, "vA"},
		"none of that Serial":            {ring("A-90 B-30", "1:A=previous 2:B=current"), 3, ""},
		"AWSCURRENT before a younger":    {ring("A-90 B-30", "1:A=current 1:B=previous"), 1, "vA"},
		"else the youngest":              {ring("A-90 B-30 C-10", "1:A=previous 1:B 2:C=current"), 1, "vB"},
		"of the same age the same":       {ring("B-30 A-30 C-10", "1:B 1:A 2:C=current"), 1, "vB"},
		"in whatever order":              {ring("A-30 B-30 C-10", "1:A 1:B 2:C=current"), 1, "vB"},
		"its key is gone":                {ring("B-30", "1:A=current 2:B"), 1, ""},
		"its key was deactivated":        {ring("A-90-off", "1:A=current"), 1, ""},
		"its key is another user's":      {ring("", "1:A=current", others("A-90")), 1, ""},
		"a rotation has not finished":    {ring("A-90 B-0", "1:A=current 1:B=pending"), 1, "vA"},
		"nor for another Serial":         {ring("A-90 B-0", "1:A=current 2:B=pending"), 2, ""},
		"a rotation that has as good as": {ring("A-90 B-0", "1:A=previous 1:B=current,pending"), 1, "vB"},
		"someone else's version":         {ring("A-90", "x=current"), 1, ""},
	} {
		if got, ok := c.ring.ForSerial(c.serial); got.ID != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q", what, got.ID)
		}
	}
}

func TestWhetherKeyAIsInUse(t *testing.T) {
	const replacedByB = "1:A=previous 2:B=current,latest"
	for what, c := range map[string]struct {
		ring keyring.Ring
		want bool
	}{
		"AWSCURRENT":                        {ring("A-90", "1:A=current"), true},
		"AWSCURRENT, deactivated":           {ring("A-90-off", "1:A=current"), true},
		"AWSPENDING":                        {ring("A-90 B-80", "1:A=pending 1:B=current"), true},
		"AWSPENDING, deactivated":           {ring("A-90-off B-80", "1:A=pending 1:B=current"), true},
		"long replaced, never used":         {ring("A-90 B-30", replacedByB), false},
		"replaced a week ago":               {ring("A-90 B-7", replacedByB), false},
		"replaced within the week":          {ring("A-90 B-6", replacedByB), true},
		"AWSCURRENT went back lately":       {ring("A-90 B-30", replacedByB, replaced(6)), true},
		"a new key is not known to go back": {ring("A-90 B-30", replacedByB, never), false},
		"nobody knows when":                 {ring("A-90", "1:A=previous 2:B=current", never), true},
		"used yesterday":                    {ring("A-90 B-30", replacedByB, used("A", 1)), true},
		"used a week ago":                   {ring("A-90 B-30", replacedByB, used("A", 7)), false},
		"used, then deactivated":            {ring("A-90-off B-6", replacedByB, used("A", 0)), false},
		// One that was replaced twice has its grace too.
		"replaced before AWSPREVIOUS, lately":   {ring("A-90 B-6", "1:A 2:X=previous 3:B=current,latest"), true},
		"replaced before AWSPREVIOUS, long ago": {ring("A-90 B-30", "1:A 2:X=previous 3:B=current,latest"), false},
		// The secret has passed to another user.
		"another user's replaced it lately":   {ring("A-90", "1:A 2:B=previous 1:C=current,latest", others("C-1")), true},
		"another user's replaced it long ago": {ring("A-90", "1:A 2:B=previous 1:C=current,latest", others("C-30")), false},
		// Stored last, and AWSCURRENT never named it: an update that failed.
		"never current":              {ring("A-1 B-30", "1:A=latest 2:B=current", replaced(1)), false},
		"never current, and used":    {ring("A-1 B-30", "1:A=latest 2:B=current", used("A", 0)), true},
		"never current, and proven":  {ring("A-1 B-30", "1:A=latest 2:B=current", used("A", 1)), false},
		"stored last, then replaced": {ring("A-6 B-30", "1:A=previous,latest 2:B=current", replaced(1)), true},
		// Made by hand: no version has it.
		"made by hand":                 {ring("A-0 B-30", "2:B=current"), false},
		"made by hand, used lately":    {ring("A-90 B-30", "2:B=current", used("A", 6)), true},
		"made by hand, used long ago":  {ring("A-90 B-30", "2:B=current", used("A", 8)), false},
		"made by hand and deactivated": {ring("A-90-off B-30", "2:B=current", used("A", 6)), false},
	} {
		key, _ := c.ring.Find("A")
		if got := c.ring.InUse(key); got != c.want {
			t.Errorf("%s: %t", what, got)
		}
	}
}

// What has to go for one more key, or which key is in the way.
func TestRoomForOneMore(t *testing.T) {
	for what, c := range map[string]struct {
		ring           keyring.Ring
		free, blocking string
	}{
		"no key":                            {ring("", ""), "", ""},
		"one":                               {ring("A-90", "1:A=current"), "", ""},
		"the replaced one":                  {ring("A-90 B-30", "1:A=previous 2:B=current"), "A", ""},
		"it is in use":                      {ring("A-90 B-30", "1:A=previous 2:B=current", used("A", 1)), "", "A"},
		"it was deactivated":                {ring("A-90-off B-30", "1:A=previous 2:B=current", used("A", 1)), "A", ""},
		"one of nobody":                     {ring("A-90 B-1", "1:A=current"), "B", ""},
		"one of nobody before an older":     {ring("A-90 X-1", "1:A=previous 2:B=current"), "X", ""},
		"a deactivated one before an older": {ring("A-90 B-80-off", "1:A 2:B 3:C=current"), "B", ""},
		"else the older one":                {ring("B-80 A-90", "1:A 2:B 3:C=current"), "A", ""},
		"made by hand and in use":           {ring("A-90 X-90", "1:A=current", used("X", 1)), "", "X"},
		"a rotation's":                      {ring("A-90 B-0", "1:A=current 1:B=pending"), "", "B"},
		"the current one does not go":       {ring("A-90-off B-30", "1:A=current 2:B=previous", used("B", 1)), "", "B"},
		"both are in use, none is current":  {ring("A-90 B-80", "1:A=previous 1:B=pending 3:C=current", used("A", 1)), "", "B"},
		"more than AWS lets a user have":    {ring("A-90 X-2 Y-1", "1:A=current"), "X Y", ""},
		"of three to go one is in use":      {ring("A-90 X-3 Y-2 Z-1", "1:A=current", used("Y", 1)), "", "Y"},
	} {
		free, blocking := c.ring.Room()
		got := ""
		if blocking != nil {
			got = blocking.ID
		}
		if ids(free) != c.free || got != c.blocking {
			t.Errorf("%s: %q free, %q in the way", what, ids(free), got)
		}
	}
}

func TestKeysOfNobody(t *testing.T) {
	for what, c := range map[string]struct {
		ring     keyring.Ring
		promoted string
		want     string
	}{
		"none":                       {ring("A-90 B-30", "1:A=previous 2:B=current"), "", ""},
		"half-made":                  {ring("A-90 X-0", "1:A=current"), "", "X"},
		"made by hand, unused":       {ring("A-90 X-90", "1:A=current", used("X", 8)), "", "X"},
		"made by hand, in use":       {ring("A-90 X-90", "1:A=current", used("X", 6)), "", ""},
		"of an update that failed":   {ring("A-90 B-0", "1:A=current 2:B=latest"), "", "B"},
		"which that has proven":      {ring("A-90 B-1", "1:A=current 2:B=latest", used("B", 1)), "", "B"},
		"which is used all the same": {ring("A-90 B-1", "1:A=current 2:B=latest", used("B", 0)), "", ""},
		"about to be current":        {ring("A-90 B-0", "1:A=current 2:B=latest"), "B", ""},
		"a rotation's":               {ring("A-90 B-0", "1:A=current 1:B=pending"), "", ""},
		"replaced twice, lately":     {ring("A-90 B-6", "1:A 2:X=previous 3:B=current"), "", ""},
		"replaced twice, long ago":   {ring("A-90 B-30", "1:A 2:X=previous 3:B=current"), "", "A"},
		"there is no secret":         {ring("A-90 B-30", ""), "", "A B"},
	} {
		if got := ids(c.ring.Unneeded(c.promoted)); got != c.want {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// A leaked key was deactivated, and the one before it is in use again.
func TestAKeyThatWasSwitchedOff(t *testing.T) {
	const secret = "1:A=previous 2:B=current"
	for what, c := range map[string]struct {
		ring keyring.Ring
		want string
	}{
		"the former one is in use":     {ring("A-90 B-6-off", secret), "vA"},
		"the former one is not in use": {ring("A-90 B-30-off", secret), ""},
		"nothing was switched off":     {ring("A-90 B-6", secret), ""},
		"both were":                    {ring("A-90-off B-6-off", secret), ""},
		"there is no former one":       {ring("B-6-off", "2:B=current"), ""},
		"the current one is gone":      {ring("A-90", secret, replaced(1)), ""},
	} {
		if got, ok := c.ring.SwitchedOff(); got.ID != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q", what, got.ID)
		}
	}
}

func TestVersionsWhoseKeysAreGone(t *testing.T) {
	for what, c := range map[string]struct {
		ring                     keyring.Ring
		becomesPrevious, deleted string
		want                     string
	}{
		"none":                     {ring("A-90 B-30", "1:A=previous 2:B=current"), "vB", "", ""},
		"deleted by hand":          {ring("B-30", "1:A=previous 2:B=current"), "vB", "", "vA"},
		"deleted to make room":     {ring("A-90 B-30", "1:A=previous 2:B=current"), "vB", "A-90", "vA"},
		"it becomes AWSPREVIOUS":   {ring("A-90", "1:A=previous 2:B=current"), "vB", "", ""},
		"another user has it":      {ring("B-30", "1:A=previous 2:B=current", others("A-90")), "vB", "", ""},
		"someone else's version":   {ring("B-30", "x=previous 2:B=current"), "vB", "", ""},
		"a rotation's, unseen yet": {ring("B-30", "2:B=current 2:C=pending"), "vB", "", ""},
	} {
		var got []string
		for _, v := range c.ring.KeylessVersions(c.becomesPrevious, keys(c.deleted)) {
			got = append(got, v.ID)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

func TestTheVersionOfALivingKey(t *testing.T) {
	for what, c := range map[string]struct{ keys, versions, want string }{
		"AWSCURRENT":                     {"A-90 B-30", "1:A=previous 2:B=current", "vB"},
		"AWSPREVIOUS: the other is gone": {"A-90", "1:A=previous 2:B=current", "vA"},
		"or deactivated":                 {"A-90 B-30-off", "1:A=previous 2:B=current", "vA"},
		"no other":                       {"A-90", "1:A 2:B=current 1:C=previous", ""},
		"both are gone":                  {"", "1:A=previous 2:B=current", ""},
	} {
		if got, ok := keyring.ActiveVersion(keys(c.keys), versions(c.versions)); got.ID != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q", what, got.ID)
		}
	}
}

// Whatever a ring holds, what is to go is not in use, least of all AWSCURRENT's
// key or a rotation's, and what is in the way is.
func TestNoKeyInUseGoes(t *testing.T) {
	states := []string{"", "=current", "=previous", "=pending", "=latest", "=current,latest", "=previous,latest", "=pending,latest"}
	for _, ages := range []string{"A-90 B-30", "A-30 B-90", "A-90-off B-30", "A-90 B-3", "A-90 B-3-off", "A-1 B-3 C-90"} {
		for _, a := range states {
			for _, b := range states {
				for _, secret := range []string{"", "1:A" + a, "1:A" + a + " 2:B" + b, "2:B" + b} {
					for _, use := range []func(*keyring.Ring){never, used("A", 1), used("B", 8)} {
						judge(t, ages+", "+secret, ring(ages, secret, use))
					}
				}
			}
		}
	}
}

func judge(t *testing.T, what string, r keyring.Ring) {
	t.Helper()
	free, blocking := r.Room()
	for _, key := range slices.Concat(free, r.Unneeded("")) {
		if current, _ := r.Labelled(access.Current); r.InUse(key) || keyring.KeyID(current) == key.ID {
			t.Errorf("%s: %s goes", what, key.ID)
		}
		if pending, _ := r.Labelled(access.Pending); keyring.KeyID(pending) == key.ID {
			t.Errorf("%s: the rotation's key %s goes", what, key.ID)
		}
	}
	if blocking != nil && !r.InUse(*blocking) {
		t.Errorf("%s: %s is in the way, and not in use", what, blocking.ID)
	}
	if blocking == nil && len(r.Keys)-len(free) >= keyring.Most {
		t.Errorf("%s: no room is made, and nothing is in the way", what)
	}
}

func TestWhatIsSaidOfAKeyInTheWay(t *testing.T) {
	key := keys("A-90")[0]
	const secret = "1:A=previous 2:B=current"
	for _, c := range []struct {
		ring keyring.Ring
		says string
	}{
		{ring("A-90 B-30", secret, used("A", 1)), "last used on 2026-11-01 for s3 in eu-west-1"},
		{ring("A-90 B-3", secret), "replaced on 2026-10-30, and never used, as far as IAM says"},
		{ring("A-90 B-3", secret, used("A", 90)), "replaced on 2026-10-30, and not used since this provider verified it, as far as IAM says"},
	} {
		got := c.ring.Blocked(key)
		for _, words := range []string{"Key A", c.says, "unused for 7 days", "aws iam update-access-key --user-name u --access-key-id A --status Inactive"} {
			if !strings.Contains(got, words) {
				t.Errorf("%q does not say %q", got, words)
			}
		}
	}
}

func TestWhatAVersionSays(t *testing.T) {
	ours, theirs := versions("12:A=current")[0], versions("x=current")[0]
	if keyring.Serial(ours) != 12 || keyring.KeyID(ours) != "A" || keyring.Serial(theirs) != 0 || keyring.KeyID(theirs) != "" {
		t.Errorf("%+v, %+v", ours, theirs)
	}
	r := ring("A-1", "12:A=current x=previous")
	if r.Stored("B") || !r.Stored("A") {
		t.Error("what is recorded is not known")
	}
	if _, there := r.Find(""); there {
		t.Error("a key without an id")
	}
}

// A rotation notes when AWSCURRENT moved on the version itself.
func TestWhenARotationHasReplacedAKey(t *testing.T) {
	since := func(days int) func(*keyring.Ring) {
		return func(r *keyring.Ring) {
			for i, v := range r.Versions {
				if v.Has(access.Current) {
					r.Versions[i].Labels = append(v.Labels, name.SinceLabel(keyringtest.Ago(days)))
				}
			}
		}
	}
	for days, inUse := range map[int]bool{3: true, 20: false} {
		r := ring("A-90 B-40", "1:A=previous 1:B=current", since(days))
		if key, _ := r.Find("A"); r.InUse(key) != inUse {
			t.Errorf("replaced %d days ago: in use %t", days, !inUse)
		}
	}
}

// The key of a rotation that has not ended is in use, in a secret of before too.
func TestTheKeyOfARotationInAFormerSecret(t *testing.T) {
	r := ring("A-90 B-40", "1:A=current", func(r *keyring.Ring) { r.OldVersions = versions("1:A=current 1:B=pending") })
	if _, blocking := r.Room(); blocking == nil || blocking.ID != "B" {
		t.Errorf("in the way is %v", blocking)
	}
	if unneeded := r.Unneeded(""); len(unneeded) > 0 {
		t.Errorf("unneeded: %v", unneeded)
	}
}

func TestProof(t *testing.T) {
	scope := access.Scope{Source: true, Places: []access.Place{"one"}}
	v := versions("1:A=current")[0]
	if keyring.Proven(v, scope) {
		t.Error("nobody has proven it")
	}
	v.Labels = append(v.Labels, name.ProvenLabel(keyring.Proof("A", scope)))
	if !keyring.Proven(v, scope) || keyring.Proven(v, access.Scope{Source: true, Places: []access.Place{"two"}}) {
		t.Error("it was proven for one, and for nothing else")
	}
}

// A key that was made minutes ago, and that no version records, may be about to be
// stored; an older one was left behind.
func TestAKeyThatIsAboutToBeStored(t *testing.T) {
	ring := keyring.Ring{Keys: keyringtest.Keys("A-30 X-0"), Versions: keyringtest.Versions("1:A=current"), Now: keyringtest.Now.Add(14 * time.Minute)}
	if key, storing := ring.BeingStored(ring.Keys); !storing || key.ID != "X" {
		t.Errorf("%v, %t", key, storing)
	}
	if _, storing := ring.BeingStored(keyringtest.Keys("A-0")); storing {
		t.Error("a key that a version records is about to be stored")
	}
	ring.Now = keyringtest.Now.Add(15 * time.Minute)
	if key, storing := ring.BeingStored(ring.Keys); storing {
		t.Errorf("%v is about to be stored for ever", key)
	}
}
