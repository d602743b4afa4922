package provision_test

import (
	"strings"
	"testing"
)

// An id that no user could have is asked for nowhere: what is looked for is the
// user that the properties lead to, and no policy or secret under the id.
func TestDeleteOfAnIDThatNoUserCouldHave(t *testing.T) {
	for _, odd := range []string{"2026/11/02/[$LATEST]4f1c", "a\nb", "\x00", "*", "../other", "é", "arn:aws:iam::1:user/x", strings.Repeat("x", 65)} {
		play(t, func(w *world) {
			if err := w.tryDelete(target(stack(), odd)); err != nil {
				t.Error(err)
			}
			for verb := range w.Calls() {
				if verb != "GetUser" {
					t.Errorf("%q reached %s", odd, verb)
				}
			}
			if strings.Contains(w.log.String(), odd) {
				t.Errorf("%q is in the log:\n%s", odd, w.log)
			}
		})
	}
}
