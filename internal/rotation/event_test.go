package rotation_test

import (
	"fmt"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/rotation"
)

func TestEvents(t *testing.T) {
	const id = "5f3a1d9c-0000-4111-8222-933344445555"
	event := func(step, secret, token string) string {
		return fmt.Sprintf(`{"Step":%q,"SecretId":%q,"ClientRequestToken":%q,"RotationToken":%q}`, step, secret, token, rotationToken)
	}
	for spelled, step := range map[string]rotation.Step{
		"createSecret": rotation.CreateSecret, "create_secret": rotation.CreateSecret, "setSecret": rotation.SetSecret, "set_secret": rotation.SetSecret,
		"testSecret": rotation.TestSecret, "test_secret": rotation.TestSecret, "finishSecret": rotation.FinishSecret, "finish_secret": rotation.FinishSecret,
	} {
		e, err := rotation.ParseEvent([]byte(event(spelled, arn, id)))
		if err != nil || e.Step != step || e.SecretID != arn || e.Token != id || e.RotationToken.Reveal() != rotationToken {
			t.Errorf("%s: %+v, %v", spelled, e, err)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", e, e, e), rotationToken) {
			t.Error("the event prints its RotationToken")
		}
	}
	for _, raw := range []string{
		"", "[]", "{}", event("deleteSecret", arn, id), event("", arn, id), event("createSecret", "", id), event("createSecret", "a b", id),
		event("createSecret", "cloney/x; rm", id), event("createSecret", arn, ""), event("createSecret", arn, "short"), event("createSecret", arn, id+"\n"),
		event("createSecret", arn, strings.Repeat("a", 65)), event("createSecret", strings.Repeat("a", 1001), id),
		`{"Step":1,"RotationToken":"` + rotationToken + `"}`,
	} {
		if e, err := rotation.ParseEvent([]byte(raw)); err == nil || strings.Contains(err.Error(), rotationToken) {
			t.Errorf("%s was read as %+v, %v", raw, e, err)
		}
	}
}
