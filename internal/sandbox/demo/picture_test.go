package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/screen"
)

// The picture in README is one that `make recording` has drawn: of this demo, with no
// line that reaches beyond the screen, no key's id, and nothing that a browser would
// have to fetch.
func TestThePicture(t *testing.T) {
	picture, err := os.ReadFile("../../../docs/demo.svg")
	if err != nil {
		t.Fatal(err)
	}
	text := shownIn(t, string(picture))
	for _, line := range strings.Split(text, "\n") {
		if length := len([]rune(line)); length > screen.Usual {
			t.Errorf("%d characters in a line of the picture: %s", length, line)
		}
	}
	for _, step := range (&demo{}).steps() {
		if step.recorded != strings.Contains(text, step.title+"\n") {
			t.Errorf("%q is to be shown: %v; make recording draws it", step.title, step.recorded)
		}
	}
	for _, want := range []string{"✓ may      read an object\n", "✗ may not  write an object", "All of it held."} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture does not show %q", want)
		}
	}
	if id := regexp.MustCompile(`(AKIA|ASIA)[A-Z0-9]{12,}`).FindString(text); id != "" {
		t.Errorf("the picture shows %s", id)
	}
	if fetched := regexp.MustCompile(`@font-face|@import|https?://[^"]*`).FindAllString(strings.Replace(string(picture), "http://www.w3.org/2000/svg", "", 1), -1); len(fetched) > 0 {
		t.Errorf("a browser would fetch %q", fetched)
	}
}

// shownIn is the text of a picture that rich has drawn, a line for each line.
func shownIn(t *testing.T, picture string) string {
	t.Helper()
	var text strings.Builder
	at, inMatrix := "", false
	for decoder := xml.NewDecoder(strings.NewReader(picture)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return text.String() + "\n"
		}
		if err != nil {
			t.Fatalf("the picture is not XML: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inMatrix = token.Name.Local == "text" && attribute(token, "clip-path") != ""
			if y := attribute(token, "y"); inMatrix && y != at {
				text.WriteString("\n")
				at = y
			}
		case xml.CharData:
			if inMatrix {
				text.WriteString(strings.ReplaceAll(string(token), "\u00a0", " "))
			}
		case xml.EndElement:
			inMatrix = false
		}
	}
}

func attribute(element xml.StartElement, name string) string {
	for _, a := range element.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
