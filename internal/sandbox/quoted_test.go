package sandbox_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	takingTurns "cloney-s3-credentials/internal/turn"
)

// docs/deploying.md tells an organization that forbids IAM users which statement to write.
// It is the first one of the policy that internal/confinement judges.
func TestStatementThatForbidsIAMUsers(t *testing.T) {
	t.Parallel()
	var onPage any
	must(t, json.Unmarshal([]byte(blockWith(t, "../../docs/deploying.md", "json", "iam:CreateUser")), &onPage))
	judged, err := os.ReadFile("../../stacksets/service-control-policy.json")
	must(t, err)
	var policy struct{ Statement []any }
	must(t, json.Unmarshal(judged, &policy))
	if diff := cmp.Diff(policy.Statement[0], onPage); diff != "" {
		t.Errorf("the page's statement is not the one that is judged:\n%s", diff)
	}
}

// docs/rotation.md shows the paragraph that the rotator sends.
func TestNoticeOfARotation(t *testing.T) {
	t.Parallel()
	sent, err := os.ReadFile("../notice/testdata/credential-rotated.txt")
	must(t, err)
	shown := blockWith(t, "../../docs/rotation.md", "text", "Subject: ")
	if diff := cmp.Diff(strings.Fields(string(sent)), strings.Fields(shown)); diff != "" {
		t.Errorf("the page shows another paragraph than the one that is sent:\n%s", diff)
	}
}

// A stack owner searches docs/operations.md for the message in front of them: each one that
// its table quotes stands so in our code, or in a test of what the code says.
func TestMessagesThatThePageOfOperationsQuotes(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	must(t, err)
	_, section, _ := strings.Cut(string(page), "\n## What happens when…\n")
	section, _, _ = strings.Cut(section, "\n## ")
	quoted := regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(section, -1)
	if len(quoted) < 4 {
		t.Fatalf("the table quotes %d messages", len(quoted))
	}
	said := []byte(takingTurns.ErrNoAnswer.Error()) // its text stands nowhere with the seconds
	must(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		said = append(append(said, '\n'), text...)
		return err
	}))
	for _, message := range quoted {
		if !strings.Contains(string(said), message[1]) {
			t.Errorf("docs/operations.md quotes %q, which our code does not say", message[1])
		}
	}
}
