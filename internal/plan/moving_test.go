package plan_test

import (
	"testing"

	"cloney-s3-credentials/internal/plan"
)

// A key that is in use is in use while the secret gets another name, too.
func TestKeysInUseStayWhileTheSecretMoves(t *testing.T) {
	for what, seen := range map[string]plan.Observed{
		"a rotation has not finished":            with("A-90 B-0", "1:A=current 1:B=pending"),
		"replaced lately, its successor is gone": with("A-90 B-3", "1:A 1:X=previous 1:B=current"),
	} {
		if tasks, err := plan.Converge(update(), seen, now); err != nil || lines(tasks) != "" && what[0] == 'a' {
			t.Errorf("%s: before: %v\n%s", what, err, lines(tasks))
		}
		seen.Secret, seen.Former = nil, seen.Secret
		for _, step := range steps(t, update(moved("cloney/other")), seen) {
			if key, ok := step.(plan.DeleteKey); ok {
				t.Errorf("%s: %s goes", what, key.ID)
			}
		}
	}
}
