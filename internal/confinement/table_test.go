package confinement_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of attacks into SECURITY.md")

// The tests write the text between these lines of SECURITY.md.
const (
	begin = "<!-- Written by go test ./internal/confinement -update: %s -->\n"
	end   = "<!-- End of %s -->\n"
)

// SECURITY.md says of each attack which statement stops it, and lists the accepted
// ones, as the model shows them.
func TestSecuritySaysWhatTheModelDoes(t *testing.T) {
	file := filepath.Join(root, "SECURITY.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := replaced(t, string(text), "attacks", of(t, tabled).table())
	want = replaced(t, want, "what is accepted", riskList())
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("SECURITY.md is stale; -update writes it again:\n%s", diff)
	}
}

// The table has each attack that is tried, whichever option it is about.
func TestTheTableHasEveryAttack(t *testing.T) {
	listed := map[string]bool{}
	for _, a := range attacks(tabled) {
		listed[a.what] = true
	}
	for _, s := range setups {
		for _, a := range attacks(s) {
			if !listed[a.what] {
				t.Errorf("not in the table: %s", a.what)
			}
		}
	}
}

// tabled is the setup whose attacks the table shows: with all options except those that
// open something, or set another boundary.
var tabled = func() setup {
	all := onePerOption(ireland)[1]
	all.open = false
	return all
}()

// replaced is the page with another part of that name.
func replaced(t *testing.T, page, name, part string) string {
	t.Helper()
	first, last := fmt.Sprintf(begin, name), fmt.Sprintf(end, name)
	before, rest, found := strings.Cut(page, first)
	_, after, ended := strings.Cut(rest, last)
	if !found || !ended {
		t.Fatalf("SECURITY.md has no place for %s, between %s and %s", name, first, last)
	}
	return before + first + part + last + after
}

var headings = map[attacker]string{
	function:   "With the provider's credentials, whatever its code does",
	overlooked: "The same, after somebody has attached AdministratorAccess to its role",
	rotating:   "With the rotator's credentials, whatever its code does",
	issued:     "With an issued key, after its user's policy was edited to allow `*` on `*`",

	elsewhereRun:     "With the provider's role, but not in its function",
	elsewhereRotates: "With the rotator's role, but not in its function",
	direct:           "With AdministratorAccess in the account, but not through CloudFormation",
}

// table is the attacks with what stops each.
func (m *model) table() string {
	var text strings.Builder
	for _, by := range []attacker{direct, function, overlooked, elsewhereRun, rotating, elsewhereRotates, issued} {
		text.WriteString("\n| " + headings[by] + " | Stopped by |\n|---|---|\n")
		for _, a := range m.attacks {
			if a.by == by {
				text.WriteString("| " + a.what + " | " + m.stops(a) + " |\n")
			}
		}
	}
	return text.String() + "\n"
}
