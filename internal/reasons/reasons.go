// Package reasons checks that a golden file shows every sentence that a package can say
// to a stack owner, so that a reviewer can read them all in one place. Only tests use it.
package reasons

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	// Words is a least length, in bytes, with which every text of two words counts.
	Words = 1
	// Sentences is a least length with which only whole sentences count. A shorter text
	// says at which step something happened.
	Sentences = 50
)

// Read fails for each text in the directories' Go files that the golden file does not
// have. It looks at texts of at least so many bytes, and in them at the parts between the
// verbs of a format, of at least two words. It ignores what only the log says.
func Read(t *testing.T, golden string, least int, directories ...string) {
	t.Helper()
	shown, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for _, directory := range directories {
		files, err := filepath.Glob(filepath.Join(directory, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", directory, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, text := range texts(t, file, least) {
				if !strings.Contains(string(shown), text) {
					t.Errorf("%s says %q, which %s does not show", file, text, golden)
				}
			}
		}
	}
}

var (
	verb     = regexp.MustCompile(`%[+]?[a-zA-Z]`)
	twoWords = regexp.MustCompile(`[a-z]{2,}[,;:]? [a-z]{2,}`)
	// The methods of slog.
	logs = regexp.MustCompile(`^(Debug|Info|Warn|Error)(Context)?$`)
)

// texts returns the texts of at least so many bytes in a file.
func texts(t *testing.T, file string, least int) (texts []string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			called, ok := node.Fun.(*ast.SelectorExpr)
			return !ok || !logs.MatchString(called.Sel.Name)
		case *ast.BasicLit:
			texts = append(texts, parts(t, node, least)...)
		}
		return true
	})
	return texts
}

// parts returns the parts of a text between its verbs.
func parts(t *testing.T, literal *ast.BasicLit, least int) (parts []string) {
	t.Helper()
	if literal.Kind != token.STRING || len(literal.Value) < least {
		return nil
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range verb.Split(text, -1) {
		if twoWords.MatchString(part) {
			parts = append(parts, part)
		}
	}
	return parts
}
