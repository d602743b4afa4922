package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/policy"
)

const (
	account = "arn:aws:iam::210987654321:root"
	role    = "arn:aws:iam::123456789012:role/a/Reader"
)

func TestReadersMayReadAndNothingElse(t *testing.T) {
	want := `{"Version":"2012-10-17","Statement":[{"Sid":"CloneySecretReaders","Effect":"Allow","Principal":{"AWS":["` + role + `","` + account + `"]},` +
		`"Action":["secretsmanager:DescribeSecret","secretsmanager:GetSecretValue"],"Resource":["*"]}]}`
	if got := policy.Readers([]string{role, account}); got != want {
		t.Errorf("wrote %s\nwant  %s", got, want)
	}
	if got := policy.Readers(nil); got != "" {
		t.Errorf("nobody: %s", got)
	}
}

// AWS may lay a policy out in another way than it was put.
func TestReadersAreReadBack(t *testing.T) {
	ours := policy.Readers([]string{role, account})
	change := func(old, new string) string {
		if !strings.Contains(ours, old) {
			t.Fatalf("no %s in %s", old, ours)
		}
		return strings.Replace(ours, old, new, 1)
	}
	both := []string{role, account}
	statement := ours[strings.Index(ours, `{"Sid"`) : len(ours)-2]
	for text, want := range map[string]struct {
		principals  []string
		ours, exact bool
	}{
		ours:                           {both, true, true},
		policy.Readers([]string{role}): {[]string{role}, true, true},
		change(`"Resource":["*"]`, ` "Resource" : "*" `):                                                 {both, true, true},
		change(`["`+role+`","`+account+`"]`, `["`+account+`","`+role+`"]`):                               {both, true, true},
		change(`["`+role+`","`+account+`"]`, `"`+role+`"`):                                               {[]string{role}, true, true},
		change(role, "AROAEXAMPLEEXAMPLEEXA"):                                                            {[]string{"AROAEXAMPLEEXAMPLEEXA", account}, true, true},
		change("2012-10-17", "2008-10-17"):                                                               {both, true, false},
		change(`"Allow"`, `"Deny"`):                                                                      {both, true, false},
		change(`DescribeSecret`, `*`):                                                                    {both, true, false},
		change(`"Resource":["*"]`, `"Resource":["*"],"Condition":{"Bool":{"aws:ViaAWSService":"true"}}`): {both, true, false},
		change(`{"AWS":["`+role+`","`+account+`"]}`, `"*"`):                                              {nil, true, false},
		change(statement, statement+`,{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"x"},"Action":"a","Resource":"*"}`): {both, true, false},
		change("CloneySecretReaders", "Theirs"): {nil, false, false},
		"":                                      {nil, false, false},
		"{}":                                    {nil, false, false},
		"[]":                                    {nil, false, false},
		`{"Statement":{"Sid":"CloneySecretReaders"}}`: {nil, false, false},
	} {
		principals, ours, exact := policy.ReadersOf(text)
		if diff := cmp.Diff(want.principals, principals); diff != "" || ours != want.ours || exact != want.exact {
			t.Errorf("%s: ours %v, exact %v\n%s", text, ours, exact, diff)
		}
	}
}

// The limit is Secrets Manager's; as many readers as this fit.
func TestHowManyReadersFit(t *testing.T) {
	var readers []string
	for n := range 400 {
		readers = append(readers, fmt.Sprintf("arn:aws:iam::123456789012:role/%03d", n))
	}
	if size := len(policy.Readers(readers)); size > policy.MaxReadersSize {
		t.Errorf("400 readers have %d characters", size)
	}
	for n := range 200 {
		readers = append(readers, fmt.Sprintf("arn:aws:iam::123456789012:role/2%03d", n))
	}
	if size := len(policy.Readers(readers)); size <= policy.MaxReadersSize {
		t.Errorf("600 readers have only %d characters", size)
	}
}
