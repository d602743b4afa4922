package spec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/spec"
)

const declaredBefore = `{"Access": "Source", "Buckets": ["data-1", "logs/in/", "arn:aws:s3:::old"], "SecretReaders": ["123456789012", "` + role + `"]}`

// narrower are the rules of an owner who no longer allows all of that.
func narrower(t *testing.T) spec.Rules {
	given := rules(t)
	given.AllowedBuckets, given.AllowedReaders = []string{"data-*"}, []string{role}
	return given
}

// Whether an Update adds something that is not allowed is decided by its plan, which knows
// what is in force.
func TestWhatAnUpdateNamesAndTheOwnerDoesNotAllow(t *testing.T) {
	given := narrower(t)
	given.Update = true
	got, err := spec.Parse(properties(t, declaredBefore), given)
	const buckets = " is not in AllowedBuckets of the provider's stack (data-*); ask the owner of that stack to add the bucket"
	const readers = " is not in AllowedReaders of the provider's stack (" + role + "); ask the owner of that stack to add the reader"
	want := []spec.NotAllowed{
		{Property: "Buckets", Value: "logs/in/", Problem: `Buckets[1]: "logs/in/"` + buckets},
		{Property: "Buckets", Value: "old", Problem: `Buckets[2]: "arn:aws:s3:::old"` + buckets},
		{Property: "SecretReaders", Value: "arn:aws:iam::123456789012:root", Problem: `SecretReaders[0]: "123456789012"` + readers},
	}
	if diff := cmp.Diff(want, got.NotAllowed); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	// They are in the Spec too.
	if diff := cmp.Diff([]access.Place{"data-1", "logs/in/", "old"}, got.Scope.Places); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{role, "arn:aws:iam::123456789012:root"}, got.Readers); diff != "" {
		t.Error(diff)
	}
}

// The sentences are those with which a Create is refused.
func TestWhatACreateNamesAndTheOwnerDoesNotAllow(t *testing.T) {
	_, err := spec.Parse(properties(t, declaredBefore), narrower(t))
	updating := narrower(t)
	updating.Update = true
	got, errUpdate := spec.Parse(properties(t, declaredBefore), updating)
	var found spec.Problems
	if !errors.As(err, &found) || len(found) != 3 || errUpdate != nil {
		t.Fatalf("%v, %v", err, errUpdate)
	}
	for i, problem := range found {
		if got.NotAllowed[i].Problem != problem.Property+": "+problem.Text || !strings.Contains(err.Error(), got.NotAllowed[i].Problem) {
			t.Errorf("%s\n%s", got.NotAllowed[i].Problem, err)
		}
	}
}

// A value that is not valid is refused in an Update too, whatever the owner's lists say.
func TestWhatIsWrongInAnUpdateIsRefused(t *testing.T) {
	given := narrower(t)
	given.Update = true
	only(t, bucket(t, "Logs!"), "Buckets[0]", "is not a bucket name", given)
	only(t, bucket(t, "logs/in/*"), "Buckets[0]", "ends in *", given)
	only(t, `{"Access": "Source", "Buckets": "data-1", "SecretReaders": "210987654321"}`, "SecretReaders", "is in another account than the secret", given)
	got, err := spec.Parse(properties(t, `{"Access": "Source", "Buckets": "logs", "Serial": 0}`), given)
	if err == nil || !cmp.Equal(got, spec.Spec{}) {
		t.Errorf("%+v, %v", got, err)
	}
}
