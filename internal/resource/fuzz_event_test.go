package resource_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/resource"
	"cloney-s3-credentials/internal/spec"
)

// FuzzEvent is about events that reach AWS: each field may hold anything, in
// any type, at any length, twice. In a strict account it is done or refused,
// answered once in JSON that fits, and the Deletes that CloudFormation sends
// for the answer leave nothing.
func FuzzEvent(f *testing.F) {
	const id = "0c8ec1a3-1d8b-4a8a-b5c1-51f8c3a40cf5"
	for _, text := range []string{
		`{"Access": "Source", "Buckets": ["data"], "Serial": 2, "Verify": "False", "RotationSchedule": "rate(30 days)", "RotationGraceDays": 3}`,
		`{"Access": ["Source", "Destination"], "Buckets": "data,logs", "UserName": "former", "SecretName": "cloney/x"}`,
		`{"Access": "Source", "Buckets": "data", "Tags": [{"Key": "é ", "Value": ""}], "SecretKmsKeyId": "alias/x"}`,
		`{"Access": 1, "Buckets": {"a": [[]]}, "UserName": 0, "Serial": "0x1", "Tags": "x", "Verify": null, "Access": "Source"}`,
		"{\"Access\": \"Source\", \"Buckets\": \"\xff\\u0000\", \"UserName\": \"\\ud800\"}",
		`[]`, `"x"`, `null`, `1e999`,
	} {
		f.Add("Create", "Source", "", id, text, "", byte(0))
		f.Add("Update", "Source", "former", id, text, `{"Access": "Source", "Buckets": "data", "UserName": "former"}`, byte(3))
		f.Add("Delete", "Source", physicalID, id, text, "", byte(7))
	}
	f.Add("Create", "Source", "", id, `{"Access": "Source", "Buckets": "data"}`, "", byte(19))       // 512 KB
	f.Add("Update", "Source", "x", "1", `{"Access": "Source", "Buckets": "data"}`, "7", byte(20+21)) // a deep one
	f.Add("\x00", `{"a": 1}`, `["x"]`, "\xff", "true", "{}", byte(17+42))
	f.Fuzz(func(t *testing.T, requestType, logical, physical, request, properties, old string, size byte) {
		// What is not there is looked for again for a while: in made-up time.
		synctest.Test(t, func(t *testing.T) { lives(t, requestType, logical, physical, request, properties, old, size) })
	})
}

func lives(t *testing.T, requestType, logical, physical, request, properties, old string, size byte) {
	raw := assemble(requestType, logical, physical, request, properties, old, size)
	w := newAccount(t, logical, properties)
	if w.handle(raw) != nil || len(w.Writes()) == 0 {
		return // refused at the door, or nothing there to delete
	}
	// CloudFormation deletes what it knows of: the answer's id, and the
	// one that an Update came in with.
	ids := []string{w.answer().PhysicalResourceID}
	if requestType == "Update" && physical != ids[0] {
		ids = append(ids, physical)
	}
	for _, id := range ids {
		if err := w.handle(assemble("Delete", logical, quote(id), request, properties, old, size)); err != nil || w.answer().Status != reply.Success {
			t.Errorf("Delete of %q: %v, %+v", id, err, w.answer())
		}
	}
	if diff := cmp.Diff(accesstest.Inventory{}, w.Inventory()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// account is a strict account with the whole of the flow before it.
type account struct {
	*accesstest.Account
	recorder
	handler resource.Handler
}

// newAccount has buckets "data" and "logs". The user that the properties lead
// to may be removed with the key that its secret gives out.
func newAccount(t *testing.T, logical, properties string) *account {
	w := &account{Account: accesstest.New(t, "data", "logs"), recorder: recorder{t: t}}
	stack, err := name.ParseStackID(stackID)
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	decoder := json.NewDecoder(strings.NewReader(properties))
	decoder.UseNumber()
	_ = decoder.Decode(&read)
	w.ExpectRemoval(spec.Peek(read, name.Owner{Stack: stack, Logical: logical}).UserName)
	log := slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.handler = resource.Handler{
		Provisioner: &provision.Provisioner{
			Users: w.Account, Keys: w.Account, Policies: w.Account, Attachments: w.Account, Secrets: w.Account,
			Keeping: w.Account, Versions: w.Account, Readers: w.Account, Rotations: w.Account, Prober: w.Account, Log: log,
		},
		Rotates: true,
		Sender:  &w.recorder, Log: log, LogStream: logStream,
	}
	return w
}

// handle handles one more event, and checks what can be seen of that.
func (w *account) handle(raw []byte) error {
	w.sent = nil
	err := w.handler.Handle(w.t.Context(), raw)
	if len(w.sent) > 1 || (err == nil) != (len(w.sent) == 1) {
		w.t.Errorf("%v, sent %+v", err, w.sent)
	}
	w.logged(raw)
	if w.Leaked(w.log.String()) {
		w.t.Errorf("a secret half is in the log: %s", w.log.String())
	}
	for _, answer := range w.sent {
		if text, err := json.Marshal(answer); err != nil || w.Leaked(string(text)) {
			w.t.Errorf("a secret half is in the answer, or %v: %s", err, text)
		}
		// What passed our door is what AWS takes.
		if strings.Contains(answer.Reason, "refused as invalid") {
			w.t.Errorf("AWS refuses what the door let in: %s", answer.Reason)
		}
	}
	w.Check()
	return err
}

func (w *account) answer() reply.Response {
	if len(w.sent) != 1 {
		w.t.Fatalf("%d answers", len(w.sent))
	}
	return w.sent[0]
}

// assemble writes an event by hand, because no encoder would write its like:
// what is JSON stands as it is, so that any field can be of any type; the rest
// is a string, with bytes that are not UTF-8. size makes something large, up to
// a megabyte: an unknown field, one that is deep, or a field's first of two
// values.
func assemble(requestType, logical, physical, request, properties, old string, size byte) []byte {
	large := 1 << (size % 21)
	var extra string
	switch size / 21 % 3 {
	case 0:
		extra = `"Also":"` + strings.Repeat("x", large) + `"`
	case 1:
		deep := min(large, 5000)
		extra = `"Also":` + strings.Repeat("[", deep) + strings.Repeat("]", deep)
	case 2:
		extra = `"RequestId":"` + strings.Repeat("i", large) + `"`
	}
	fields := []string{extra, `"ResponseURL":"` + responseURL + `"`, `"StackId":"` + stackID + `"`}
	for _, field := range [][2]string{
		{"RequestType", requestType}, {"LogicalResourceId", logical}, {"PhysicalResourceId", physical}, {"RequestId", request},
		{"ResourceProperties", properties}, {"OldResourceProperties", old},
	} {
		if field[1] != "" {
			fields = append(fields, `"`+field[0]+`":`+value(field[1]))
		}
	}
	return []byte("{" + strings.Join(fields, ",") + "}")
}

func value(text string) string {
	if json.Valid([]byte(text)) {
		return text
	}
	return quote(text)
}

// quote leaves bytes that are not UTF-8 as they are.
func quote(text string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			quoted.WriteByte('\\')
			quoted.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&quoted, `\u%04x`, c)
		default:
			quoted.WriteByte(c)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}
