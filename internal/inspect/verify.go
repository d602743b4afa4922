package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/probe"
	"cloney-s3-credentials/internal/rotation"
	"cloney-s3-credentials/internal/screen"
	"cloney-s3-credentials/internal/secrets"
	"cloney-s3-credentials/internal/users"
)

// verifyOnAWS verifies a secret of the account and region that the caller's own
// configuration of the AWS CLI and the SDKs names.
func verifyOnAWS(ctx context.Context, secret string, out *screen.Screen) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return errors.New("no region is configured: export AWS_REGION, the region of the secret")
	}
	seen := &findings{says: map[string]string{}}
	log := slog.New(seen)
	iam := users.New(cfg, users.Options{Path: name.Path(cfg.Region), Account: edge.Account(cfg, "")})
	kept := secrets.New(cfg, secrets.Options{})
	return verify(ctx, secret, out, seen, &rotation.Rotator{
		Users: iam, Keys: iam, Policies: iam, Secrets: kept, Log: log, Prober: probe.New(cfg, log, probe.Options{}),
		Versions: func(access.Secret) rotation.Versions { return kept },
	})
}

// verify proves the current key of a secret, and prints a line for each place. Nothing
// that it prints holds the secret half of the key.
func verify(ctx context.Context, secret string, out *screen.Screen, seen *findings, rotator *rotation.Rotator) error {
	out.Doing("reading secret " + secret)
	current, err := rotator.Current(ctx, secret)
	if err != nil {
		return err
	}
	out.Line(screen.Bold, "", fmt.Sprintf("secret %s: key %s of user %s, to %s", secret, current.Key.KeyID, current.User, purpose(current.Scope)))
	out.Doing("using the key; where something is denied, this takes up to 90 s")
	done, watched := make(chan struct{}), make(chan struct{})
	go func() { defer close(watched); out.Watch(done) }()
	err = rotator.Prove(ctx, current)
	close(done)
	<-watched
	seen.print(out, current.Scope.Places, err)
	return err
}

// purpose says what a key is for.
func purpose(scope access.Scope) string {
	var words []string
	if scope.Source {
		words = append(words, "read (Source)")
	}
	if scope.Destination {
		words = append(words, "write (Destination)")
	}
	return strings.Join(words, " and ")
}

// findings is what the proof logs of each place. It is the log's handler.
type findings struct {
	says  map[string]string // by place: why it fails, or that the time was up
	notes []string
	asked bool // the buckets were asked, and not the key alone proven
}

// Enabled reports that every record counts.
func (f *findings) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs and WithGroup are not used by the proof.
func (f *findings) WithAttrs([]slog.Attr) slog.Handler { return f }

// WithGroup is not used by the proof.
func (f *findings) WithGroup(string) slog.Handler { return f }

// Handle keeps what a record says of a place.
func (f *findings) Handle(_ context.Context, r slog.Record) error {
	about := map[string]string{}
	r.Attrs(func(a slog.Attr) bool { about[a.Key] = a.Value.String(); return true })
	switch about["outcome"] {
	case "failed":
		f.says[about["place"]] = about["says"]
	case "unfinished":
		f.says[about["place"]] = "no answer in time"
	case "summary":
		f.asked = true
	case "note", "authenticated":
		f.notes = append(f.notes, strings.TrimPrefix(about["place"]+": "+about["note"], ": "))
	}
	return nil
}

// print prints a line for each place, in their order, and the notes.
func (f *findings) print(out *screen.Screen, places []access.Place, err error) {
	for _, place := range places {
		says, fails := f.says[string(place)]
		switch {
		case fails:
			out.Line(screen.Red, "  ✗ fails  ", string(place)+": "+says)
		case f.asked:
			out.Line(screen.Green, "  ✓ works  ", string(place))
		}
	}
	slices.Sort(f.notes)
	for _, note := range f.notes {
		out.Line(screen.Yellow, "  note: ", note)
	}
	if err == nil && !f.asked {
		out.Line(screen.Plain, "  ", "The key authenticates. The buckets were not asked.")
	}
}
