package spec_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/spec"
)

const (
	shared = `"SecretKmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", `
	role   = "arn:aws:iam::123456789012:role/Reader"
	sso    = "arn:aws:iam::210987654321:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_x_0123456789abcdef"
)

func TestReadersAreARNs(t *testing.T) {
	for text, want := range map[string][]string{
		with(`"SecretReaders": null`):                         nil,
		with(`"SecretReaders": []`):                           nil,
		with(`"SecretReaders": "123456789012, ` + role + `"`): {"arn:aws:iam::123456789012:role/Reader", "arn:aws:iam::123456789012:root"},
		with(`"SecretReaders": ["123456789012", "arn:aws:iam::123456789012:root", 123456789012]`):                            {"arn:aws:iam::123456789012:root"},
		with(`"SecretReaders": ["` + role + `", "arn:aws:iam::123456789012:user/a/b!/c,d@e", "` + role + `"]`):               {role, "arn:aws:iam::123456789012:user/a/b!/c,d@e"},
		with(shared + `"SecretReaders": ["` + sso + `", "012345678901", "123456789012"]`):                                    {"arn:aws:iam::012345678901:root", "arn:aws:iam::123456789012:root", sso},
		with(`"SecretKmsKeyId": "alias/k", "SecretReaders": "` + role + `"`):                                                 {role},
		with(`"SecretKmsKeyId": "arn:aws:kms:eu-west-1:210987654321:alias/k", "SecretReaders": "` + role + `", "Serial": 1`): {role},
	} {
		given := rules(t)
		given.SecretKMSKeys = []string{"*"}
		got, err := spec.Parse(properties(t, text), given)
		if diff := cmp.Diff(want, got.Readers); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
	}
	china := spec.Rules{Owner: owner(t, "aws-cn", "cn-north-1")}
	got, err := spec.Parse(properties(t, with(`"SecretReaders": "123456789012"`)), china)
	if diff := cmp.Diff([]string{"arn:aws-cn:iam::123456789012:root"}, got.Readers); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestLongReaders(t *testing.T) {
	// IAM's longest path and name, and one character more.
	reader := func(path, name int) string {
		return with(fmt.Sprintf(`"SecretReaders": ["arn:aws:iam::123456789012:role/%s/%s"]`, strings.Repeat("a", path-2), strings.Repeat("n", name)))
	}
	if found := problems(t, reader(512, 64), rules(t)); found != nil {
		t.Error(found)
	}
	only(t, reader(513, 64), "SecretReaders[0]", "has a path of 513 characters, and a user or role has at most 512", rules(t))
	only(t, reader(512, 65), "SecretReaders[0]", "is not an account, a user or a role", rules(t))
	only(t, reader(1<<20, 64), "SecretReaders[0]", "is longer than an ARN can be (2048 characters)", rules(t))
}

func TestAllowedReaders(t *testing.T) {
	const in, away = "arn:aws:iam::123456789012:role/apps/Reader", "arn:aws:iam::210987654321:role/apps/Reader"
	for _, c := range []struct {
		patterns, reader string
		allowed          bool
	}{
		{"", away, true},
		{"*", away, true},
		{"none", in, false},
		{"123456789012", in, true},
		{"123456789012", "123456789012", true},
		{"123456789012", "arn:aws:iam::123456789012:root", true},
		{"123456789012", away, false},
		{"210987654321 , 123456789012", in, true},
		{"arn:aws:iam::123456789012:role/apps/*", in, true},
		{"arn:aws:iam::123456789012:role/apps/*", away, false},
		{"arn:aws:iam::123456789012:role/apps/*", "arn:aws:iam::123456789012:user/apps/Reader", false},
		// The whole account is more than one role in it.
		{"arn:aws:iam::123456789012:role/*", "123456789012", false},
		{"arn:aws:iam::123456789012:root", "123456789012", true},
		{"arn:aws:iam::*:role/apps/Reader", away, true},
		{in, in, true},
		{in, in + "2", false},
		{"12345678901", in, false},
		{"1234*", in, false},
	} {
		given := rules(t)
		given.AllowedReaders = spec.Patterns(c.patterns)
		_, err := spec.Parse(properties(t, with(shared+fmt.Sprintf(`"SecretReaders": [%q]`, c.reader))), given)
		if (err == nil) != c.allowed {
			t.Errorf("%q, %q: %v", c.patterns, c.reader, err)
		}
	}
	given := rules(t)
	given.AllowedReaders = []string{"123456789012", "none"}
	only(t, with(shared+fmt.Sprintf(`"SecretReaders": ["123456789012", %q]`, away)), "SecretReaders[1]", "AllowedReaders of the provider's stack (123456789012, none); ask the owner of that stack", given)
}

// A secret that another account reads has to be encrypted with a key that the account may
// use, and only the ARN of a key names one.
func TestAReaderInAnotherAccountNeedsAKeyOfItsOwn(t *testing.T) {
	for _, reader := range []string{"210987654321", "arn:aws:iam::210987654321:root", sso} {
		for _, key := range []string{
			"", `"SecretKmsKeyId": "alias/k", `, `"SecretKmsKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", `,
			`"SecretKmsKeyId": "arn:aws:kms:eu-west-1:123456789012:alias/k", `,
		} {
			only(t, with(key+`"SecretReaders": ["`+role+`", "`+reader+`"]`), "SecretReaders[1]",
				"is in another account than the secret, so the secret needs a customer managed key; set SecretKmsKeyId to the full ARN", rules(t))
		}
		if found := problems(t, with(shared+`"SecretReaders": ["`+reader+`"]`), rules(t)); found != nil {
			t.Errorf("%s with a key: %v", reader, found)
		}
	}
	// What is not a key is one problem, not two.
	only(t, with(`"SecretKmsKeyId": "k y", "SecretReaders": "210987654321"`), "SecretKmsKeyId", "is not a KMS key", rules(t))
}
