package policy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

var update = flag.Bool("update", false, "write the golden policies, and the page that shows them, anew")

// goldens are the names of the cases: each a folder with properties, the policy
// that they make, and the StackId where it is not the usual one.
func goldens(t *testing.T) (names []string) {
	t.Helper()
	files, _ := filepath.Glob("testdata/*/properties.json")
	for _, file := range files {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	if len(names) < 28 {
		t.Fatalf("only %d cases", len(names))
	}
	return names
}

func TestGoldenPolicies(t *testing.T) {
	for _, name := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			got := document(t, name, nil)
			isGolden(t, filepath.Join("testdata", name, "policy.json"), indented(t, got))
			for seed := range int64(5) {
				if again := document(t, name, rand.New(rand.NewSource(seed))); again != got {
					t.Errorf("shuffled properties give other bytes:\n%s\n%s", got, again)
				}
			}
		})
	}
}

// docs/policies.md shows each case, and cannot go stale.
func TestThePageOfPolicies(t *testing.T) {
	var page strings.Builder
	page.WriteString("# Properties and the policies that they make\n\n" +
		"For people who review what a key may do: sets of properties, each next to the managed policy that the provider writes\n" +
		"for them and attaches to the user.\n\n" +
		"`go test ./internal/policy -update` writes this page from the [cases](../internal/policy/testdata) of the tests. The\n" +
		"tests compare each policy with what it is [meant to allow](../internal/policy/intent_test.go), action by action.\n\n")
	for _, name := range goldens(t) {
		properties := readFile(t, filepath.Join("testdata", name, "properties.json"))
		document := readFile(t, filepath.Join("testdata", name, "policy.json"))
		fmt.Fprintf(&page, "## %s\n\n<table>\n<tr><th>Properties</th><th>Policy</th></tr>\n<tr valign=\"top\"><td>\n\n```json\n%s```\n\n</td><td>\n\n```json\n%s```\n\n</td></tr>\n</table>\n\n",
			strings.ReplaceAll(name, "-", " "), properties, document)
	}
	isGolden(t, "../../docs/policies.md", strings.TrimSuffix(page.String(), "\n"))
}

func isGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, file); got != want {
		t.Errorf("differs from %s; if it is meant to, run: go test ./internal/policy -update\n%s", file, got)
	}
}

func indented(t *testing.T, text string) string {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(text), "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	return pretty.String()
}

func readFile(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// document returns the policy of a case, with the lists of its properties in
// another order if shuffle is set.
func document(t testing.TB, name string, shuffle *rand.Rand) string {
	t.Helper()
	documents, err := policy.Documents(1, declared(t, name, shuffle), partitionOf(t, name), nil)
	if err != nil || len(documents) != 1 {
		t.Fatalf("%d documents, %v", len(documents), err)
	}
	return documents[0].Text
}

// declared returns the scope of a case.
func declared(t testing.TB, name string, shuffle *rand.Rand) access.Scope {
	t.Helper()
	var properties map[string]any
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join("testdata", name, "properties.json"))), &properties); err != nil {
		t.Fatal(err)
	}
	for _, value := range properties {
		if list, ok := value.([]any); ok && shuffle != nil {
			shuffle.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
	}
	parsed, err := spec.Parse(properties, rulesOf(t, stackOf(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Scope
}

func stackOf(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name, "stack.txt"))
	if err != nil {
		return "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1"
	}
	return strings.TrimSpace(string(text))
}

func partitionOf(t testing.TB, name string) string {
	return rulesOf(t, stackOf(t, name)).Owner.Stack.Partition
}

func rulesOf(t testing.TB, stackID string) spec.Rules {
	t.Helper()
	stack, err := name.ParseStackID(stackID)
	if err != nil {
		t.Fatal(err)
	}
	return spec.Rules{Owner: name.Owner{Stack: stack, Logical: "L"}}
}
