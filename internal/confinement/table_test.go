package confinement_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of attacks into SECURITY.md")

const begin, end = "<!-- The table of attacks: go test ./internal/confinement -update -->\n", "<!-- End of the table -->\n"

// SECURITY.md says of each attack what stops it, as the model has it.
func TestSecurityHasTheTable(t *testing.T) {
	file := filepath.Join(root, "SECURITY.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	table, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("SECURITY.md has no place for the table, between %s and %s", begin, end)
	}
	want := of(t, setup{ireland, named}).table()
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("the table in SECURITY.md is stale; -update writes it anew:\n%s", diff)
	}
}

var headings = map[attacker]string{
	function:   "With the function's credentials, whatever its code does",
	overlooked: "The same, after someone has attached AdministratorAccess to its role",
	issued:     "With an issued key, after its user's policy was edited to allow `*` on `*`",
}

// table is the attacks with what stops each.
func (m *model) table() string {
	var text strings.Builder
	for _, by := range []attacker{function, overlooked, issued} {
		text.WriteString("\n| " + headings[by] + " | Stopped by |\n|---|---|\n")
		for _, a := range m.attacks {
			if a.by == by {
				text.WriteString("| " + a.what + " | " + m.stops(a) + " |\n")
			}
		}
	}
	return text.String() + "\n"
}
