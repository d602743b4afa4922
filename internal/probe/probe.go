// Package probe is the edge to STS and S3: it uses a freshly made key the way
// Cloney will, and says what stands in the way.
//
// It leaves nothing behind: it lists, asks for the bucket's region and for an
// object that does not exist (or for some that do, on a condition that none
// meets), and begins and aborts a multipart upload. It never uses the function's own credentials, and
// reads no object of anyone. Of what S3 answers, codes and
// regions come out of it, never a body: that may hold an object's name.
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
	// settling is how long a new key may take until AWS knows it everywhere. A look
	// that passes at the very end is repeated all the same, up to mostSpan later.
	settling = 90 * time.Second
	// successes in a row are asked for: one place that knows the key does not
	// mean that the next one does.
	successes = 3
	// passes is how often in a row all that the roles need is asked of a place.
	passes = 2
	// fewestLooks is how often a place is asked at the least, however late.
	fewestLooks = 3
	// doubtful is after how many looks, some seven seconds, a denial may have
	// another reason than that all is new.
	doubtful = 5
	// atOnce is how many buckets are asked side by side.
	atOnce = 10
	// closeBy is how near an end is told.
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
	// SourceCIDRs: users are let in from some addresses alone, see the template's
	// SourceCidrs, and this function's own may be none of them.
	SourceCIDRs bool
}

// New returns the edge. Of the configuration it uses the region, the endpoint
// and the HTTP client, never the credentials.
func New(cfg aws.Config, log *slog.Logger, options Options) *Prober {
	return &Prober{cfg: cfg, log: log, options: options}
}

// Prove returns nil once the key authenticates and every place answers as its
// roles need, or an error that names each one that does not. It waits for at
// most 90 seconds for what AWS does not know yet; asking many takes what it takes. The
// log has the whole table, and notes on what is not a failure.
func (p *Prober) Prove(ctx context.Context, key access.Credentials, scope access.Scope, subject access.Subject) error {
	cfg := p.cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(key.KeyID, key.Secret.Reveal(), "")
	// Repeating is ours: what the SDK takes for final is "not yet" here.
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	seen := &lag{started: time.Now()}
	known := &authentication{cfg: cfg, keyID: key.KeyID, lag: seen}
	if err := known.reach(ctx, 1); err != nil {
		return err
	}
	for _, place := range scope.Places {
		if patterned(place) {
			p.log.WarnContext(ctx, "verification", "place", place, "outcome", "note", "note", "*, ? and ${ stand for themselves in a prefix, and match nothing else; check its spelling")
		}
	}
	if why := p.unasked(scope, time.Now()); why != (note{}) {
		if err := known.reach(ctx, successes); err != nil {
			return err
		}
		p.log.Log(ctx, why.level, "verification", "outcome", "authenticated", "note", why.text)
		return nil
	}
	if left := time.Until(scope.ExpiresAt); !scope.ExpiresAt.IsZero() && left < closeBy {
		p.log.WarnContext(ctx, "verification", "outcome", "note", "note", "access ends in "+left.Round(time.Minute).String()+", at "+scope.ExpiresAt.Format(time.RFC3339))
	}
	buckets := bucketsOf(cfg, scope, seen)
	if err := proveAll(ctx, known, buckets); err != nil {
		return err
	}
	r := newReport(buckets, known.user, scope, subject)
	r.log(ctx, p.log, time.Since(seen.started))
	return r.err()
}

// proveAll has the key authenticate often enough, and looks at the buckets
// meanwhile, the first time at once, and the time that they may pass by when the key
// has authenticated.
func proveAll(ctx context.Context, known *authentication, buckets []*bucket) error {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	authenticated := make(chan struct{})
	return parallel.Do(func() (err error) {
		reached := false
		defer func() { // also after a panic: nobody would look at the buckets any more
			if !reached {
				stop()
			}
		}()
		if err = known.reach(ctx, successes); err == nil {
			reached = true
			close(authenticated)
		}
		return err
	}, func() error {
		settleAll(looking, buckets, authenticated)
		return nil
	})
}

// unasked says why buckets are not asked, which then have to deny: the key is
// proven by authentication alone.
func (p *Prober) unasked(scope access.Scope, now time.Time) note {
	switch {
	case scope.Expired(now):
		return note{slog.LevelInfo, "ExpiresAt has passed: buckets now deny the key, as they should, and were not asked"}
	case len(scope.SourceIPs) > 0:
		return note{slog.LevelWarn, "SourceIps is set: buckets may well deny this function's own calls, and were not asked; have the client try each of them"}
	case p.options.SourceCIDRs:
		return note{slog.LevelWarn, "the provider's owner has set SourceCidrs: the users' permissions boundary may well deny this function's own calls, so buckets were not asked; have the client try each of them"}
	}
	return note{}
}

// bucketsOf groups the scope's places, which are sorted, by bucket.
func bucketsOf(cfg aws.Config, scope access.Scope, seen *lag) (buckets []*bucket) {
	for _, name := range scope.Places {
		if len(buckets) == 0 || buckets[len(buckets)-1].name != name.Bucket() {
			buckets = append(buckets, &bucket{cfg: cfg, lag: seen, name: name.Bucket(), scope: scope})
		}
		last := buckets[len(buckets)-1]
		last.places = append(last.places, &place{name: name})
	}
	return buckets
}

// settleAll asks all buckets, ten side by side. One that has to wait leaves
// its place to the others.
func settleAll(ctx context.Context, buckets []*bucket, authenticated <-chan struct{}) {
	slots := make(chan struct{}, atOnce)
	// Also once time is up, or after a panic, but all together within the time of
	// one: the caller has a key to take back.
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), mostWait)
		defer cancel()
		sideBySide(buckets, func(b *bucket) {
			slots <- struct{}{}
			holding(slots, func() { b.clear(tidy) })
		})
	}()
	sideBySide(buckets, func(b *bucket) { b.settle(ctx, slots, authenticated) })
}

func sideBySide(buckets []*bucket, do func(*bucket)) {
	all := make([]func() error, len(buckets))
	for i, b := range buckets {
		all[i] = func() error { do(b); return nil }
	}
	_ = parallel.Do(all...) // none returns one
}
