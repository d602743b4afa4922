package metric

import (
	"context"
	"log/slog"
)

// Warning returns a handler that counts what is logged at level WARN, and passes it on: the
// response does not show what was accepted and has no effect, or what was left behind. So no
// caller has to count, and no log level hides it.
func Warning(next slog.Handler) slog.Handler { return warning{next} }

type warning struct{ slog.Handler }

func warns(level slog.Level) bool { return level >= slog.LevelWarn && level < slog.LevelError }

func (w warning) Enabled(ctx context.Context, level slog.Level) bool {
	return warns(level) || w.Handler.Enabled(ctx, level)
}

func (w warning) Handle(ctx context.Context, r slog.Record) error {
	if warns(r.Level) {
		add(ctx, func(c *Counts) { c.Warnings++ })
	}
	if !w.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return w.Handler.Handle(ctx, r)
}

func (w warning) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warning{w.Handler.WithAttrs(attrs)}
}

func (w warning) WithGroup(name string) slog.Handler { return warning{w.Handler.WithGroup(name)} }
