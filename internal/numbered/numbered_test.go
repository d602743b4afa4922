package numbered_test

import (
	"testing"

	"cloney-s3-credentials/internal/numbered"
)

func TestJoin(t *testing.T) {
	for want, items := range map[string][]string{
		"":                           nil,
		"a, b; write c":              {"a, b; write c"},
		"(1) a, b; write c; (2) d":   {"a, b; write c", "d"},
		"(1) one; (2) two; (3) more": {"one", "two", "more"},
	} {
		if got := numbered.Join(items); got != want {
			t.Errorf("%q: %q", items, got)
		}
	}
}
