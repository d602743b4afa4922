package resource_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/resource"
)

const foreign = "arn:aws:cloudformation:eu-west-1:999999999999:stack/theirs/51af3dc0-da77-11e4-872e-1234567db123"

// A forged event can name any account in its StackId. An event that would create credentials
// for an account that is not served fails before any call to AWS. A Delete is carried out.
func TestStacksOfOtherAccounts(t *testing.T) {
	ours := strings.Replace(foreign, "999999999999", "123456789012", 1)
	trusted := strings.Replace(foreign, "999999999999", "111122223333", 1)
	frozen := false
	for _, c := range []struct{ requestType, stack, status, did string }{
		{"Create", ours, "SUCCESS", "Create"},
		{"Create", trusted, "SUCCESS", "Create"},
		{"Create", foreign, "FAILED", ""},
		{"Update", ours, "SUCCESS", "Update"},
		{"Update", trusted, "SUCCESS", "Update"},
		// The provider changes nothing for it, and says whether it stands.
		{"Update", foreign, "FAILED", "Update"},
		// Its Create was refused, or its account is no longer trusted.
		{"Delete", foreign, "SUCCESS", "Delete"},
		{"Delete", ours, "SUCCESS", "Delete"},
	} {
		w := world{home: resource.Home{Region: "eu-west-1", Accounts: []string{"123456789012", "111122223333"}}}
		w.update = func(_ context.Context, want plan.Desired) (provision.Result, error) {
			if frozen = want.Frozen; frozen {
				return provision.Result{}, plan.Refused("it is not as declared")
			}
			return stands(want), nil
		}
		got := w.answered(t, t.Context(), event(t, c.requestType, map[string]any{"StackId": c.stack}))
		if got.Status != c.status || got.StackID != c.stack || strings.Join(w.did, " ") != c.did {
			t.Errorf("%s of %s: did %v: %+v", c.requestType, c.stack, w.did, got)
		}
		if got.Status == "FAILED" && (!strings.Contains(got.Reason, "account 999999999999") || !strings.Contains(got.Reason, "TrustedAccounts")) {
			t.Errorf("%s: the reason %q does not say what to do", c.requestType, got.Reason)
		}
		if c.requestType == "Update" && frozen != (c.stack == foreign) {
			t.Errorf("Update of %s: frozen %t", c.stack, frozen)
		}
	}
}

// An error that keeps the provider from finding out whether there is a change is reported.
func TestAFailureIsNotTakenForAnotherAccount(t *testing.T) {
	w := world{home: resource.Home{Region: "eu-west-1", Accounts: []string{"123456789012"}}}
	w.update = func(context.Context, plan.Desired) (provision.Result, error) {
		return provision.Result{}, access.ErrThrottled
	}
	if got := w.answered(t, t.Context(), event(t, "Update", map[string]any{"StackId": foreign})); !strings.Contains(got.Reason, access.ErrThrottled.Error()) {
		t.Errorf("%+v", got)
	}
}

// The rollback of a refused Update succeeds if it changes nothing, so that a stack in an
// account that is no longer trusted does not get stuck. Properties that are not valid are
// still refused.
func TestARollbackOfAStackThatIsNotServed(t *testing.T) {
	for properties, status := range map[string]string{`{"Access": "Source", "Buckets": "one"}`: "SUCCESS", `{"Access": "x"}`: "FAILED"} {
		w := world{home: resource.Home{Region: "eu-west-1", Accounts: []string{"123456789012"}}}
		got := w.answered(t, t.Context(), event(t, "Update", map[string]any{"StackId": foreign, "ResourceProperties": json.RawMessage(properties)}))
		if got.Status != status || status == "FAILED" && !strings.Contains(got.Reason, "TrustedAccounts") {
			t.Errorf("%s: %+v", properties, got)
		}
	}
}

