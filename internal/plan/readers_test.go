package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
)

const (
	a    = "arn:aws:iam::123456789012:role/A"
	b    = "arn:aws:iam::123456789012:role/B"
	c    = "arn:aws:iam::123456789012:role/C"
	gone = "AROAEXAMPLEEXAMPLEEXA"
)

// policies are the steps of a plan, but for tags and its last, and whom they let read.
func policies(t *testing.T, want plan.Desired, seen plan.Observed) (all []string) {
	t.Helper()
	for _, step := range steps(t, want, seen) {
		switch step.(type) {
		case plan.TagSecret, plan.Complete:
			continue
		}
		kind := strings.TrimPrefix(fmt.Sprintf("%T", step), "plan.")
		if put, ok := step.(plan.PutResourcePolicy); ok {
			kind += " " + brief(put.Readers)
			if len(put.Kept) > 0 {
				kind += ", had " + brief(put.Kept)
			}
			if put.Tolerant {
				kind += ", some gone"
			}
		}
		all = append(all, kind)
	}
	return all
}

// A removed reader loses access before a new key is stored, an added reader gets access once
// the key is proven, and a reader that stays can read at every moment.
func TestReadersNarrowEarlyAndWidenLate(t *testing.T) {
	theirs := `{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"` + a + `"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`
	edited := strings.Replace(policy.Readers([]string{a}), "DescribeSecret", "*", 1)
	for what, c := range map[string]struct {
		want    plan.Desired
		present string
		then    []string
	}{
		"nobody":                {update(), "", nil},
		"as declared":           {update(readers(a, b)), policy.Readers([]string{a, b}), nil},
		"in another order":      {update(readers(a, b)), policy.Readers([]string{b, a}), nil},
		"first":                 {update(readers(a)), "", []string{"PutResourcePolicy A"}},
		"one more":              {update(readers(a, b)), policy.Readers([]string{a}), []string{"PutResourcePolicy A B, had A"}},
		"one fewer":             {update(readers(b)), policy.Readers([]string{a, b}), []string{"PutResourcePolicy B, had B"}},
		"one for another":       {update(readers(b, c)), policy.Readers([]string{a, b}), []string{"PutResourcePolicy B, had B", "PutResourcePolicy B C, had B"}},
		"others":                {update(readers(c)), policy.Readers([]string{a, b}), []string{"DeleteResourcePolicy", "PutResourcePolicy C"}},
		"none any more":         {update(), policy.Readers([]string{a, b}), []string{"DeleteResourcePolicy"}},
		"with a new key":        {update(readers(b, c), serial(2)), policy.Readers([]string{a, b}), []string{"PutResourcePolicy B, had B", "Mint", "Prove", "PutResourcePolicy B C, had B", "Promote"}},
		"edited by hand":        {update(readers(a)), edited, []string{"PutResourcePolicy A, had A"}},
		"edited, none any more": {update(), edited, []string{"DeleteResourcePolicy"}},
		"theirs stays":          {update(), theirs, nil},
		"theirs is replaced":    {update(readers(b)), theirs, []string{"PutResourcePolicy B"}},
		// A user or role that was deleted, or was not quite there.
		"one is gone":            {update(readers(a, b)), policy.Readers([]string{gone, b}), []string{"PutResourcePolicy A B, had B, some gone"}},
		"who is gone goes":       {update(readers(b)), policy.Readers([]string{gone, b}), []string{"PutResourcePolicy B, had B"}},
		"more than who is gone":  {update(readers(a, b, c)), policy.Readers([]string{gone, b}), []string{"PutResourcePolicy A B C, had B"}},
		"one is gone, one goes":  {update(readers(a)), policy.Readers([]string{gone, b}), []string{"DeleteResourcePolicy", "PutResourcePolicy A, some gone"}},
		"gone and none any more": {update(), policy.Readers([]string{gone}), []string{"DeleteResourcePolicy"}},
	} {
		seen := one()
		seen.ResourcePolicy = c.present
		if diff := cmp.Diff(c.then, policies(t, c.want, seen)); diff != "" {
			t.Errorf("%s: steps (-want +got):\n%s", what, diff)
		}
	}
}

func TestReadersOfASecretThatIsNotThereYet(t *testing.T) {
	for what, c := range map[string]struct {
		want plan.Desired
		seen plan.Observed
		then []string
	}{
		"created": {create(readers(a)), plan.Observed{},
			[]string{"CreateUser", "CreatePolicy", "AttachPolicy", "CreateSecret", "Mint", "Prove", "PutResourcePolicy A"}},
		"moved": {update(readers(a), moved("cloney/moved")), func() plan.Observed {
			o := one()
			aside(&o)
			return o
		}(), []string{"TagUser", "CreateSecret", "CopyVersions", "PutResourcePolicy A", "DeleteSecret"}},
		// What it let whom do in an earlier life cannot be seen.
		"restored": {update(readers(a)), func() plan.Observed {
			o := one()
			o.Secret.Deleted = now
			return o
		}(), []string{"RestoreSecret", "DeleteResourcePolicy", "PutResourcePolicy A"}},
	} {
		if diff := cmp.Diff(c.then, policies(t, c.want, c.seen)); diff != "" {
			t.Errorf("%s: steps (-want +got):\n%s", what, diff)
		}
	}
}

func TestMoreReadersThanOnePolicyHolds(t *testing.T) {
	var all []string
	for n := range 600 {
		all = append(all, fmt.Sprintf("arn:aws:iam::123456789012:role/Reader-%03d", n))
	}
	tasks, err := plan.Converge(create(readers(all...)), plan.Observed{}, now)
	var refused plan.Refused
	if !errors.As(err, &refused) || tasks != nil || !strings.Contains(err.Error(), "SecretReaders: 600 readers") || !strings.Contains(err.Error(), "allows 20480") {
		t.Errorf("%v, %v", tasks, err)
	}
}
