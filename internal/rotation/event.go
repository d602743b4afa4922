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

// steps in both spellings: AWS's guide has come to write the second, and events carry
// the first.
var steps = map[string]Step{
	"createSecret": CreateSecret, "create_secret": CreateSecret,
	"setSecret": SetSecret, "set_secret": SetSecret,
	"testSecret": TestSecret, "test_secret": TestSecret,
	"finishSecret": FinishSecret, "finish_secret": FinishSecret,
}

// Event is what Secrets Manager asks for.
type Event struct {
	Step Step
	// SecretID is the name or the ARN of the secret.
	SecretID string
	// Token names the rotation, and the version that holds its key.
	Token string
	// RotationToken shows Secrets Manager that a value comes from the function that it
	// has invoked. Empty: the event has none.
	RotationToken access.Secret
}

var isToken = lazyregexp.New(`^[A-Za-z0-9-]+$`)

// ParseEvent reads an event. No error quotes it: it holds a secret token.
func ParseEvent(raw []byte) (Event, error) {
	var came struct {
		Step, SecretID, ClientRequestToken, RotationToken string
	}
	if json.Unmarshal(raw, &came) != nil {
		return Event{}, fmt.Errorf("the event is not the JSON of a rotation")
	}
	e := Event{Step: steps[came.Step], SecretID: came.SecretID, Token: came.ClientRequestToken, RotationToken: access.NewSecret(came.RotationToken)}
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

// isSecretID takes names and ARNs alike.
var isSecretID = lazyregexp.New(`^[A-Za-z0-9/_+=.@:-]+$`)

// Secrets Manager ends the ARN of a secret with a hyphen and six characters of its own.
var arnEnd = lazyregexp.New(`-[A-Za-z0-9]{6}$`)

// secretName is the name of the event's secret; an ARN holds it.
func (e Event) secretName() string {
	if !e.byARN() {
		return e.SecretID
	}
	parts := strings.SplitN(e.SecretID, ":", 7)
	return arnEnd.ReplaceAllString(parts[len(parts)-1], "")
}

func (e Event) byARN() bool { return strings.HasPrefix(e.SecretID, "arn:") }
