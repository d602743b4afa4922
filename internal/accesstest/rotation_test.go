package accesstest_test

import (
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
)

// Secrets Manager accepts a schedule, but not while a rotation has not ended. It remembers
// the rules of a cancelled rotation.
func TestRotationOnSchedule(t *testing.T) {
	a, heard, credentials := account(t)
	ctx := t.Context()
	rotates := func(want access.Rotation) {
		t.Helper()
		want.Ours = accesstest.Rotator
		if got := a.Rotation("s"); got != want {
			t.Errorf("%+v", got)
		}
	}
	rotates(access.Rotation{})
	must(t, a.Schedule(ctx, "s", "rate(30 days)"))
	rotates(access.Rotation{On: true, Schedule: "rate(30 days)", Function: accesstest.Rotator})
	must(t, a.PutVersion(ctx, "s", name.Token("2"), access.NewSecret("{}"), []string{access.Pending}))
	is(t, a.Schedule(ctx, "s", "rate(1 day)"), access.ErrInvalid)
	must(t, a.CancelRotation(ctx, "s"))
	rotates(access.Rotation{Schedule: "rate(30 days)", Function: accesstest.Rotator})
	must(t, a.Unlabel(ctx, "s", name.Token("2"), access.Pending))
	a.CloseRotator(access.ErrDenied)
	is(t, a.Schedule(ctx, "s", "rate(1 day)"), access.ErrDenied)
	a.CloseRotator(nil)
	must(t, a.Schedule(ctx, "s", "rate(1 day)"))
	is(t, a.Schedule(ctx, "none", "rate(1 day)"), access.ErrNotFound)
	if len(heard.shouts) > 0 {
		t.Errorf("%v", heard.shouts)
	}
	// A secret without a key has nothing to rotate.
	_, err := a.CreateSecret(ctx, "empty", "", "", ours)
	must(t, err)
	_ = a.Schedule(ctx, "empty", "rate(1 day)")
	if len(heard.shouts) != 1 || !strings.Contains(heard.shouts[0], "before it has a key") {
		t.Errorf("%s: %v", credentials.KeyID, heard.shouts)
	}
}
