package metric_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/metric"
)

// A warning counts for its own event, whatever the logger carries and whether or
// not the line is written.
func TestWarningsAreCounted(t *testing.T) {
	for level, lines := range map[slog.Level]int{slog.LevelDebug: 6, slog.LevelInfo: 5, slog.LevelWarn: 4, slog.LevelError: 1} {
		var out bytes.Buffer
		log := slog.New(metric.Warning(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: level})))
		ctx, tally := metric.Start(t.Context())
		_, other := metric.Start(t.Context())
		log.DebugContext(ctx, "a detail")
		log.InfoContext(ctx, "answered")
		log.WarnContext(ctx, "a reader is gone")
		log.With("user", "u").WarnContext(context.WithoutCancel(ctx), "a key was left")
		log.WithGroup("g").WarnContext(ctx, "a secret was left", "x", 1)
		log.ErrorContext(ctx, "panic")
		if got := tally.Counts(); got != (metric.Counts{Warnings: 3}) || other.Counts() != (metric.Counts{}) {
			t.Errorf("%v: %+v, another event %+v", level, got, other.Counts())
		}
		if got := strings.Count(out.String(), "\n"); got != lines {
			t.Errorf("%v: %d lines, want %d:\n%s", level, got, lines, out.String())
		}
		if level <= slog.LevelWarn && (!strings.Contains(out.String(), `"user":"u"`) || !strings.Contains(out.String(), `"g":{"x":1}`)) {
			t.Errorf("the lines lack what they carry:\n%s", out.String())
		}
		// Outside of an event nobody counts.
		log.Warn("x")
	}
}
