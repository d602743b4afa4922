// Package probe calls STS and S3 to prove a new key: it uses the key the way Cloney
// will, and says what is in the way.
//
// It leaves nothing behind. It lists, asks for the bucket's region, requests an object
// that does not exist, and begins and aborts a multipart upload. Where S3 does not say
// that an object is missing, it requests objects that exist, on a condition that no
// object meets, so that it reads no data. It never uses the function's own credentials.
// From the answers of S3 it passes on codes and regions, never a body: a body may hold
// the name of an object.
package probe

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/parallel"
)

const (
	// mostPolling is for how long STS and each place are asked again until the key
	// works. A look that passes at the very end is repeated up to mostSpan later.
	mostPolling = 90 * time.Second
	// mostDelay is by when AWS has learned of a new key and its policies, with a wide
	// margin: it usually takes five to ten seconds, see pace.go.
	mostDelay = 30 * time.Second
	// successes is how often in a row the key has to authenticate: one host that knows
	// the key does not mean that the next one does.
	successes = 3
	// passes is how often in a row a place has to allow all that the roles need.
	passes = 2
	// fewestLooks is how often each place is looked at, even at the end of the time.
	fewestLooks = 3
	// doubtful is the number of looks, some seven seconds, after which a denial may
	// have another reason than that the key or the bucket is new.
	doubtful = 5
	// atOnce is how many buckets are looked at side by side.
	atOnce = 10
	// closeBy is how near an ExpiresAt has to be for a note in the log.
	closeBy = 24 * time.Hour
)

// Prober proves keys.
type Prober struct {
	cfg     aws.Config
	log     *slog.Logger
	options Options
}

// Options are what the provider's owner has set.
type Options struct {
	// SourceCIDRs: the permissions boundary allows users only from some addresses, and
	// the function's own may not be among them. See SourceCidrs in the template.
	SourceCIDRs bool
}

// New returns a Prober. From the configuration it uses the region, the endpoint and the
// HTTP client, never the credentials.
func New(cfg aws.Config, log *slog.Logger, options Options) *Prober {
	return &Prober{cfg: cfg, log: log, options: options}
}

// Prove returns nil once the key authenticates and every place allows what its roles
// need, or an error that names each place that does not. It polls for at most 90
// seconds until AWS knows the key and its policies; very many places take longer. The
// log has a line for each place that failed, and notes on what is not a failure.
func (p *Prober) Prove(ctx context.Context, key access.Credentials, scope access.Scope, subject access.Subject) error {
	cfg := p.cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(key.KeyID, key.Secret.Reveal(), "")
	// This package retries, not the SDK: an error that is final to the SDK means "not
	// yet" here.
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	clock := &clock{started: time.Now()}
	auth := &authentication{cfg: cfg, keyID: key.KeyID, clock: clock}
	if err := auth.reach(ctx, 1); err != nil {
		return err
	}
	for _, place := range scope.Places {
		if patterned(place) {
			p.log.WarnContext(ctx, "verification", "place", place, "outcome", "note", "note", "a prefix has no wildcards and no variables: *, ? and ${ are characters like any other; check its spelling")
		}
	}
	if why := p.unasked(scope, time.Now()); why != (note{}) {
		if err := auth.reach(ctx, successes); err != nil {
			return err
		}
		p.log.Log(ctx, why.level, "verification", "outcome", "authenticated", "note", why.text)
		return nil
	}
	if left := time.Until(scope.ExpiresAt); !scope.ExpiresAt.IsZero() && left < closeBy {
		p.log.WarnContext(ctx, "verification", "outcome", "note", "note", "access ends in "+left.Round(time.Minute).String()+", at "+scope.ExpiresAt.Format(time.RFC3339))
	}
	buckets := bucketsOf(cfg, scope, clock)
	if err := proveAll(ctx, auth, buckets); err != nil {
		return err
	}
	r := newReport(buckets, auth.user, scope, subject)
	r.log(ctx, p.log, time.Since(clock.started))
	return r.err()
}

// proveAll lets the key authenticate often enough, and looks at the buckets meanwhile:
// for the first time at once, and for the time by which they may pass once the key has
// authenticated.
func proveAll(ctx context.Context, auth *authentication, buckets []*bucket) error {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	authenticated := make(chan struct{})
	return parallel.Do(func() (err error) {
		reached := false
		defer func() { // also after a panic: the buckets need no more looks
			if !reached {
				stop()
			}
		}()
		if err = auth.reach(ctx, successes); err == nil {
			reached = true
			close(authenticated)
		}
		return err
	}, func() error {
		pollAll(looking, buckets, authenticated)
		return nil
	})
}

// unasked says why the buckets are not asked: they have to deny the function's calls, so
// authentication alone proves the key.
func (p *Prober) unasked(scope access.Scope, now time.Time) note {
	switch {
	case scope.Expired(now):
		return note{slog.LevelInfo, "ExpiresAt has passed, so the buckets deny the key, as they should: they were not asked"}
	case len(scope.SourceIPs) > 0:
		return note{slog.LevelWarn, "SourceIps is set, so the buckets may deny this function's own calls: they were not asked; let the client try each bucket"}
	case p.options.SourceCIDRs:
		return note{slog.LevelWarn, "SourceCidrs of the provider's stack is set, so the users' permissions boundary may deny this function's own calls: the buckets were not asked; let the client try each bucket"}
	}
	return note{}
}

// bucketsOf groups the scope's places, which are sorted, by bucket.
func bucketsOf(cfg aws.Config, scope access.Scope, clock *clock) (buckets []*bucket) {
	for _, name := range scope.Places {
		if len(buckets) == 0 || buckets[len(buckets)-1].name != name.Bucket() {
			buckets = append(buckets, &bucket{cfg: cfg, clock: clock, name: name.Bucket(), scope: scope})
		}
		last := buckets[len(buckets)-1]
		last.places = append(last.places, &place{name: name})
	}
	return buckets
}

// pollAll polls all buckets, ten side by side. A bucket that has to wait gives its slot
// to the others.
func pollAll(ctx context.Context, buckets []*bucket, authenticated <-chan struct{}) {
	slots := make(chan struct{}, atOnce)
	// Also when time is up, or after a panic, but all buckets together within the time
	// of one call: the caller may have to delete the key.
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), mostWait)
		defer cancel()
		sideBySide(buckets, func(b *bucket) {
			slots <- struct{}{}
			holding(slots, func() { b.clear(tidy) })
		})
	}()
	sideBySide(buckets, func(b *bucket) { b.poll(ctx, slots, authenticated) })
}

func sideBySide(buckets []*bucket, do func(*bucket)) {
	all := make([]func() error, len(buckets))
	for i, b := range buckets {
		all[i] = func() error { do(b); return nil }
	}
	_ = parallel.Do(all...) // none returns one
}
