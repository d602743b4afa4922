package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/sandbox"
)

// typed is a line of a page that is typed into a shell.
var typed = regexp.MustCompile(`(?m)^ *\$ (aws .*)$`)

// filesOfCommands makes the files that commands read: a pattern, an event, and an empty zip.
const filesOfCommands = `mkdir -p events; echo '{}' | tee PATTERN.json > events/sweep.json; { printf 'PK\5\6'; head -c 18 /dev/zero; } > FUNCTION.zip; `

// unknown is what AWS documents for version 2 of its CLI, and the version that is pinned
// here does not have.
const unknown = "aws lambda delete-resource-policy "

// Whoever is called at night pastes the commands of these pages: the AWS CLI takes
// every one, with all that it needs and nothing that it does not know, and sends it.
func TestCommandsOfPages(t *testing.T) {
	t.Parallel()
	for page, atLeast := range map[string]int{"../../SECURITY.md": 20, "../../docs/deploying.md": 8} {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			commandsAreTaken(t, page, atLeast)
		})
	}
}

func commandsAreTaken(t *testing.T, page string, atLeast int) {
	t.Helper()
	text, err := os.ReadFile(page)
	must(t, err)
	commands := typed.FindAllStringSubmatch(string(text), -1)
	if len(commands) < atLeast {
		t.Fatalf("%s has %d commands", page, len(commands))
	}
	sent := make(chan string, len(commands))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent <- r.URL.Path
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	env := []string{
		"AWS_ENDPOINT_URL=" + server.URL, "AWS_DEFAULT_REGION=" + sandbox.Region, "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
		"AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE=" + os.DevNull,
	}
	cli := loadCLI(t)
	for _, c := range commands {
		if strings.HasPrefix(c[1], unknown) {
			continue
		}
		got := shell(t, cli.Directory, env, filesOfCommands+c[1])
		select {
		case <-sent:
		default:
			t.Errorf("%s\n%s", c[1], got.Err)
		}
	}
}

// What a strict organization is told to set are parameters of the template.
func TestPagesNameParameters(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/deploying.md")
	must(t, err)
	template, err := os.ReadFile("../../template.yaml")
	must(t, err)
	_, section, _ := strings.Cut(string(page), "## For a strict organization\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, parameters, _ := strings.Cut(string(template), "\nParameters:\n")
	parameters, _, _ = strings.Cut(parameters, "\nMetadata:\n")
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)`").FindAllStringSubmatch(section, -1)
	if len(rows) < 10 {
		t.Fatalf("docs/deploying.md has %d parameters for a strict organization", len(rows))
	}
	for _, row := range rows {
		if !strings.Contains("\n"+parameters, "\n  "+row[1]+":\n") {
			t.Errorf("%s is not a parameter of template.yaml", row[1])
		}
	}
}

var (
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	link    = regexp.MustCompile(`\]\(([^)\s:#]*)(#[^)\s]+)?\)`)
	// What GitHub leaves out of a heading when it makes an anchor of it.
	unsaid = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Every link of a page to a file or a heading of the repository leads there.
func TestLinksOfPages(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	for _, page := range append(pages, "../../README.md", "../../SECURITY.md", "../../CHANGELOG.md") {
		text, err := os.ReadFile(page)
		must(t, err)
		for _, found := range link.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			target := page
			if found[1] != "" {
				target = filepath.Join(filepath.Dir(page), found[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, found[1])
			} else if found[2] != "" && !anchors(t, target)[strings.TrimPrefix(found[2], "#")] {
				t.Errorf("%s links to %s%s, which is not a heading there", page, found[1], found[2])
			}
		}
	}
}

// anchors are those that GitHub gives the headings of a page.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(page)
	must(t, err)
	all := map[string]bool{}
	for _, found := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
		all[strings.ReplaceAll(unsaid.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-")] = true
	}
	return all
}
