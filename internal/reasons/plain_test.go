package reasons_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A gap is the space between two words, which may be a line break in a comment.
const gap = `\s+(?:(?://|#)\s*)?`

var (
	// unplain are phrases that a reader must read twice, or that have several meanings.
	// Write "is not a …", "was deleted" or "does not exist", "is attached to", "the current
	// key", "the reader", "again", "wrong".
	unplain = regexp.MustCompile(`\b(?:(?:is|are)` + gap + `(?:no|gone)|hangs?` + gap + `on|gives?` + gap + `out|who` + gap + `shall|anew|amiss)\b`)
	// plain are phrases with the same words that everybody knows.
	plain = regexp.MustCompile(`\b(?:there` + gap + `(?:is|are)` + gap + `no|(?:is|are)` + gap + `no` + gap + `(?:longer|more))\b`)
)

// hasWords are the extensions of the files that people read.
var hasWords = map[string]bool{".go": true, ".md": true, ".py": true, ".yaml": true}

// Code and pages are written in words that a reader reads once.
func TestThePlainWords(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (name == "dist" || name == "testdata" || name != ".." && strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case entry.IsDir() || strings.HasSuffix(name, "_test.go") || name != "Makefile" && !hasWords[filepath.Ext(name)]:
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		words := plain.ReplaceAllStringFunc(strings.ToLower(string(text)), func(phrase string) string {
			return strings.Repeat("\n", strings.Count(phrase, "\n"))
		})
		for _, at := range unplain.FindAllStringIndex(words, -1) {
			t.Errorf("%s:%d: %q", path, 1+strings.Count(words[:at[0]], "\n"), words[at[0]:at[1]])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
