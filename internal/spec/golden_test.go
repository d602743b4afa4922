package spec_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/reasons"
	"cloney-s3-credentials/internal/spec"
)

var update = flag.Bool("update", false, "write the golden file again")

const golden = "testdata/refusals.golden"

// The golden file has what a stack owner reads, below the properties that cause it. To add
// a case, add a line of properties there; -update writes the message.
func TestRefusals(t *testing.T) {
	file, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var rules spec.Rules
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "\t") {
			continue // the message of the last -update
		}
		text.WriteString(line)
		if where, ok := strings.CutPrefix(line, "## "); ok {
			rules = ruled(t, strings.TrimSpace(where))
		} else if strings.HasPrefix(line, "{") {
			found := problems(t, line, rules)
			if len(found) == 0 {
				t.Errorf("accepted: %s", line)
				continue
			}
			text.WriteString("\t" + found.Error() + "\n")
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(file), text.String()); diff != "" {
		t.Errorf("go test ./internal/spec -run Refusals -update writes %s again\n%s", golden, diff)
	}
}

// ruled returns the rules that a heading of the golden file names.
func ruled(t *testing.T, where string) spec.Rules {
	given := rules(t)
	switch where {
	case "in eu-west-1":
	case "where nothing rotates":
		given.Rotates = false
	case "in cn-north-1":
		given.Owner = owner(t, "aws-cn", "cn-north-1")
	case "in a Create at noon on 2026-06-01":
		given.Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	case "where AllowedBuckets is logs,data-* and AllowedReaders is none":
		given.AllowedBuckets, given.AllowedReaders = spec.Patterns("logs,data-*"), spec.Patterns("none")
	case "where ClosedBuckets is cdk-*,cf-templates-*, SecretKmsKeys names a key of account 444455556666, and SourceCidrs is 203.0.113.0/24,2001:db8::/32":
		given.ClosedBuckets = spec.Patterns("cdk-*,cf-templates-*")
		given.SecretKMSKeys = spec.Patterns("arn:aws:kms:*:444455556666:key/mrk-1234abcd12ab34cd56ef1234567890ab")
		given.SourceCIDRs, _ = spec.Ranges("203.0.113.0/24, 2001:db8::/32")
	case "where SecretKmsKeys is none, RequireSecretKmsKey is true, and the provider is in account 210987654321":
		given.Account, given.RequireSecretKMSKey = "210987654321", true
	case "where MaxDays is 90, in a Create at noon on 2026-06-01":
		given.MaxDays, given.Now = 90, time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	default:
		t.Fatalf("%s has no rules for %q", golden, where)
	}
	return given
}

// For a new sentence, add properties that cause it to the golden file.
func TestTheGoldenFileHasEverySentence(t *testing.T) {
	reasons.Read(t, golden, reasons.Words, ".")
}
