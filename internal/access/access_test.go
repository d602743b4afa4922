package access_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
)

const half = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

func TestASecretCannotPrintItself(t *testing.T) {
	credentials := access.Credentials{KeyID: "AKIAEXAMPLE", Secret: access.NewSecret(half)}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+"\n", credentials)
		fmt.Fprintf(&out, verb+"\n", &credentials)
		fmt.Fprintf(&out, verb+"\n", credentials.Secret)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "credentials", credentials, "secret", credentials.Secret)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "credentials", credentials, "secret", credentials.Secret)
	text, err := json.Marshal(credentials)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	for _, form := range []string{half, fmt.Sprintf("%x", half), fmt.Sprintf("%X", half), half[:12]} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret was printed:\n%s", out.String())
		}
	}
}

func TestWhatIsDefinite(t *testing.T) {
	for _, outcome := range []error{
		access.ErrNotFound, access.ErrExists, access.ErrLimit, access.ErrConflict, access.ErrBusy, access.ErrThrottled, access.ErrDenied,
		access.ErrPublic, access.ErrMoved, access.ErrInvalid,
	} {
		err := fmt.Errorf("a step: %w: AWS says why", outcome)
		if !access.Definite(err) {
			t.Errorf("%v is not definite", err)
		}
		if doubted := fmt.Errorf("%w; %w", err, access.ErrDoubt); access.Definite(doubted) || !errors.Is(doubted, outcome) {
			t.Errorf("%v is definite", doubted)
		}
	}
	for _, unclear := range []error{access.ErrPrincipal, access.ErrDoubt, errors.New("connection reset"), nil} {
		if access.Definite(unclear) {
			t.Errorf("%v is definite", unclear)
		}
	}
}

func TestStoredValueIsWhatCredentialProcessTakes(t *testing.T) {
	stored := access.Credentials{KeyID: "AKIAEXAMPLE", Secret: access.NewSecret(half)}.Encode()
	want := `{"Version":1,"AccessKeyId":"AKIAEXAMPLE","SecretAccessKey":"` + half + `"}`
	if stored.Reveal() != want {
		t.Errorf("stored %s\nwant   %s", stored.Reveal(), want)
	}
	back, err := access.DecodeCredentials(stored)
	if err != nil || back.KeyID != "AKIAEXAMPLE" || back.Secret.Reveal() != half {
		t.Errorf("decoded %v, %v", back, err)
	}
}

func TestDecodingSaysNothingOfTheValue(t *testing.T) {
	for _, value := range []string{"", half, `{"AccessKeyId":"` + half + `"}`, `["` + half + `"]`, `{"SecretAccessKey": "` + half} {
		_, err := access.DecodeCredentials(access.NewSecret(value))
		if err == nil {
			t.Errorf("%q was accepted", value)
		} else if strings.Contains(err.Error(), half) {
			t.Errorf("the error holds the value: %v", err)
		}
	}
}
