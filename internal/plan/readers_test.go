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

// readers names them, as before.
func readers(arns ...string) func(*plan.Desired) {
	return func(d *plan.Desired) { d.Spec.Readers, d.FormerReaders = arns, arns }
}

// policies are the resource policies that the plan puts, in their order among
// the other steps.
func policies(t *testing.T, want plan.Desired, seen plan.Observed) (all []string) {
	t.Helper()
	planned, err := plan.Converge(want, seen, now)
	if err != nil {
		t.Fatal(err)
	}
	for i, kind := range kinds(planned) {
		if put, ok := planned[i].(plan.PutResourcePolicy); ok {
			named, _, _ := policy.ReadersOf(put.Policy)
			for _, arn := range named {
				kind += " " + arn[strings.LastIndex(arn, "/")+1:]
			}
			if put.Gone {
				kind += ", some gone"
			}
		}
		all = append(all, kind)
	}
	return all
}

// Who shall not read any more loses it before a new key is stored, who newly
// shall gets it once the key is proven, and who stays reads at every moment.
func TestReadersNarrowEarlyAndWidenLate(t *testing.T) {
	theirs := `{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"` + a + `"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`
	edited := strings.Replace(policy.Readers([]string{a}), "DescribeSecret", "*", 1)
	for what, c := range map[string]struct {
		want    plan.Desired
		present string
		then    []string
	}{
		"nobody":                {desired(), "", nil},
		"as declared":           {desired(readers(a, b)), policy.Readers([]string{a, b}), nil},
		"in another order":      {desired(readers(a, b)), policy.Readers([]string{b, a}), nil},
		"first":                 {desired(readers(a)), "", []string{"PutResourcePolicy A"}},
		"one more":              {desired(readers(a, b)), policy.Readers([]string{a}), []string{"PutResourcePolicy A B"}},
		"one fewer":             {desired(readers(b)), policy.Readers([]string{a, b}), []string{"PutResourcePolicy B"}},
		"one for another":       {desired(readers(b, c)), policy.Readers([]string{a, b}), []string{"PutResourcePolicy B", "PutResourcePolicy B C"}},
		"others":                {desired(readers(c)), policy.Readers([]string{a, b}), []string{"DeleteResourcePolicy", "PutResourcePolicy C"}},
		"none any more":         {desired(), policy.Readers([]string{a, b}), []string{"DeleteResourcePolicy"}},
		"with a new key":        {desired(readers(b, c), serial(2)), policy.Readers([]string{a, b}), []string{"PutResourcePolicy B", "Mint", "Prove", "PutResourcePolicy B C", "Promote", "Complete"}},
		"edited by hand":        {desired(readers(a)), edited, []string{"PutResourcePolicy A"}},
		"edited, none any more": {desired(), edited, []string{"DeleteResourcePolicy"}},
		"theirs stays":          {desired(), theirs, nil},
		"theirs is replaced":    {desired(readers(b)), theirs, []string{"PutResourcePolicy B"}},
		// A user or role that was deleted, or was not quite there.
		"one is gone":            {desired(readers(a, b)), policy.Readers([]string{gone, b}), []string{"PutResourcePolicy A B, some gone"}},
		"who is gone goes":       {desired(readers(b)), policy.Readers([]string{gone, b}), []string{"PutResourcePolicy B"}},
		"more than who is gone":  {desired(readers(a, b, c)), policy.Readers([]string{gone, b}), []string{"PutResourcePolicy A B C"}},
		"one is gone, one goes":  {desired(readers(a)), policy.Readers([]string{gone, b}), []string{"DeleteResourcePolicy", "PutResourcePolicy A, some gone"}},
		"gone and none any more": {desired(), policy.Readers([]string{gone}), []string{"DeleteResourcePolicy"}},
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
		"created": {desired(readers(a)), plan.Observed{},
			[]string{"CreateUser", "CreatePolicy", "CreateSecret", "Mint", "Prove", "PutResourcePolicy A", "Complete"}},
		"moved": {desired(readers(a), moved("cloney/moved")), func() plan.Observed {
			o := one()
			o.Secret, o.Former = nil, o.Secret
			return o
		}(), []string{"CreateSecret", "CopyVersions", "PutResourcePolicy A", "DeleteSecret"}},
		// What it let whom do in an earlier life cannot be seen.
		"restored": {desired(readers(a)), func() plan.Observed {
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

func TestMoreReadersThanOnePolicyHoldsAreRefused(t *testing.T) {
	var many []string
	for n := range 600 {
		many = append(many, fmt.Sprintf("arn:aws:iam::123456789012:role/Reader-%03d", n))
	}
	planned, err := plan.Converge(desired(readers(many...)), plan.Observed{}, now)
	var refused plan.Refused
	if !errors.As(err, &refused) || planned != nil || !strings.Contains(err.Error(), "SecretReaders: 600 readers") || !strings.Contains(err.Error(), "takes 20480") {
		t.Errorf("%v, %v", planned, err)
	}
}