// An event of another region would choose the response bucket itself. Nothing is sent to it,
// whichever of the two regions its ResponseURL names.
func TestStacksOfOtherRegions(t *testing.T) {
	oregon := map[string]any{"StackId": strings.Replace(stackID, "eu-west-1", "us-west-2", 1)}
	there := strings.NewReplacer("euwest1", "uswest2", "eu-west-1", "us-west-2").Replace(responseURL)
	for _, url := range []string{responseURL, there} {
		for _, requestType := range []string{"Create", "Update", "Delete"} {
			w := world{home: resource.Home{Region: "eu-west-1"}}
			oregon["ResponseURL"] = url
			err := w.handle(t.Context(), event(t, requestType, oregon))
			if err == nil || len(w.did)+len(w.sent) > 0 {
				t.Errorf("%s to %s: %v, did %v, sent %+v", requestType, url, err, w.did, w.sent)
			}
			if log := w.log.String(); !strings.Contains(log, "StackId is in region us-west-2") || strings.Contains(log, "5167a7") {
				t.Errorf("the log says %s", log)
			}
		}
	}
	// To a function in that region, the URL is valid.
	w := world{home: resource.Home{Region: "us-west-2"}}
	if got := w.answered(t, t.Context(), event(t, "Create", oregon)); got.Status != "SUCCESS" {
		t.Error(got.Reason)
	}
	// In a local run a person reads the response.
	w = world{home: resource.Home{Region: "eu-west-1"}, hosts: []string{"responses"}}
	oregon["ResponseURL"] = "http://responses/x"
	got := w.answered(t, t.Context(), event(t, "Create", oregon))
	if got.Status != "FAILED" || !strings.Contains(got.Reason, "serves stacks in eu-west-1") || len(w.did) > 0 {
		t.Errorf("did %v: %+v", w.did, got)
	}
}

// Text that cannot be an IAM name does not reach AWS, and reaches the log only quoted; a word
// that is far too long is cut.
func TestWordsThatNoNameCouldBe(t *testing.T) {
	for _, word := range []string{
		"a\nlevel=ERROR msg=forged", "a\r\n{\"level\":\"ERROR\"}", "\x00", "\x1b[2J", "a\u2028b", "\u202egnp.exe", "../../admin", "user/x", "arn:aws:iam::1:user/x", "*", "é",
		strings.Repeat("x", 65), strings.Repeat("\x01", 1024),
	} {
		var w world
		got := w.answered(t, t.Context(), event(t, "Update", map[string]any{"PhysicalResourceId": word}))
		if got.Status != reply.Failed || !strings.Contains(got.Reason, "PhysicalResourceId is not the name of an IAM user") || len(w.did) > 0 {
			t.Errorf("%.40q: did %v: %+v", word, w.did, got)
		}
		plainly(t, &w, word)
		// A Delete may carry an id that CloudFormation invented, which no name need
		// be: provision asks for nothing under it, see provision.TestDeleteOfAnIDThatNoUserCouldHave.
		for _, field := range []string{"PhysicalResourceId", "LogicalResourceId", "RequestId", "RequestType"} {
			w = world{}
			w.answered(t, t.Context(), event(t, "Delete", map[string]any{field: word}))
			plainly(t, &w, word)
		}
		w = world{}
		_ = w.handle(t.Context(), event(t, "Create", map[string]any{"StackId": word, "ResponseURL": word}))
		plainly(t, &w, word)
		w = world{hosts: []string{"responses"}}
		w.answered(t, t.Context(), event(t, "Create", map[string]any{"StackId": word, "ResponseURL": "http://responses/x"}))
		plainly(t, &w, word)
	}
}

// plainly checks that each line of the log, read as text and read as JSON, is a
// printable one of usual length: that of the event's end, and a warning before it if
// the word makes the ResponseURL another event's.
func plainly(t *testing.T, w *world, word string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(w.log.String(), "\n"), "\n")
	if len(lines) > 2 || len(lines) == 2 && !strings.Contains(lines[0], "the path of the ResponseURL does not have") {
		t.Errorf("%.40q: the log has %d lines: %.500q", word, len(lines), lines)
	}
	for _, line := range lines {
		plainLine(t, line, word)
	}
}

// plainLine checks one. A tab or a quote is not the word's own.
func plainLine(t *testing.T, line, word string) {
	t.Helper()
	var read map[string]any
	if err := json.Unmarshal([]byte(line), &read); err != nil || len(line) > 4096 {
		t.Errorf("%.40q: %v: the log has %d bytes: %.300q", word, err, len(line), line)
	}
	for key, value := range read {
		text, _ := value.(string)
		for _, r := range text {
			if r < ' ' || r > '~' {
				t.Errorf("%.40q: %s holds %q: %.300q", word, key, r, text)
				break
			}
		}
	}
}

// A text log is as safe as a JSON one.
func TestAForgedLineInATextLog(t *testing.T) {
	var w world
	handler := resource.Handler{Provisioner: &w, Sender: &w, Log: slog.New(slog.NewTextHandler(&w.log, nil)), LogStream: logStream}
	if err := handler.Handle(t.Context(), event(t, "Delete", map[string]any{"PhysicalResourceId": "x\ntime=2026 level=ERROR msg=forged"})); err != nil {
		t.Fatal(err)
	}
	if text := w.log.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, "\nlevel") {
		t.Errorf("the log says %q", text)
	}
}
