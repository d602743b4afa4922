package sandbox_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/pages"
	"cloney-s3-credentials/internal/sandbox"
)

const otherAccounts = "../../docs/other-accounts.md"

// What docs/other-accounts.md calls the accounts.
const (
	usersAccount   = "111122223333"
	bucketsAccount = "444455556666"
)

// documentOf is a policy of the one statement of docs/other-accounts.md that has this Sid,
// for the bucket "theirs" and the user "reader".
func documentOf(t *testing.T, sid string) *iamtest.Policy {
	t.Helper()
	statement := blockWith(t, otherAccounts, "json", `"Sid": "`+sid+`"`)
	statement = strings.NewReplacer("BUCKET", "theirs", "USER", "reader", "REGION", "eu-west-1").Replace(statement)
	return iamtest.MustParse(`{"Version":"2012-10-17","Statement":[` + statement + `]}`)
}

// The statements for a bucket of another account let in that one user, for exactly what
// the role needs, and only as far as the user's own policy allows it too.
func TestStatementsForABucketOfAnotherAccount(t *testing.T) {
	t.Parallel()
	const user = "arn:aws:iam::" + usersAccount + ":user/cloney/eu-west-1/reader"
	everything := []*iamtest.Policy{iamtest.MustParse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)}
	for _, role := range []string{"Source", "Destination"} {
		bucket := documentOf(t, "Cloney"+role)
		may := func(principal, action, resource string, own []*iamtest.Policy) bool {
			asked := iamtest.Request{Action: action, Resource: "arn:aws:s3:::" + resource, Context: map[string][]string{"aws:PrincipalArn": {principal}}}
			who := iamtest.Account{Identity: own, Resource: bucket, Principal: principal, Owner: bucketsAccount}
			return iamtest.Evaluate(who, asked).Outcome == iamtest.Allowed
		}
		asked := append(slices.Concat(guide["Source"], guide["Destination"]), "s3:DeleteObject BUCKET/", "s3:GetObjectTagging BUCKET/",
			"s3:PutObjectTagging BUCKET/", "s3:PutBucketPolicy BUCKET", "s3:ListBucketVersions BUCKET", "s3:GetBucketPolicy BUCKET")
		for _, entry := range asked {
			action, level, _ := strings.Cut(entry, " ")
			resource := strings.Replace(level, "BUCKET", "theirs", 1)
			if strings.HasSuffix(resource, "/") {
				resource += "key"
			}
			if want := slices.Contains(guide[role], entry); may(user, action, resource, everything) != want {
				t.Errorf("%s: the user may %s on %s: %t", role, action, resource, !want)
			}
			if may(user, action, resource, nil) || may(user, action, strings.Replace(resource, "theirs", "theirs-too", 1), everything) {
				t.Errorf("%s: the user may %s without a policy of its own, or on another bucket", role, action)
			}
			for _, other := range []string{user + "2", "arn:aws:iam::" + usersAccount + ":user/reader", "arn:aws:iam::" + usersAccount + ":role/cloney/eu-west-1/reader"} {
				if may(other, action, resource, everything) {
					t.Errorf("%s: %s may %s", role, other, action)
				}
			}
		}
	}
}

