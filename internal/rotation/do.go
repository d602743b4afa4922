package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/turn"
)

// run is one step at work.
type run struct {
	*Rotator
	event    Event
	secret   string // its name
	versions Versions
	issuer   issue.Issuer
	turn     *turn.Turn // nil: it has written nothing
	did      kind
}

func (r *Rotator) begin(event Event) *run {
	run := &run{Rotator: r, event: event, secret: event.secretName(), versions: r.Versions(event.RotationToken), did: nothing}
	run.issuer = issue.Issuer{Keys: r.Keys, Versions: run.versions, Secrets: r.Secrets, Prober: r.Prober, Log: r.Log}
	return run
}

// carryOut looks, decides and does. Where something is to be written, it takes its turn,
// and looks and decides again: what it has seen before may be another's work.
func (r *run) carryOut(ctx context.Context) error {
	s, d, err := r.decide(ctx)
	if err == nil && d.kind != nothing {
		r.turn, err = turn.Rotator{Users: r.Users, Log: r.Log, Lease: r.Lease, InFlight: r.InFlight}.Take(ctx, *s.user, string(r.event.Step)+" "+r.event.Token)
		defer r.turn.Leave(ctx)
		r.issuer.Guard = r.turn
		if err == nil {
			s, d, err = r.decide(ctx)
		}
		if err == nil {
			r.did = d.kind
			err = r.do(ctx, s, d)
		}
	}
	if errors.Is(err, turn.ErrAtWork) {
		err = fmt.Errorf("%w. Secrets Manager tries the rotation again", err)
	}
	var refused Refused
	if errors.As(err, &refused) && refused.told {
		return errors.Join(err, r.tellFailed(ctx, s, refused))
	}
	return err
}

func (r *run) decide(ctx context.Context) (seen, deed, error) {
	s, err := r.look(ctx)
	if err != nil {
		return s, deed{}, err
	}
	d, err := decide(s)
	return s, d, err
}

func (r *run) do(ctx context.Context, s seen, d deed) error {
	switch d.kind {
	case mint:
		return r.mint(ctx, s, d)
	case prove:
		return r.prove(ctx, s, d)
	case promote:
		return r.promote(ctx, s, d)
	case announce:
		return r.tellRotated(ctx, s)
	case discard:
		return r.discard(ctx, s, d.why)
	}
	return nil
}

// mint makes a key, and stores it as the rotation's version.
func (r *run) mint(ctx context.Context, s seen, d deed) error {
	if d.back.ID != "" {
		if err := r.goBack(ctx, s, d); err != nil {
			return err
		}
	}
	for _, key := range d.free {
		// A crash after this: one key fewer of those that nobody uses.
		err := r.turn.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.Keys.DeleteKey(ctx, s.user.Name, key.ID) })
		if err != nil {
			return fmt.Errorf("deleting key %s to make room: %w", key.ID, err)
		}
		if err := r.forget(ctx, s, key.ID); err != nil {
			return err
		}
	}
	_, err := r.issuer.Mint(ctx, issue.Order{
		User: s.user.Name, Secret: r.secret, Token: s.token, Known: s.keys,
		Labels: func(keyID string) []string {
			return []string{name.KeyLabel(d.serial, keyID), name.LabelLatest, access.Pending}
		},
	})
	if errors.Is(err, issue.ErrRaced) {
		return fmt.Errorf("%w. Secrets Manager tries the rotation again", err)
	}
	return err
}

// goBack moves AWSCURRENT back to the former version, whose key is in use: the current
// key was switched off, and makes room. The former key then stands for the Serial that
// the stack declares: whoever comes after a crash takes it for that, not for another one's.
func (r *run) goBack(ctx context.Context, s seen, d deed) error {
	former := d.back
	// A crash after each of these: two labels say for which Serial the former key was
	// made, or one for the present Serial. AWSCURRENT has not moved, and a key that is
	// switched off stands for nothing; this comes again.
	if keyring.Serial(former) != d.serial {
		keyID := keyring.KeyID(former)
		if err := r.label(ctx, former.ID, name.KeyLabel(d.serial, keyID)); err != nil {
			return err
		}
		if err := r.unlabel(ctx, former.ID, name.KeyLabel(keyring.Serial(former), keyID)); err != nil {
			return err
		}
	}
	if err := r.noteMove(ctx, former); err != nil {
		return err
	}
	// A crash after this: AWSCURRENT names the former key, which lives.
	return r.issuer.Promote(ctx, r.secret, former.ID, s.current().ID)
}

