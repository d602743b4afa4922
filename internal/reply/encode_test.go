package reply_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/reply"
)

const where = " (log stream 2026/11/24/[$LATEST]4459c970fa6d4c77aca62c95850fce54)"

func failed(reason string) reply.Response {
	return reply.Response{
		Status:             reply.Failed,
		Reason:             reason,
		PhysicalResourceID: "m-Source-4kqgyhwxv6wn",
		StackID:            "arn:aws:cloudformation:eu-west-1:123456789012:stack/m/51af3dc0-da77-11e4-872e-1234567db123",
		RequestID:          "0c8ec1a3-1d8b-4a8a-b5c1-51f8c3a40cf5",
		LogicalResourceID:  "Source",
		Where:              where,
	}
}

func decode(t *testing.T, body []byte) reply.Response {
	t.Helper()
	if len(body) > reply.MaxBytes || !utf8.Valid(body) {
		t.Errorf("%d bytes: %q", len(body), body)
	}
	var got reply.Response
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil || decoder.More() {
		t.Errorf("%v in %s", err, body)
	}
	return got
}

// CloudFormation reads these names, and no others.
func TestTheBodyOfASuccess(t *testing.T) {
	body := reply.Response{
		Status: reply.Success, PhysicalResourceID: "user", StackID: "stack", RequestID: "request", LogicalResourceID: "Source",
		Data: map[string]string{"UserName": "user", "SecretName": "a<b>&c"}, Where: where,
	}.Encode()
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "Reason")
	want := map[string]any{
		"Status": "SUCCESS", "PhysicalResourceId": "user", "StackId": "stack", "RequestId": "request", "LogicalResourceId": "Source",
		"Data": map[string]any{"UserName": "user", "SecretName": "a<b>&c"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(string(body), "a<b>&c") {
		t.Errorf("escaped for HTML, which costs room: %s", body)
	}
}

func TestShortReasonsAreKept(t *testing.T) {
	for _, reason := range []string{"x", "access denied", `"quoted", a\b, tab	and é 漢 😀`, strings.Repeat("r", 3000)} {
		if got := decode(t, failed(reason).Encode()); got.Reason != reason+where || got.Status != reply.Failed {
			t.Errorf("%s %q", got.Status, got.Reason)
		}
	}
}

// The cause stands at the beginning of a Reason, the log stream at its end;
// what is in between gives way.
func TestLongReasonsAreCut(t *testing.T) {
	const cause = "creating the user: access denied: "
	for label, filler := range map[string]string{
		"ascii":          "r",
		"two bytes":      "é",
		"three bytes":    "漢",
		"four bytes":     "😀",
		"quotes":         `"`,
		"backslashes":    `\`,
		"control":        "\x01",
		"line separator": "\u2028",
		"mixed":          "a\x00é\"漢\\😀\n",
		"delete":         "\x7f",
	} {
		for _, length := range []int{3300, 3301, 3302, 3303, 3700, 4096, 5000, 200_000} {
			reason := cause + strings.Repeat(filler, length/len(filler))
			body := failed(reason).Encode()
			got := decode(t, body)
			text, ended := strings.CutSuffix(got.Reason, where)
			if !ended || !strings.HasPrefix(text, cause) || !strings.HasPrefix(reason, text) || !utf8.ValidString(text) {
				t.Errorf("%s, %d: %.100q … %q", label, length, got.Reason, got.Reason[max(0, len(got.Reason)-100):])
			}
			if text != reason && len(body) < reply.MaxBytes-50 {
				t.Errorf("%s, %d: cut to %d bytes", label, length, len(body))
			}
			got.Reason, got.Where = reason, where
			if diff := cmp.Diff(failed(reason), got); diff != "" {
				t.Errorf("%s: %s", label, diff)
			}
		}
	}
}

// Ids that CloudFormation would never send do not push the cause out.
func TestIDsThatAreTooLong(t *testing.T) {
	for _, id := range []string{strings.Repeat("i", 100_000), strings.Repeat("\x00", 1024), strings.Repeat("漢", 5000)} {
		for n := range 5 {
			r := failed("LogicalResourceId is not 1 to 255 letters and digits")
			ids := []*string{&r.PhysicalResourceID, &r.StackID, &r.RequestID, &r.LogicalResourceID}
			for i, field := range ids {
				if n == i || n == 4 {
					*field = id
				}
			}
			got := decode(t, r.Encode())
			if got.Reason != r.Reason+where {
				t.Errorf("%d: %q", n, got.Reason)
			}
		}
	}
	// A physical id as long as CloudFormation allows is echoed as it came.
	r := failed(strings.Repeat("r", 5000))
	r.PhysicalResourceID = strings.Repeat("p", 1024)
	r.LogicalResourceID = strings.Repeat("L", 255)
	if got := decode(t, r.Encode()); got.PhysicalResourceID != r.PhysicalResourceID || got.LogicalResourceID != r.LogicalResourceID {
		t.Errorf("ids are cut: %+v", got)
	}
}

// The longest names that IAM and Secrets Manager give fit.
func TestTheLargestSuccessFits(t *testing.T) {
	user := strings.Repeat("u", 64)
	policy := "arn:aws-us-gov:iam::123456789012:policy/cloney/ap-southeast-99/" + user + "-10"
	r := failed("")
	r.Status, r.PhysicalResourceID, r.Where = reply.Success, user, ""
	r.StackID += strings.Repeat("s", 256-len(r.StackID))
	r.LogicalResourceID = strings.Repeat("L", 255)
	r.Data = map[string]string{
		"UserName": user, "UserArn": "arn:aws-us-gov:iam::123456789012:user/cloney/ap-southeast-99/" + user,
		"PolicyArns": strings.TrimSuffix(strings.Repeat(policy+",", 10), ","), "AccessKeyId": strings.Repeat("A", 20),
		"SecretArn":  "arn:aws-us-gov:secretsmanager:ap-southeast-99:123456789012:secret:" + strings.Repeat("s", 519),
		"SecretName": strings.Repeat("s", 512), "SecretVersionId": strings.Repeat("v", 64),
	}
	if diff := cmp.Diff(r, decode(t, r.Encode())); diff != "" {
		t.Error(diff)
	}
}

// FuzzEncode: whatever is in an answer, it is JSON that fits, and begins and
// ends with what matters.
func FuzzEncode(f *testing.F) {
	f.Add("cause", "id", "L", where, 1)
	f.Add("\x00\"\\漢😀\u2028", "\xff", "", "", 3000)
	f.Add("r", "\x00", "é", where, 5000)
	f.Fuzz(func(t *testing.T, reason, physical, logical, where string, times int) {
		if times < 0 || times > 5000 || len(where) > 100 {
			return
		}
		r := failed(strings.Repeat(reason, min(times, 1+100_000/(1+len(reason)))))
		r.PhysicalResourceID, r.LogicalResourceID, r.Where = physical, logical, where
		got := decode(t, r.Encode())
		if !utf8.ValidString(r.Reason) || !utf8.ValidString(where) {
			return
		}
		text, ended := strings.CutSuffix(got.Reason, where)
		if !ended || !strings.HasPrefix(r.Reason, text) || (text == "" && r.Reason != "") {
			t.Errorf("%.100q became %.100q", r.Reason, got.Reason)
		}
	})
}