// The statement of a KMS key's policy lets in that one user, through S3 alone.
func TestStatementForAKeyOfAnotherAccount(t *testing.T) {
	t.Parallel()
	const user, key = "arn:aws:iam::" + usersAccount + ":user/cloney/eu-west-1/reader", "arn:aws:kms:eu-west-1:" + bucketsAccount + ":key/1234abcd-12ab-34cd-56ef-1234567890ab"
	policy := documentOf(t, "CloneyKey")
	own := []*iamtest.Policy{iamtest.MustParse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`)}
	for _, c := range []struct {
		principal, action, via string
		may                    bool
	}{
		{user, "kms:GenerateDataKey", "s3.eu-west-1.amazonaws.com", true},
		{user, "kms:Decrypt", "s3.eu-west-1.amazonaws.com", true},
		{user, "kms:Encrypt", "s3.eu-west-1.amazonaws.com", false},
		{user, "kms:Decrypt", "secretsmanager.eu-west-1.amazonaws.com", false},
		{user, "kms:Decrypt", "", false},
		{user + "2", "kms:Decrypt", "s3.eu-west-1.amazonaws.com", false},
	} {
		context := map[string][]string{"aws:PrincipalArn": {c.principal}}
		if c.via != "" {
			context["kms:ViaService"] = []string{c.via}
		}
		who := iamtest.Account{Identity: own, Resource: policy, Principal: c.principal, Owner: bucketsAccount}
		if may := iamtest.Evaluate(who, iamtest.Request{Action: c.action, Resource: key, Context: context}).Outcome == iamtest.Allowed; may != c.may {
			t.Errorf("%s may %s by way of %q: %t", c.principal, c.action, c.via, may)
		}
	}
}

// The page's template makes the user whose ARN the page says. The bucket is in the account
// of the user here: what lets the user into another account is judged above, because moto
// does not keep the buckets of accounts apart.
func TestTemplateForABucketOfAnotherAccount(t *testing.T) {
	own(t)
	file := filepath.Join(t.TempDir(), "other-account.yaml")
	must(t, os.WriteFile(file, []byte(blockWith(t, otherAccounts, "yaml", "AWSTemplateFormatVersion:")), 0o600))
	promised := strings.TrimSpace(blockWith(t, otherAccounts, "text", "arn:aws:iam::"+usersAccount))
	promised = strings.NewReplacer(usersAccount, sandbox.Account, "eu-west-1", sandbox.Region, "USER", "named-first").Replace(promised)
	const key = "arn:aws:kms:" + sandbox.Region + ":" + sandbox.Account + ":key/1234abcd-12ab-34cd-56ef-1234567890ab"
	for _, keys := range []string{"", key} {
		must(t, account(t).Deploy(ctxOf(t), "other-account", file, "Access=Source", "BucketName="+sandbox.SourceBucket,
			"BucketAccountId="+sandbox.Account, "UserName=named-first", "KmsKeyArns="+keys))
		if made := outputs(t, "other-account")["UserArn"]; made != promised {
			t.Errorf("the page names the user %s, and it is %s", promised, made)
		}
		documents, err := account(t).Documents(ctxOf(t), "named-first")
		must(t, err)
		if text := strings.Join(documents, ""); !strings.Contains(text, `"aws:ResourceAccount":["`+sandbox.Account+`"]`) || strings.Contains(text, key) != (keys != "") {
			t.Errorf("with the keys %q the user has %s", keys, text)
		}
	}
	remove(t, "other-account")
	empty(t)
}

// What the page quotes of a stack's reason is what the provider says there.
func TestReasonsForABucketOfAnotherAccount(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("../probe/testdata/sentences.golden")
	must(t, err)
	for situation, begins := range map[string]string{
		"A bucket of another account, of the same organization": "the bucket belongs to another account",
		"A bucket of another account":                           "AWS does not",
	} {
		_, said, found := strings.Cut(string(golden), "\n## "+situation+"\n")
		said, _, _ = strings.Cut(said, "\n## ")
		quoted := strings.TrimSpace(blockWith(t, otherAccounts, "text", begins))
		if !found || !strings.Contains(said, quoted) || !strings.Contains(said, "The user is arn:aws:iam::") {
			t.Errorf("%s: the page quotes %q, and the provider says\n%s", situation, quoted, said)
		}
	}
}

// blockWith is the one block of a page that is in this language and has this text.
func blockWith(t *testing.T, page, language, text string) string {
	t.Helper()
	blocks, err := pages.Blocks(page)
	must(t, err)
	blocks = slices.DeleteFunc(blocks, func(b pages.Block) bool { return b.Language != language || !strings.Contains(b.Text, text) })
	if len(blocks) != 1 {
		t.Fatalf("%s has %d blocks of %s with %q", page, len(blocks), language, text)
	}
	return blocks[0].Text
}