// noteMove notes that AWSCURRENT moves to the version now.
func (r *run) noteMove(ctx context.Context, v access.Version) error {
	for _, label := range v.Labels {
		// Of attempts that did not come to move it: a version holds 20 labels.
		if !name.Since([]string{label}).IsZero() {
			if err := r.unlabel(ctx, v.ID, label); err != nil {
				return err
			}
		}
	}
	// A crash after this: a time at which AWSCURRENT did not move, on a version that it
	// is not at. It says nothing until it moves there, and is written anew then.
	return r.label(ctx, v.ID, name.SinceLabel(time.Now()))
}

// forget takes our labels off the versions of a key that is gone, so that Secrets
// Manager may drop them.
func (r *run) forget(ctx context.Context, s seen, keyID string) error {
	for _, v := range s.secret.Versions {
		if keyring.KeyID(v) != keyID {
			continue
		}
		for _, label := range v.Labels {
			if !name.IsOwnLabel(label) {
				continue
			}
			// A crash after this: labels that name a key that is gone. They say nothing
			// to anyone, and the next event that issues a key takes them off.
			if err := r.unlabel(ctx, v.ID, label); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) label(ctx context.Context, version, label string) error {
	err := r.turn.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.versions.Label(ctx, r.secret, version, label) })
	if err != nil {
		return fmt.Errorf("labelling version %s: %w", version, err)
	}
	return nil
}

func (r *run) unlabel(ctx context.Context, version, label string) error {
	err := r.turn.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.versions.Unlabel(ctx, r.secret, version, label) })
	if err != nil {
		return fmt.Errorf("taking a label off version %s: %w", version, err)
	}
	return nil
}

// Why a rotation failed whose key was stored.
const (
	testFailed   = "the test of the new key %s failed, so it was deleted, and the former one goes on: %s"
	outOfTime    = "the function ran out of time while it proved key %s. Secrets Manager tries the rotation again: %w" // and the key stays
	holdsAnother = "the rotation's version of secret %s holds another key than it says"
)

// prove proves the rotation's key, and notes that. One that fails goes.
func (r *run) prove(ctx context.Context, s seen, d deed) error {
	key, err := r.issuer.Stored(ctx, r.secret, s.token)
	if err != nil {
		return err
	}
	if key.KeyID != keyring.KeyID(s.pending()) {
		return r.discard(ctx, s, s.again(holdsAnother, s.secret.Name))
	}
	subject := access.Subject{MadeUp: s.user.Name == s.owner.User()}
	err = r.issuer.Prove(ctx, key, d.scope, subject)
	if ctx.Err() != nil {
		return fmt.Errorf(outOfTime, key.KeyID, ctx.Err())
	}
	if errors.As(err, new(issue.Unproven)) {
		return r.discard(ctx, s, s.again(testFailed, key.KeyID, err))
	}
	if err != nil {
		return err
	}
	// A crash after this: the key is proven and pending; finishSecret makes it current.
	return r.label(ctx, s.token, name.ProvenLabel(keyring.Proof(key.KeyID, d.scope)))
}

// discard takes the rotation's key away, which was never given to anybody, and ends
// the rotation. In this order: a crash in between leaves a rotation whose key is gone,
// and whoever comes next ends it.
func (r *run) discard(ctx context.Context, s seen, why Refused) error {
	keyID := keyring.KeyID(s.pending())
	if keyID == keyring.KeyID(s.current()) {
		return fmt.Errorf("key %s is to be taken away, and is current", keyID)
	}
	err := r.turn.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.Keys.DeleteKey(ctx, s.user.Name, keyID) })
	if err != nil {
		return fmt.Errorf("deleting key %s, whose rotation failed (%s): %w", keyID, why.Reason, err)
	}
	// Before AWSPENDING goes: after that no step comes that would tell.
	if err := r.tellFailed(ctx, s, why); err != nil {
		return err
	}
	if err := r.unlabel(ctx, s.token, access.Pending); err != nil {
		return err
	}
	why.told = false // it is told
	return errors.Join(why, r.forget(ctx, s, keyID))
}

// promote makes the rotation's key current, and tells.
func (r *run) promote(ctx context.Context, s seen, d deed) error {
	if !d.proven {
		if err := r.prove(ctx, s, d); err != nil {
			return err
		}
	}
	if err := r.noteMove(ctx, s.pending()); err != nil {
		return err
	}
	if err := r.issuer.Promote(ctx, r.secret, s.token, s.current().ID); err != nil {
		return err
	}
	now, err := ask(ctx, "describing the secret", func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, r.secret) })
	if err != nil {
		return err // and finishSecret comes again
	}
	s.secret = now
	return r.tellRotated(ctx, s)
}
