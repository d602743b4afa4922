package confinement_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var parameterRow = regexp.MustCompile("(?m)^\\| (`[A-Z][A-Za-z]+`(?:, `[A-Z][A-Za-z]+`)*) \\| ([^|]*) \\|")

// The reference has each parameter of the template, with its default. An owner decides
// by this table whether the provider may be deployed.
func TestReferenceHasEveryParameter(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile(filepath.Join(root, "docs/reference.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(reference), "| Parameter of the template | Default | |")
	if !found {
		t.Fatal("docs/reference.md has no table of parameters")
	}
	table, _, _ := strings.Cut(after, "\n\n")
	said := map[string]string{}
	for _, row := range parameterRow.FindAllStringSubmatch(table, -1) {
		for name := range strings.SplitSeq(strings.ReplaceAll(row[1], "`", ""), ", ") {
			said[name] = strings.ReplaceAll(strings.ReplaceAll(row[2], "`", ""), ", ", ",")
		}
	}
	nothing := []string{"none", "any", "anywhere"}
	for name, parameter := range template.Parameters {
		if strings.HasPrefix(name, "Code") { // of the published template alone
			continue
		}
		got, there := said[name]
		delete(said, name)
		switch want := parameter.Default; {
		case !there:
			t.Errorf("docs/reference.md does not have %s", name)
		case want == nil:
			if got != "you have to say" {
				t.Errorf("docs/reference.md gives %s the default %q, and it has none", name, got)
			}
		case want == "":
			if !slices.Contains(nothing, got) {
				t.Errorf("docs/reference.md gives %s the default %q, and it is empty", name, got)
			}
		default:
			// A zero has its meaning behind it.
			if first, _, _ := strings.Cut(got, ",no "); first != fmt.Sprint(want) {
				t.Errorf("docs/reference.md gives %s the default %q, and it is %v", name, got, want)
			}
		}
	}
	for name := range said {
		t.Errorf("docs/reference.md has %s, and the template does not", name)
	}
}
