//go:build s3

package minio_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// page is docs/clients.md.
type page struct {
	config  string // rclone's
	command string // that it recommends
	rows    []row
}

// row is a command of a table, and what the page says of it.
type row struct {
	line    string
	exits   []int  // of the first run, of the second
	again   string // what a second run sends
	because string
}

var (
	rowPattern     = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([0-9]+(?:, then [0-9]+)?) \\| ([^|]*) \\|( .*)? \\|$")
	configPattern  = regexp.MustCompile("(?s)`rclone.conf`.*?```ini\n(.*?)```")
	commandPattern = regexp.MustCompile(`(?m)^\$ (.*)$`)
)

func readPage(t *testing.T) (p page) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/clients.md")
	must(t, err)
	p.config = configPattern.FindStringSubmatch(string(text))[1]
	p.command = commandPattern.FindStringSubmatch(string(text))[1]
	for _, cells := range rowPattern.FindAllStringSubmatch(strings.ReplaceAll(string(text), "| |", "|  |"), -1) {
		r := row{line: cells[1], again: strings.TrimSpace(cells[3]), because: strings.TrimSpace(cells[4])}
		for _, text := range strings.Split(cells[2], ", then ") {
			exit, err := strconv.Atoi(text)
			must(t, err)
			r.exits = append(r.exits, exit)
		}
		p.rows = append(p.rows, r)
	}
	if all := strings.Count(string(text), "\n| `"); len(p.rows) != all || all == 0 {
		t.Fatalf("%d of the %d rows of the page can be read", len(p.rows), all)
	}
	return p
}

// The page names the versions that it was tried with.
func TestVersionsOfThePage(t *testing.T) {
	text, err := os.ReadFile("../../../docs/clients.md")
	must(t, err)
	d := newDesk(t, "", nil)
	for line, pattern := range map[string]string{
		"rclone version": `rclone (v[0-9.]+)`, "aws --version": `aws-cli/([0-9.]+) `, "s5cmd version": `(v[0-9.]+)-`,
	} {
		out, _ := d.run(t, line)
		version := regexp.MustCompile(pattern).FindStringSubmatch(out)
		if version == nil || !strings.Contains(string(text), "\n\n"+version[1]+", ") {
			t.Errorf("%s: %s the page names another", line, out)
		}
	}
}
