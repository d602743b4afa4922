package notice_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/notice"
)

var update = flag.Bool("update", false, "write the golden files, and the samples in events, again")

const (
	current = "AKIAIOSFODNN7EXAMPLE"
	former  = "AKIAI44QH8DHBEXAMPLE"
	secret  = "cloney/data-SourceCredentials-b2ksdj3mxq4a"
	user    = "data-SourceCredentials-b2ksdj3mxq4a"
)

var now = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

// sample is a notice as the rotator or the sweep makes it.
func sample(kind notice.Kind, id string) notice.Notice {
	return notice.Notice{
		Kind: kind, ID: id, StackID: "arn:aws:cloudformation:eu-west-1:123456789012:stack/data/6f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0", LogicalID: "SourceCredentials",
		UserName: user, SecretName: secret, SecretARN: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:" + secret + "-AbCdEf", AccessKeyID: current,
	}
}

// samples are one notice of each kind, by the name of its file in events/eventbridge.
func samples() map[string]notice.Notice {
	use := access.LastUse{Time: now.Add(-2 * time.Hour), Service: "s3", Region: "eu-west-1"}
	rotated := sample(notice.Rotated, "1f0c8a52d1b94e37")
	rotated.FormerAccessKeyID, rotated.LastUse, rotated.RetireAfter = former, use, now.AddDate(0, 0, 7)

	inUse := sample(notice.StillInUse, "5a3d7c1e-9b20-4f68-8d15-c4e7f2a90b36")
	inUse.FormerAccessKeyID, inUse.LastUse, inUse.RetireAfter = former, use, use.Time.AddDate(0, 0, 7)
	inUse.Reason = "It was replaced more than 7 days ago, and somebody has used it within the last 7 days"
	inUse.Next = "Find the program that still uses it, and give it the current key: " + notice.ReadKey(secret, inUse.SecretARN)

	retired := sample(notice.Retired, "c07e4b9a-2d63-4815-b9f0-7a1c5e8d2f43")
	retired.FormerAccessKeyID, retired.LastUse = former, access.LastUse{Time: now.AddDate(0, 0, -9), Service: "s3", Region: "eu-west-1"}
	retired.Reason = "It was replaced, and nobody has used it for 7 days"
	retired.Next = "You need not do anything: the sweep deletes the key after about 7 days. If a program fails now, give it the current key. Until then, and if the replaced key has not leaked, you can activate it again: aws iam update-access-key --user-name " + user + " --access-key-id " + former + " --status Active"

	failed := sample(notice.Failed, "8e21b6f4a7c05d93")
	failed.Reason = "the user has two keys already, and AWS allows no more. Key " + former + ", which was replaced, may still be in use: last used on 2026-11-02 for s3 in eu-west-1"
	failed.Next = "Try again when the key has been unused for 7 days; or deactivate it once nothing uses it: aws iam update-access-key --user-name " + user + " --access-key-id " + former + " --status Inactive"

	orphan := sample(notice.Orphan, "e4b1f7d2-6c38-4a95-91e0-d5f3a8c27b64")
	orphan.Reason = "Access key " + former + " of user " + user + " is in no secret of this provider: somebody created it by hand or removed it from the secret, or a run that was stopped has left it"
	orphan.Next = "If nobody needs the key, deactivate it, and delete it later if nothing fails: aws iam update-access-key --user-name " + user + " --access-key-id " + former + " --status Inactive"

	drift := sample(notice.Drift, "29d6c3e8-f174-4b0a-a852-0c9e7b4d1f35")
	drift.Reason = "Somebody has attached policies to user " + user + " that are not this provider's: arn:aws:iam::aws:policy/ReadOnlyAccess. They may allow more than the stack declares, or deny it"
	drift.Next = "Find out who attached them and why. If the user does not need them, detach them in IAM"

	old := sample(notice.Old, "b83f5a0d-1e97-4c42-8d6b-f2a4e9c7105d")
	old.Reason = "It was created on 2026-08-03, more than 90 days ago (KeyAgeDays)"
	old.Next = "Replace it: raise Serial in the stack, or set RotationSchedule"
	return map[string]notice.Notice{
		"credential-rotated": rotated, "old-key-still-in-use": inUse, "old-key-retired": retired, "rotation-failed": failed,
		"orphan-found": orphan, "drift-found": drift, "key-is-old": old,
	}
}

// A message names the stack and the resource first, and puts the cause before the step. If
// the stack is not known, it names the user or else the secret.
func TestTheOrderOfAMessage(t *testing.T) {
	for file, n := range samples() {
		n.Reason, n.Next = "the cause", "the step"
		text := n.Paragraph()
		if !strings.HasPrefix(text, "Stack data, resource SourceCredentials: ") || !strings.HasSuffix(text, " The step.") || !strings.Contains(text, " The cause. ") {
			t.Errorf("%s: %s", file, text)
		}
		n.StackID = ""
		if text := n.Paragraph(); !strings.HasPrefix(text, "User "+user+": ") {
			t.Errorf("%s, without its stack: %s", file, text)
		}
		n.UserName = ""
		if text := n.Paragraph(); !strings.HasPrefix(text, "Secret "+secret+": ") {
			t.Errorf("%s, without its user: %s", file, text)
		}
	}
}

