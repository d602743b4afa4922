package plan_test

import (
	"slices"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

// A key that is in use is in use while the secret gets another name, too.
func TestKeysInUseStayWhileTheSecretMoves(t *testing.T) {
	seen := with("A-90 B-3", "1:A 1:X=previous 1:B=current") // the key that replaced it was deleted
	seen.Secret, seen.OldSecrets = nil, []access.SecretInfo{*seen.Secret}
	for _, step := range steps(t, update(moved("cloney/other")), seen) {
		if key, ok := step.(plan.DeleteKey); ok {
			t.Errorf("%s goes", key.ID)
		}
	}
}

// Of secrets that a skipped rollback has left, the values move from the one that
// records most of the keys that live; and what it does not record stays where it is.
func TestWhichFormerSecretTheValuesMoveFrom(t *testing.T) {
	former := func(called, ofSecret string) access.SecretInfo {
		return access.SecretInfo{Name: called, Tags: tags(user), Versions: versions(ofSecret)}
	}
	scheduled := former("cloney/c", "1:A=previous 2:B=current")
	scheduled.Deleted = now
	for what, c := range map[string]struct {
		keys, from string
		here       bool
		formers    []access.SecretInfo
		stay       []string
	}{
		"the only one":            {"A-90", "cloney/b", false, []access.SecretInfo{former("cloney/b", "1:A=current")}, nil},
		"both keys":               {"A-90 B-1", "cloney/c", false, []access.SecretInfo{former("cloney/b", "1:A=current"), former("cloney/c", "1:A=previous 2:B=current")}, nil},
		"the declared one":        {"A-90", "cloney/was", false, []access.SecretInfo{former("cloney/b", "1:A=current"), former("cloney/was", "1:A=current"), former("cloney/z", "1:A=current")}, nil},
		"not the declared one":    {"A-90", "cloney/z", false, []access.SecretInfo{former("cloney/was", "1:D=current"), former("cloney/z", "1:A=current")}, nil},
		"none: it is known here":  {"A-90", "", true, []access.SecretInfo{former("cloney/b", "1:A=current")}, nil},
		"none: it is dead":        {"A-90", "", true, []access.SecretInfo{former("cloney/b", "2:D=current")}, nil},
		"none: it holds none":     {"A-90", "", true, []access.SecretInfo{former("cloney/b", "")}, nil},
		"a key in each":           {"A-90 B-1", "cloney/b", false, []access.SecretInfo{former("cloney/b", "1:A=current"), former("cloney/c", "2:B=current")}, []string{"cloney/c"}},
		"none: it cannot be read": {"A-90 B-1", "", true, []access.SecretInfo{scheduled}, []string{"cloney/c"}},
	} {
		seen := with(c.keys, "1:A=current", used("B", 0), func(o *plan.Observed) {
			o.User.Tags = remembering("cloney/b", "cloney/c", "cloney/was", "cloney/z").Tags
			o.OldSecrets = c.formers
			if !c.here {
				o.Secret = nil
			}
		})
		want, from, gone := update(), "", []string(nil)
		want.Old.SecretName = "cloney/was"
		for _, step := range steps(t, want, seen) {
			switch s := step.(type) {
			case plan.CopyVersions:
				from = s.From
			case plan.DeleteSecret:
				gone = append(gone, s.Name)
			}
		}
		var goes []string
		remembered := map[string]bool{}
		for _, secret := range c.formers {
			remembered[secret.Name] = slices.Contains(c.stay, secret.Name)
			if !remembered[secret.Name] {
				goes = append(goes, secret.Name)
			}
		}
		if from != c.from || !slices.Equal(gone, goes) {
			t.Errorf("%s: moved from %q, deleted %q", what, from, gone)
		}
		forgotten := the[plan.Complete](t, want, seen).Forget
		for secret, stays := range remembered {
			for key := range name.RememberSecret(secret) {
				if slices.Contains(forgotten, key) == stays {
					t.Errorf("%s: %s is forgotten: %t", what, secret, !stays)
				}
			}
		}
	}
}
