package spec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/spec"
)

// problems returns what is wrong with the properties.
func problems(t *testing.T, text string, rules spec.Rules) spec.Problems {
	t.Helper()
	_, err := spec.Parse(properties(t, text), rules)
	var found spec.Problems
	if err != nil && !errors.As(err, &found) {
		t.Errorf("%s: %T is not Problems", text, err)
	}
	return found
}

// only fails unless there is exactly one problem, of that property, that says what to do.
func only(t *testing.T, text, property, advice string, rules spec.Rules) {
	t.Helper()
	found := problems(t, text, rules)
	if len(found) != 1 || found[0].Property != property || !strings.Contains(found[0].Text, advice) {
		t.Errorf("%s\n got: %v\nwant: %s: … %s", text, found, property, advice)
	}
}

// The value of an unknown property is not shown.
func TestAnUnknownPropertyKeepsItsValue(t *testing.T) {
	if found := problems(t, with(`"SecretAccessKey": "wJalrXUtnFEMI/K"`), rules(t)); len(found) != 1 || strings.Contains(found.Error(), "wJalr") {
		t.Errorf("the message shows the value: %v", found)
	}
}

func TestMoreTagsThanAWSTakes(t *testing.T) {
	tags := func(n int) string {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = fmt.Sprintf(`{"Key": "k%d", "Value": "v"}`, i)
		}
		return with(`"Tags": [` + strings.Join(entries, ",") + `]`)
	}
	if found := problems(t, tags(spec.MaxTags), rules(t)); found != nil {
		t.Errorf("%d tags: %v", spec.MaxTags, found)
	}
	only(t, tags(spec.MaxTags+1), "Tags", "has 41 entries, and can have at most 40", rules(t))
}

func TestSecretNameOfTooManyCharacters(t *testing.T) {
	only(t, with(`"SecretName": "cloney/`+strings.Repeat("s", 506)+`"`), "SecretName", "is longer than 512 characters", rules(t))
}
