package probe_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"html"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/probe"
)

var update = flag.Bool("update", false, "write the golden file again")

const golden = "testdata/sentences.golden"

// The golden file has what a stack owner reads in each case.
func TestSentences(t *testing.T) {
	want, err := os.ReadFile(golden)
	var text bytes.Buffer
	for i, s := range situations() {
		head := "## " + s.label + "\n\n"
		text.WriteString(head)
		if i%accesstest.OneIn(7) == 0 {
			text.WriteString(play(t, s) + "\n")
		} else {
			text.WriteString(section(string(want), head))
		}
	}
	if *update {
		if err := os.WriteFile(golden, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), text.String()); err != nil || diff != "" {
		t.Errorf("%v; go test ./internal/probe -run Sentences -update writes it again\n%s", err, diff)
	}
}

// section returns the part of the golden file between a heading and the next.
func section(text, head string) string {
	_, text, _ = strings.Cut(text, head)
	text, _, more := strings.Cut(text, "\n## ")
	if more {
		text += "\n"
	}
	return text
}

// play returns what S3 says, what the stack owner reads, and what the log has.
func play(t *testing.T, s situation) string {
	t.Helper()
	var log bytes.Buffer
	var err error
	aws := &server{say: s.say, count: map[string]int{}, live: map[string]bool{}}
	t.Run(s.label, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg, _ := new(edgetest.AWS).OverWire(t, aws)
			ctx := t.Context()
			if s.until > 0 {
				later, cancel := context.WithTimeout(ctx, s.until)
				defer cancel()
				ctx = later
			}
			err = probe.New(cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: timeless})), probe.Options{}).Prove(ctx, key(), s.scope, access.Subject{MadeUp: !s.named})
			time.Sleep(2 * time.Minute) // idle connections end
		})
	})
	if len(aws.live) != s.left {
		t.Errorf("%s: uploads are left: %v", s.label, aws.live)
	}
	for _, untold := range []string{secret, someonesObject, "Tnx1wPjCli0", "not authorized to perform", "cloney-verification"} {
		if strings.Contains(fmt.Sprint(err, log.String()), untold) {
			t.Errorf("%s: %q is told: %v\n%s", s.label, untold, err, log.String())
		}
	}
	return summary(aws.told, err, log.String())
}

func summary(told []string, err error, log string) string {
	if err == nil {
		err = fmt.Errorf("(nothing: it is verified)")
	}
	slices.Sort(told)
	if len(told) == 0 {
		told = []string{"(what it answers where all is well)"}
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if len(lines) > 8 {
		lines = append(append(lines[:3:3], fmt.Sprintf("… %d lines more …", len(lines)-4)), lines[len(lines)-1])
	}
	return "S3 answers\n  " + html.UnescapeString(strings.Join(told, "\n  ")) + "\nThe stack owner reads\n  " + err.Error() + "\nThe log has\n  " + strings.Join(lines, "\n  ") + "\n"
}

// timeless leaves out of a log line what differs from run to run.
func timeless(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "milliseconds" || a.Key == "looks" || a.Key == slog.MessageKey {
		return slog.Attr{}
	}
	return a
}
