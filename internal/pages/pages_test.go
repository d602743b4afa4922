package pages_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/pages"
)

const root = "../../"

// all are the pages of the repository.
func all(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(root + "docs/*.md")
	if err != nil || len(files) < 10 {
		t.Fatalf("docs/ has %d pages: %v", len(files), err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} {
		files = append(files, root+name)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A reader sees in the first sentence of a page whether it is for them.
func TestPagesSayWhoTheyAreFor(t *testing.T) {
	begins := regexp.MustCompile(`^# .+\n\nFor \w`)
	for _, file := range all(t) {
		if text := read(t, file); file != root+"README.md" && !begins.MatchString(text) {
			line, _, _ := strings.Cut(text, "\n")
			t.Errorf("%s: no sentence that begins with For follows %q", file, line)
		}
	}
}

// widest is how many characters a line of a page has at most.
const widest = 120

// README fits a screen in width, and is a way in, not the reference.
func TestREADMEIsShort(t *testing.T) {
	const longest = 230
	lines := strings.Split(strings.TrimSuffix(read(t, root+"README.md"), "\n"), "\n")
	if len(lines) > longest {
		t.Errorf("README.md has %d lines, more than %d", len(lines), longest)
	}
	for i, line := range lines {
		if width := utf8.RuneCountInString(line); width > widest {
			t.Errorf("README.md:%d: has %d characters, more than %d", i+1, width, widest)
		}
	}
}

// The sentences of the other pages fit it too. Wider are blocks of code, rows of tables, what
// a test has written, and a link that cannot be broken.
func TestSentencesFitAScreen(t *testing.T) {
	for _, page := range all(t) {
		text := blank(written, blank(fenced, read(t, page)))
		for i, line := range strings.Split(text, "\n") {
			words := strings.Fields(line)
			width := utf8.RuneCountInString(line)
			if width > widest && len(words) > 1 && words[0] != "|" {
				t.Errorf("%s:%d: has %d characters, more than %d", page, i+1, width, widest)
			}
		}
	}
}

// blank leaves only the line breaks of what a pattern finds.
func blank(pattern *regexp.Regexp, text string) string {
	return pattern.ReplaceAllStringFunc(text, func(found string) string {
		return strings.Repeat("\n", strings.Count(found, "\n"))
	})
}

var (
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	written = regexp.MustCompile(`(?s)<!-- Written by .*?<!-- End of `)
	link    = regexp.MustCompile(`\]\(([^)\s:#]*)(#[^)\s]+)?\)`)
	// What GitHub leaves out of a heading when it makes an anchor of it.
	unsaid = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Every link of a page to a file or a heading of the repository leads there.
func TestLinksOfPages(t *testing.T) {
	for _, page := range all(t) {
		for _, found := range link.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, page), ""), -1) {
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
	all := map[string]bool{}
	for _, found := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, page), ""), -1) {
		all[strings.ReplaceAll(unsaid.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-")] = true
	}
	return all
}

// checks say how each language of a block is checked. Blocks of yaml, and the commands
// of the AWS CLI, are checked in internal/sandbox, where the tools for them are.
var checks = map[string]func(t *testing.T, b pages.Block){
	"console": func(*testing.T, pages.Block) {}, // TestCommandsOfPages
	"yaml":    func(*testing.T, pages.Block) {},
	"sh":      func(t *testing.T, b pages.Block) { bash(t, b, b.Text) },
	"json":    isJSON,
	"ini":     isINI,
	"ts":      func(*testing.T, pages.Block) {}, // internal/sandbox/snippets
	"hcl":     func(*testing.T, pages.Block) {}, // internal/sandbox/snippets
	"text":    func(*testing.T, pages.Block) {}, // what something prints
	"mermaid": func(*testing.T, pages.Block) {}, // a picture
}

func TestBlocksOfPages(t *testing.T) {
	for _, page := range all(t) {
		blocks, err := pages.Blocks(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks {
			check, known := checks[b.Language]
			if !known {
				t.Errorf("%s:%d: no test checks the language %q", b.Page, b.Line, b.Language)
				continue
			}
			check(t, b)
		}
	}
}

// bash has the shell read a text, and run nothing.
func bash(t *testing.T, b pages.Block, text string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "bash", "-n")
	command.Stdin = strings.NewReader(text)
	if printed, err := command.CombinedOutput(); err != nil || len(printed) > 0 {
		t.Errorf("%s:%d: %s%s", b.Page, b.Line, text, printed)
	}
}

// isJSON takes also statements for IAM policies, which the evaluator has to know.
func isJSON(t *testing.T, b pages.Block) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(b.Text), &value); err != nil {
		t.Errorf("%s:%d: %v", b.Page, b.Line, err)
		return
	}
	policy := map[string]any{"Version": "2012-10-17", "Statement": value}
	switch value := value.(type) {
	case []any:
		if first, isStatement := value[0].(map[string]any); !isStatement || first["Effect"] == nil {
			return
		}
	case map[string]any:
		if value["Statement"] != nil {
			policy = value
		} else if value["Effect"] == nil {
			return
		}
	}
	text, err := json.Marshal(policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := iamtest.Parse(string(text)); err != nil {
		t.Errorf("%s:%d: %v", b.Page, b.Line, err)
	}
}

func isINI(t *testing.T, b pages.Block) {
	t.Helper()
	line := regexp.MustCompile(`^(\[[\w .-]+\]|\w+ = .+|)$`)
	for text := range strings.Lines(b.Text) {
		if !line.MatchString(strings.TrimSuffix(text, "\n")) {
			t.Errorf("%s:%d: %s", b.Page, b.Line, text)
		}
	}
}

// elsewhere are the targets of the Makefile that CI does not run as they stand, and why
// not.
var elsewhere = map[string]string{
	"live":           "it needs an AWS account",
	"live-stacksets": "it needs an organization",
	"publish":        "internal/sandbox/stacksets runs it",
	"invoke":         "test-sam-local runs it",
	"bench":          "it takes 13 minutes, and CI runs its counts",
	"bench-own":      "it needs another commit",
	"sandbox":        "it runs until somebody ends it",
	"verify":         "it needs a secret: make demo verifies one",
	"release":        "it needs the network, and a checkout without changes",
}

// Every console command can be read by the shell, and is one of those that a test runs:
// commands of the AWS CLI, of SAM and of the shell are run in internal/sandbox.
func TestCommandsOfPages(t *testing.T) {
	makefile, ci := read(t, root+"Makefile"), read(t, root+".ci/run")
	for _, page := range all(t) {
		commands, err := pages.Commands(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			bash(t, c.Block, c.Text)
			words := strings.Fields(c.Text)
			if words[0] != "make" {
				continue
			}
			target := words[1]
			switch {
			case !strings.Contains(makefile, "\n"+target+":"):
				t.Errorf("%s:%d: the Makefile has no target %s", c.Page, c.Line, target)
			case !regexp.MustCompile(`\bmake .*\b`+target+`\b`).MatchString(ci) && elsewhere[target] == "":
				t.Errorf("%s:%d: CI does not run make %s", c.Page, c.Line, target)
			}
		}
	}
	for target := range elsewhere {
		if !slices.Contains(strings.Fields(makefile), target+":") {
			t.Errorf("the Makefile has no target %s", target)
		}
	}
}

// What a sentence has a reader run by make is there too.
func TestTargetsInSentences(t *testing.T) {
	makefile := read(t, root+"Makefile")
	target := regexp.MustCompile("`(?:\\w+=\\S+ )*make\\s+([\\w-]+)")
	found := 0
	for _, page := range all(t) {
		for _, called := range target.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, page), ""), -1) {
			found++
			if !strings.Contains(makefile, "\n"+called[1]+":") {
				t.Errorf("%s: the Makefile has no target %s", page, called[1])
			}
		}
	}
	if found < 50 {
		t.Errorf("the pages call make %d times", found)
	}
}
