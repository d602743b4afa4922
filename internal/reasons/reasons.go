// Package reasons checks that a golden file shows all that a package can say to a
// stack owner, so that whoever reads the file has read every sentence. Tests alone
// use it.
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
	// Words is the length, in bytes, from which on any text with two words counts.
	Words = 1
	// Sentences is the length from which on a text is a sentence by itself. Shorter
	// ones say at which step something happened.
	Sentences = 50
)

// Read fails for each text in the directories' Go files that is not in the golden
// file: of those with that many bytes, what stands between the verbs of a format,
// and is two words at the least. What only the log says is left out.
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
	// Methods of slog.
	logs = regexp.MustCompile(`^(Debug|Info|Warn|Error)(Context)?$`)
)

// texts returns the texts of so many bytes that stand in a file.
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

// parts returns what stands between the verbs of a text.
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
