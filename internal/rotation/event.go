package rotation

import (
	"encoding/json"
	"fmt"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/lazyregexp"
)

// Step is one of the four steps of a rotation.
type Step string

// The steps, in their order.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
const (
	CreateSecret Step = "createSecret"
	SetSecret    Step = "setSecret"
	TestSecret   Step = "testSecret"
	FinishSecret Step = "finishSecret"
)

// steps has both spellings: AWS's guide now writes the second one, but events still have
// the first one.
var steps = map[string]Step{
	"createSecret": CreateSecret, "create_secret": CreateSecret,
	"setSecret": SetSecret, "set_secret": SetSecret,
	"testSecret": TestSecret, "test_secret": TestSecret,
	"finishSecret": FinishSecret, "finish_secret": FinishSecret,
}

// Event is the request of Secrets Manager for one step.
type Event struct {
	Step Step
	// SecretID is the name or the ARN of the secret.
	SecretID string
	// Token names the rotation, and the version that holds its key.
	Token string
	// RotationToken proves to Secrets Manager that a value comes from the function that it
	// has invoked. It may be empty.
	RotationToken access.Secret
}

var isToken = lazyregexp.New(`^[A-Za-z0-9-]+$`)

// ParseEvent reads an event. No error quotes the event, because it holds a secret token.
func ParseEvent(raw []byte) (Event, error) {
	var fields struct {
		Step, SecretID, ClientRequestToken, RotationToken string
	}
	if json.Unmarshal(raw, &fields) != nil {
		return Event{}, fmt.Errorf("the event is not the JSON of a rotation")
	}
	e := Event{Step: steps[fields.Step], SecretID: fields.SecretID, Token: fields.ClientRequestToken, RotationToken: access.NewSecret(fields.RotationToken)}
	switch {
	case e.Step == "":
		return Event{}, fmt.Errorf("the event's Step is not one of createSecret, setSecret, testSecret and finishSecret")
	case len(e.SecretID) > 1000 || !isSecretID.MatchString(e.SecretID):
		return Event{}, fmt.Errorf("the event's SecretId is not the name or the ARN of a secret")
	case len(e.Token) < 32 || len(e.Token) > 64 || !isToken.MatchString(e.Token):
		return Event{}, fmt.Errorf("the event's ClientRequestToken is not the id of a version")
	}
	return e, nil
}

// isSecretID matches names and ARNs.
var isSecretID = lazyregexp.New(`^[A-Za-z0-9/_+=.@:-]+$`)

// arnEnd is what Secrets Manager appends to the name of a secret in its ARN.
var arnEnd = lazyregexp.New(`-[A-Za-z0-9]{6}$`)

// secretName returns the name of the event's secret. An ARN contains the name.
func (e Event) secretName() string {
	if !e.byARN() {
		return e.SecretID
	}
	parts := strings.SplitN(e.SecretID, ":", 7)
	return arnEnd.ReplaceAllString(parts[len(parts)-1], "")
}

func (e Event) byARN() bool { return strings.HasPrefix(e.SecretID, "arn:") }