// envelope is what EventBridge puts around the detail.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
type envelope struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType notice.Kind     `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// The samples in events/eventbridge are the events, and testdata holds their paragraphs.
func TestASampleOfEachKind(t *testing.T) {
	for file, n := range samples() {
		event := envelope{
			Version: "0", ID: "00000000-0000-4000-8000-000000000001", DetailType: n.Kind, Source: notice.Source, Account: "123456789012",
			Time: now.Format(time.RFC3339), Region: "eu-west-1", Resources: []string{}, Detail: n.Detail(),
		}
		text, err := json.MarshalIndent(event, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		isGolden(t, filepath.Join("../../events/eventbridge", file+".json"), string(text)+"\n")
		isGolden(t, filepath.Join("testdata", file+".txt"), fmt.Sprintf("Subject: %s\n\n%s\n", n.Subject(), n.Paragraph()))
	}
	files, err := filepath.Glob("../../events/eventbridge/*.json")
	if err != nil || len(files) != len(samples()) {
		t.Errorf("%v, %v", files, err)
	}
}

func isGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("differs from %s; if it is meant to, run: go test ./internal/notice -update\n%s", file, got)
	}
}

// The fields are those of the contract: some are always there, the others if they apply.
func TestTheFieldsOfTheDetail(t *testing.T) {
	always := []string{"id", "stackId", "logicalId", "userName", "secretName", "secretArn", "accessKeyId", "next"}
	for what, c := range map[string]struct {
		n    notice.Notice
		more []string
	}{
		"nothing":        {notice.Notice{}, nil},
		"a former key":   {notice.Notice{FormerAccessKeyID: former, RetireAfter: now}, []string{"formerAccessKeyId", "retireAfter"}},
		"never used":     {notice.Notice{LastUse: access.LastUse{Service: "N/A"}}, nil},
		"used":           {notice.Notice{LastUse: access.LastUse{Time: now}}, []string{"lastUsed"}},
		"there is cause": {notice.Notice{Reason: "x"}, []string{"reason"}},
	} {
		var got map[string]any
		if err := json.Unmarshal(c.n.Detail(), &got); err != nil {
			t.Fatal(err)
		}
		for _, field := range append(c.more, always...) {
			if _, there := got[field]; !there {
				t.Errorf("%s: %s is missing", what, field)
			}
			delete(got, field)
		}
		if len(got) > 0 {
			t.Errorf("%s: besides %v", what, got)
		}
	}
}

// Times are in UTC, whatever zone they come in.
func TestTimesAreUTC(t *testing.T) {
	n := samples()["credential-rotated"]
	there := time.FixedZone("there", 10*60*60)
	n.LastUse.Time, n.RetireAfter = n.LastUse.Time.In(there), n.RetireAfter.In(there)
	want := samples()["credential-rotated"]
	if string(n.Detail()) != string(want.Detail()) || n.Paragraph() != want.Paragraph() {
		t.Errorf("%s\n%s", n.Detail(), n.Paragraph())
	}
}

// A text in a tag, which anybody may have written, cannot break a line, hide or reverse a
// text, fill a message, or become part of a command.
func TestWhatIsNotTrusted(t *testing.T) {
	evil := "x\r\n\x1b[31m\u202e\u2028; rm -rf ~ `id` $(id)" + strings.Repeat("ä", 3000) + "\xff"
	for file, n := range samples() {
		for _, field := range []*string{&n.StackID, &n.LogicalID, &n.UserName, &n.SecretName, &n.SecretARN, &n.AccessKeyID, &n.FormerAccessKeyID, &n.LastUse.Service, &n.LastUse.Region, &n.Reason, &n.Next, &n.ID} {
			was := *field
			*field = evil
			if subject := n.Subject(); len(subject) > 100 || strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%s: the subject is %q", file, subject)
			}
			text := n.Paragraph()
			if strings.ContainsAny(text, "\r\n\x1b\u202e\u2028") || !utf8.ValidString(text) || len(text) > 20_000 {
				t.Errorf("%s: the paragraph is %q", file, text)
			}
			if field == &n.SecretName && strings.Contains(text, "--secret-id x") {
				t.Errorf("%s: it stands in a command: %q", file, text)
			}
			detail := n.Detail()
			if !json.Valid(detail) || len(detail) > 200<<10 || bytes.Contains(detail, []byte("\\u202e")) {
				t.Errorf("%s: the detail is %s", file, detail)
			}
			*field = was
		}
	}
}

// A text that is not the id of a key is not repeated.
func TestWhatIsAKeysID(t *testing.T) {
	for id, is := range map[string]bool{"AKIAIOSFODNN7EXAMPLE": true, strings.Repeat("A", 16): true, strings.Repeat("A", 128): true, strings.Repeat("A", 15): false, strings.Repeat("A", 129): false, "AKIAIOSFODNN7 EXAMPLE": false} {
		n := samples()["credential-rotated"]
		n.AccessKeyID = id
		if strings.Contains(n.Paragraph(), id) != is {
			t.Errorf("%s: %s", id, n.Paragraph())
		}
	}
}

func TestTheCommandThatReadsTheKey(t *testing.T) {
	const says, elsewhere = "aws secretsmanager get-secret-value --secret-id cloney/u --query SecretString --output text", "open the secret in the console of AWS Secrets Manager"
	longest := "cloney/" + strings.Repeat("u", 505)
	for what, c := range map[string]struct{ name, arn, want string }{
		"usual":            {"cloney/u", "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:cloney/u-AbCdEf", says + " --region cn-north-1"},
		"no ARN":           {"cloney/u", "", says},
		"not one":          {"cloney/u", "arn:aws:secretsmanager:$(id):123456789012:secret:x", says},
		"not ours":         {"other/u", "", elsewhere},
		"not a name":       {"cloney/u; id", "", elsewhere},
		"more than a line": {"cloney/u\nid", "", elsewhere},
		"none":             {"", "", elsewhere},
		"longest":          {longest, "", strings.Replace(says, "cloney/u", longest, 1)},
		"longer":           {longest + "u", "", elsewhere},
	} {
		if got := notice.ReadKey(c.name, c.arn); got != c.want {
			t.Errorf("%s: %s", what, got)
		}
	}
}
