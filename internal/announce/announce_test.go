package announce_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/announce"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/notice"
)

const topic = "arn:aws:sns:eu-west-1:123456789012:alarms"

var rotated = notice.Notice{
	Kind: notice.Rotated, ID: "rotated AKIA2", StackID: "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/1", LogicalID: "Credentials",
	UserName: "x", SecretName: "cloney/x", SecretARN: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cloney/x-a1b2c3",
	AccessKeyID: "AKIA2", FormerAccessKeyID: "AKIA1", RetireAfter: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Next: "Paste the new one.",
}

var (
	put       = edgetest.JSON(`{"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]}`)
	published = edgetest.Query("Publish", "<MessageId>m</MessageId>")
)

func notPut(code string) edgetest.Answer {
	return edgetest.JSON(`{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "` + code + `", "ErrorMessage": "AWS says why."}]}`)
}

// to runs a test in synctest's time with these answers of a bus and a topic.
func to(t *testing.T, arn string, bus, sns edgetest.Answer, test func(*testing.T, *announce.Client, *edgetest.AWS, *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		aws := &edgetest.AWS{Answer: func(call edgetest.Call, _ int) edgetest.Answer {
			if call.Operation == "PutEvents" {
				return bus
			}
			return sns
		}}
		var log bytes.Buffer
		test(t, announce.New(aws.Config(t), arn, slog.New(slog.NewTextHandler(&log, nil))), aws, &log)
	})
}

func TestWhatIsTold(t *testing.T) {
	to(t, topic, put, published, func(t *testing.T, c *announce.Client, aws *edgetest.AWS, log *bytes.Buffer) {
		if err := c.Announce(t.Context(), rotated); err != nil || log.Len() > 0 {
			t.Fatal(err, log)
		}
		calls := aws.Calls()
		if diff := cmp.Diff([]string{"PutEvents", "Publish"}, aws.Operations()); diff != "" {
			t.Fatal(diff)
		}
		var sent map[string]any
		if err := json.Unmarshal([]byte(calls[0].JSON), &sent); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"Entries": []any{map[string]any{
			"Source": "cloney.s3-credentials", "DetailType": "Credential Rotated", "Detail": string(rotated.Detail()), "Resources": []any{rotated.SecretARN},
		}}}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Error(diff)
		}
		form := calls[1].Form
		if form.Get("TopicArn") != topic || form.Get("Subject") != rotated.Subject() || form.Get("Message") != rotated.Paragraph() {
			t.Errorf("%v", form)
		}
	})
}

func TestWithoutATopic(t *testing.T) {
	to(t, "", put, edgetest.Answer{}, func(t *testing.T, c *announce.Client, aws *edgetest.AWS, _ *bytes.Buffer) {
		if err := c.Announce(t.Context(), rotated); err != nil || !slices.Equal(aws.Operations(), []string{"PutEvents"}) {
			t.Error(err, aws.Operations())
		}
	})
}

// A successful answer of PutEvents may contain an event that was not put. Nothing else
// shows that.
func TestAnEventThatWasNotPut(t *testing.T) {
	for _, c := range []struct {
		answer edgetest.Answer
		want   error // nil: unclear
	}{
		{notPut("ThrottlingException"), access.ErrThrottled},
		{notPut("NotAuthorizedForSourceException"), access.ErrDenied},
		{notPut("MalformedDetail"), access.ErrInvalid},
		{notPut("InternalFailure"), nil},
		{edgetest.JSONError(400, "AccessDeniedException", "x"), access.ErrDenied},
		{edgetest.JSON(`{}`), nil},
		{edgetest.Answer{}, nil},
	} {
		to(t, topic, c.answer, published, func(t *testing.T, client *announce.Client, aws *edgetest.AWS, _ *bytes.Buffer) {
			err := client.Announce(t.Context(), rotated)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || c.want == nil && access.Definite(err) {
				t.Errorf("%v: %v", c.answer, err)
			}
			if slices.Contains(aws.Operations(), "Publish") {
				t.Errorf("%v: the topic was told, and would be told again", c.answer)
			}
		})
	}
}

// After a temporary error the notice is sent again. A topic that refuses does so until
// somebody repairs it, and must not make rotations fail.
func TestATopicThatDoesNotTakeIt(t *testing.T) {
	for _, c := range []struct {
		answer edgetest.Answer
		again  bool
	}{
		{edgetest.QueryError(404, "NotFound", "x"), false},
		{edgetest.QueryError(403, "AuthorizationError", "x"), false},
		{edgetest.QueryError(400, "KMSAccessDenied", "x"), false},
		{edgetest.QueryError(400, "KMSThrottling", "x"), true},
		{edgetest.QueryError(400, "Throttling", "x"), true},
		{edgetest.QueryError(500, "InternalError", "x"), true},
		{edgetest.Answer{}, true},
	} {
		to(t, topic, put, c.answer, func(t *testing.T, client *announce.Client, _ *edgetest.AWS, log *bytes.Buffer) {
			err := client.Announce(t.Context(), rotated)
			warned := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), topic)
			if (err != nil) != c.again || warned == c.again {
				t.Errorf("%v: %v, %s", c.answer, err, log)
			}
		})
	}
}

// EventBridge refuses an event of more than 256 KB, every day again.
func TestALongReasonIsNotSent(t *testing.T) {
	to(t, topic, put, published, func(t *testing.T, c *announce.Client, aws *edgetest.AWS, _ *bytes.Buffer) {
		long := rotated
		long.Reason = "x" + strings.Repeat("é", 400_000)
		if err := c.Announce(t.Context(), long); err != nil {
			t.Fatal(err)
		}
		for _, call := range aws.Calls() {
			text := call.JSON + call.Form.Get("Message")
			if len(text) > 16_000 || !utf8.ValidString(text) {
				t.Errorf("%s: %d bytes", call.Operation, len(text))
			}
		}
	})
}

// No field of a notice can hold a secret access key: not an access.Secret, credentials, or
// a type that could contain them.
func TestANoticeHasNoFieldForASecret(t *testing.T) {
	plain := []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[notice.Kind](), reflect.TypeFor[time.Time]()}
	var look func(reflect.Type)
	look = func(of reflect.Type) {
		for field := range of.Fields() {
			switch {
			case slices.Contains(plain, field.Type):
			case field.Type == reflect.TypeFor[access.LastUse]():
				look(field.Type)
			default:
				t.Errorf("%s.%s is a %s", of, field.Name, field.Type)
			}
		}
	}
	look(reflect.TypeFor[notice.Notice]())
}
