package name_test

import (
	"fmt"
	"testing"
	"time"

	"cloney-s3-credentials/internal/name"
)

// What one function writes the other one reads; what somebody has written by hand
// takes no key away early.
func TestGrace(t *testing.T) {
	for _, days := range []int{1, 7, 30, 365} {
		if got := name.Grace(name.GraceTags(days)); got != time.Duration(days)*24*time.Hour {
			t.Errorf("%d days came back as %v", days, got)
		}
	}
	if tags := name.GraceTags(7); len(tags) > 0 {
		t.Errorf("the default is written: %v", tags)
	}
	for _, text := range []string{"", "0", "-1", "366", "x", "1.5", "99999999999999999999"} {
		if got := name.Grace(map[string]string{name.TagGrace: text}); got != 7*24*time.Hour {
			t.Errorf("%s: %v", fmt.Sprintf("%q", text), got)
		}
	}
}
