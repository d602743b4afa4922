package screen

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// What a demo prints: words longer than any line, and texts that just fit.
var long = []string{
	"", "word", strings.Repeat("word ", 100), strings.Repeat("x", 500),
	"ServiceToken arn:aws:lambda:us-east-1:123456789012:function:cloney-s3-credentials-with-a-long-name-that-goes-on-and-on-and-on",
	"Zeichen, die mehr als ein Byte haben: " + strings.Repeat("ä–→ ", 60),
	strings.Repeat("x", 78) + " y", strings.Repeat("x", 79) + " y", strings.Repeat("x", 80) + " y",
}

const document = `{"Version":"2012-10-17","Statement":[{"Sid":"A","Action":["s3:AbortMultipartUpload","s3:ListMultipartUploadParts","s3:PutObject","s3:PutObjectAcl"],` +
	`"Resource":["arn:aws:s3:::bucket-with-a-name-of-sixty-three-characters-that-is-the-most-of-all/and/a/long/prefix/*"],"Condition":{"IpAddress":{"aws:SourceIp":[]}},"Less":"<&>"}]}`

// No line is wider than the screen, in each of its colors, whatever is printed: the
// terminal would wrap it in the middle of a word.
func TestNoLineIsWiderThanTheScreen(t *testing.T) {
	for _, width := range []int{40, 80, 120} {
		for _, color := range []bool{false, true} {
			var out bytes.Buffer
			s := &Screen{Out: &out, Width: width, Color: color}
			for _, text := range long {
				s.Line(Bold, "", text)
				s.Line(Green, "  ✓ may      ", text)
				s.Columns(Red, text, "123.4", "FAILS")
			}
			s.JSON(Faint, "  ", document)
			s.JSON(Faint, "  ", "not JSON: "+strings.Repeat("word ", 100))
			s.Rule()
			for line := range strings.Lines(plain(out.String())) {
				if got := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); got > width {
					t.Errorf("%d characters on a screen of %d: %s", got, width, line)
				}
			}
			if colored := strings.Contains(out.String(), "\033["); colored != color {
				t.Errorf("color is %v: %v", color, colored)
			}
		}
	}
}

// plain is what is seen of a text with color.
func plain(text string) string {
	for _, style := range []Style{Bold, Faint, Red, Green, Yellow} {
		text = strings.ReplaceAll(text, "\033["+string(style)+"m", "")
	}
	return strings.ReplaceAll(text, "\033[0m", "")
}

// Nothing of a text is lost between its lines, and words stay whole where they can.
func TestWrap(t *testing.T) {
	for _, text := range long {
		joined := strings.Join(Wrap(text, "", "", 80), "")
		if want := strings.Join(strings.Fields(text), ""); strings.ReplaceAll(joined, " ", "") != want {
			t.Errorf("%q became %q", text, joined)
		}
	}
	for want, c := range map[string]struct {
		text  string
		width int
	}{
		"- one\n  two\n  three": {"one two three", 7},
		"- one two\n  three":    {"one  two\nthree", 9},
		"- arn:\n  aws:\n  s3":  {"arn:aws:s3", 6},
		"-":                     {"", 9},
	} {
		if got := strings.Join(Wrap(c.text, "- ", "  ", c.width), "\n"); got != want {
			t.Errorf("%q in %d:\n%s\nwant:\n%s", c.text, c.width, got, want)
		}
	}
}

// A laid out policy is the same policy, key by key in its order.
func TestJSON(t *testing.T) {
	lines, err := JSON(document, "  ", 80)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := json.Compact(&again, []byte(strings.Join(lines, "\n"))); err != nil || again.String() != document {
		t.Errorf("%v: %s", err, again.String())
	}
	for _, want := range []string{`  {`, `    "Version": "2012-10-17",`, `        "Sid": "A",`, `          "s3:PutObject",`, `            "aws:SourceIp": []`} {
		if !strings.Contains("\n"+strings.Join(lines, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("there is no line %q in:\n%s", want, strings.Join(lines, "\n"))
		}
	}
	// A list stands in one line where that leaves room for a comma.
	for width, want := range map[int]int{13: 6, 14: 3} {
		if lines, err := JSON(`{"a":[1,2]}`, "", width); err != nil || len(lines) != want {
			t.Errorf("%d wide: %q: %v", width, lines, err)
		}
	}
	for _, bad := range []string{"", "{", `{"a"`, `["a"`, "word"} {
		if lines, err := JSON(bad, "", 80); err == nil {
			t.Errorf("%q was laid out: %q", bad, lines)
		}
	}
}

// A step that takes long says what goes on; what a terminal shows of it is taken away
// again before the next line.
func TestWatch(t *testing.T) {
	for live, want := range map[bool]string{
		false: "  ... waiting 5 s\n  ... waiting 10 s\ndone\n",
		true:  "  ... waiting\r\033[K  ... waiting 1 s\r\033[Kdone\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			s := &Screen{Out: &out, Width: 80, Live: live}
			s.Doing("waiting")
			done, watched := make(chan struct{}), make(chan struct{})
			go func() { defer close(watched); s.Watch(done) }()
			time.Sleep(map[bool]time.Duration{false: 11 * time.Second, true: 1500 * time.Millisecond}[live])
			close(done)
			<-watched
			s.Line(Plain, "", "done")
			if out.String() != want {
				t.Errorf("%q, want %q", out.String(), want)
			}
		})
	}
}

// A long text is cut to the one line that a terminal can take away.
func TestTheLiveLineIsOneLine(t *testing.T) {
	var out bytes.Buffer
	s := &Screen{Out: &out, Width: 80, Live: true}
	s.Doing(strings.Repeat("word ", 100))
	if text := out.String(); strings.Contains(text, "\n") || utf8.RuneCountInString(text) >= 80 {
		t.Errorf("%d characters: %q", utf8.RuneCountInString(text), text)
	}
}

// Of a file no color and no live line come, and it is as wide as COLUMNS says, up to 120.
func TestAFileIsNoTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for columns, want := range map[string]int{"": 80, "72": 72, "300": 120, "wide": 80} {
		t.Setenv("COLUMNS", columns)
		if s := New(file); s.Width != want || s.Color || s.Live {
			t.Errorf("COLUMNS=%s: %d wide, color %v, live %v", columns, s.Width, s.Color, s.Live)
		}
	}
}
