package plan_test

import (
	"maps"
	"slices"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

// A rotation happens past every event. An Update that changes nothing finds its key
// current and proven, and has nothing to do.
func TestAnUpdateAfterARotation(t *testing.T) {
	scope := create().Spec.Scope
	rotated := func(changes ...find) plan.Observed {
		return with("A-90 B-1", "1:A=previous 1:B=current,latest", append([]find{rotates(monthly), func(o *plan.Observed) { o.User = finished(user, create(), "A") }}, changes...)...)
	}
	provenFor := func(key string, scope access.Scope) find {
		return labelled("B", name.ProvenLabel(keyring.Proof(key, scope)))
	}
	proves := func(want plan.Desired, seen plan.Observed) bool {
		return slices.ContainsFunc(steps(t, want, seen), func(s plan.Step) bool { _, is := s.(plan.Prove); return is })
	}
	if steps := steps(t, update(scheduled(monthly)), rotated(provenFor("B", scope))); len(steps) > 0 {
		t.Errorf("it does %v", steps)
	}
	// And in the middle of one.
	if steps := steps(t, update(scheduled(monthly)), halfDone()); len(steps) > 0 {
		t.Errorf("in the middle of a rotation it does %v", steps)
	}
	for what, seen := range map[string]plan.Observed{
		"nobody has proven it":           rotated(),
		"it was proven for other places": rotated(provenFor("B", create(buckets("two")).Spec.Scope)),
		"another key was proven":         rotated(provenFor("A", scope)),
	} {
		if !proves(update(scheduled(monthly)), seen) {
			t.Errorf("%s: it is not proven", what)
		}
	}
}

// What users remember from before there were schedules stays true, so that an upgrade
// of the provider writes nothing and proves nothing. A schedule is remembered.
func TestWhatWasRememberedBeforeThereWereSchedules(t *testing.T) {
	for written, want := range map[string]struct { // by the version before
		spec plan.Desired
		key  string
	}{
		"e047f6582b4a6fde 1154d4b4361741c9 f53c401d4d7fb8a7": {create(), "A"},
		"d3f3fb619008ae57 199109f23670acac 8d9aad3b0fce1341": {create(readers(a), moved("cloney/x"), serial(3), kms("alias/k")), "B"},
	} {
		if now := plan.CompletedTag(nil, want.spec.Spec, want.key); now != written {
			t.Errorf("%s is written as %s now", written, now)
		}
	}
	for what, c := range map[string]struct {
		now  plan.Desired
		same bool
	}{
		"another grace": {update(graced(30)), true},
		"a schedule":    {update(scheduled(monthly)), false},
	} {
		if (plan.AcceptedWhole(c.now.Spec) == plan.AcceptedWhole(create().Spec)) != c.same || plan.Accepted(c.now.Spec) != plan.Accepted(create().Spec) {
			t.Errorf("%s: %t", what, !c.same)
		}
	}
}

// RotationGraceDays is the grace of a new Serial too.
func TestTheGraceIsTheStacks(t *testing.T) {
	for days, goes := range map[int]bool{1: true, 7: true, 29: true, 31: false, 365: false} {
		_, err := plan.Converge(update(serial(3), graced(days)), two(), now) // replaced 30 days ago
		if (err == nil) != goes {
			t.Errorf("%d days: %v", days, err)
		}
	}
}

// Of secrets that skipped rollbacks have left, one that stays is rotated no more: the
// rotator would issue keys that never become current.
func TestAFormerSecretIsNotRotated(t *testing.T) {
	former := func(called, ofSecret string, is access.Rotation) access.SecretInfo {
		return access.SecretInfo{Name: called, Tags: tags(user), Versions: versions(ofSecret), Rotation: is}
	}
	seen := with("A-90 B-1", "1:A=current", used("B", 0), rotates(monthly), func(o *plan.Observed) {
		maps.Copy(o.User.Tags, name.RememberSecret("cloney/c"))
		o.OldSecrets = []access.SecretInfo{former("cloney/c", "2:B=current x=pending", access.Rotation{On: true})}
	})
	seen.OldSecrets[0].Tags[name.TagLocked] = "true" // and its values cannot be read
	var stopped, off []string
	for _, step := range steps(t, update(scheduled(monthly)), seen) {
		switch s := step.(type) {
		case plan.CancelRotation:
			stopped = append(stopped, s.Secret)
		case plan.Unlabel:
			off = append(off, s.Secret+" "+s.Label)
		case plan.DeleteKey, plan.DeleteSecret:
			t.Errorf("%s", plan.Describe(s))
		}
	}
	if !slices.Equal(stopped, []string{"cloney/c"}) || !slices.Equal(off, []string{"cloney/c " + access.Pending}) {
		t.Errorf("stopped %v, off %v", stopped, off)
	}
	// A key that is current here goes with no rotation of there.
	seen = with("A-90 B-1", "1:A=previous 1:B=current", func(o *plan.Observed) {
		o.OldSecrets = []access.SecretInfo{former("cloney/b", "1:A=current 1:B=pending", access.Rotation{})}
	})
	for _, step := range steps(t, update(), seen) {
		if key, ok := step.(plan.DeleteKey); ok {
			t.Errorf("%s goes, and is current", key.ID)
		}
	}
}

// What says of a key how it stands goes with it to another secret, but not what says
// which version was stored last, or was tried.
func TestCopiedLabels(t *testing.T) {
	keep := []string{name.KeyLabel(1, "A"), name.ProvenLabel("x"), name.SinceLabel(now), name.AnnouncedLabel("A"), name.DeactivatedLabel("A", now)}
	v := access.Version{Labels: append([]string{access.Current, name.LabelLatest, name.LabelTried, "theirs"}, keep...)}
	if got := plan.CopiedLabels(v); !slices.Equal(got, keep) {
		t.Errorf("%v", got)
	}
}
