package access

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

const redacted = "[secret]"

// Secret is the secret half of an access key. It cannot print itself: every verb of fmt,
// slog, and the JSON, text and XML encoders show "[secret]". Only Reveal returns the value,
// and only the two places that need it call it.
type Secret struct{ value string }

// NewSecret wraps a secret value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value itself. Never log, return or wrap it.
func (s Secret) Reveal() string { return s.value }

// Format redacts for every verb of fmt, %d and %x included.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// String redacts.
func (Secret) String() string { return redacted }

// LogValue redacts.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Credentials are both halves of an access key.
type Credentials struct {
	KeyID  string
	Secret Secret
}

// credentialProcess is what every AWS SDK reads from a credential_process.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
type credentialProcess struct {
	Version         int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
}

// Encode returns the value that Secrets Manager stores: the JSON of credential_process. It
// holds the secret, and goes only there.
func (c Credentials) Encode() Secret {
	// Strings and an int cannot fail to marshal.
	text, _ := json.Marshal(credentialProcess{Version: 1, AccessKeyID: c.KeyID, SecretAccessKey: c.Secret.Reveal()})
	return NewSecret(string(text))
}

// DecodeCredentials reads a stored value back. Its error never holds any part
// of the value.
func DecodeCredentials(value Secret) (Credentials, error) {
	var stored credentialProcess
	if err := json.Unmarshal([]byte(value.Reveal()), &stored); err != nil || stored.AccessKeyID == "" || stored.SecretAccessKey == "" {
		return Credentials{}, fmt.Errorf("the secret's value is not the JSON that this provider stores: %w", ErrInvalid)
	}
	return Credentials{KeyID: stored.AccessKeyID, Secret: NewSecret(stored.SecretAccessKey)}, nil
}
