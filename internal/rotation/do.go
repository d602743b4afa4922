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

// run is one step while it runs.
type run struct {
	*Rotator
	event    Event
	secret   string // its name
	versions Versions
	issuer   issue.Issuer
	turn     *turn.Turn // nil: the step has written nothing
	did      action
}

func (r *Rotator) begin(event Event) *run {
	run := &run{Rotator: r, event: event, secret: event.secretName(), versions: r.Versions(event.RotationToken), did: nothing}
	run.issuer = issue.Issuer{Keys: r.Keys, Versions: run.versions, Secrets: r.Secrets, Prober: r.Prober, Log: r.Log}
	return run
}

// carryOut looks, decides and does. If the step has to write, it takes its turn, and looks
// and decides again: another run may have changed something before the turn.
func (r *run) carryOut(ctx context.Context) error {
	s, d, err := r.decide(ctx)
	if err == nil && d.action != nothing {
		r.turn, err = turn.Rotator{Users: r.Users, Log: r.Log, Lease: r.Lease, InFlight: r.InFlight}.Take(ctx, *s.user, string(r.event.Step)+" "+r.event.Token)
		defer r.turn.Leave(ctx)
		r.issuer.Guard = r.turn
		if err == nil {
			s, d, err = r.decide(ctx)
		}
		if err == nil {
			r.did = d.action
			err = r.do(ctx, s, d)
		}
	}
	if errors.Is(err, turn.ErrAtWork) {
		err = fmt.Errorf("%w. Secrets Manager tries the rotation again", err)
	}
	var refused Refused
	if errors.As(err, &refused) && refused.announced {
		return errors.Join(err, r.announceFailed(ctx, s, refused))
	}
	return err
}

func (r *run) decide(ctx context.Context) (seen, decision, error) {
	s, err := r.look(ctx)
	if err != nil {
		return s, decision{}, err
	}
	d, err := decide(s)
	return s, d, err
}

func (r *run) do(ctx context.Context, s seen, d decision) error {
	switch d.action {
	case mint:
		return r.mint(ctx, s, d)
	case prove:
		return r.prove(ctx, s, d)
	case promote:
		return r.promote(ctx, s, d)
	case announce:
		return r.announceRotated(ctx, s)
	case discard:
		return r.discard(ctx, s, d.why)
	}
	return nil
}

// mint creates a key, and stores it as the rotation's version.
func (r *run) mint(ctx context.Context, s seen, d decision) error {
	if d.back.ID != "" {
		if err := r.goBack(ctx, s, d); err != nil {
			return err
		}
	}
	for _, key := range d.free {
		// A crash after this leaves one unused key less.
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

// goBack moves AWSCURRENT back to the previous version, because somebody deactivated the
// current key and the previous key is in use. The deactivated key is deleted after that. The
// previous key then gets the label of the Serial that the stack declares: after a crash the
// next run takes it for the key of that Serial.
func (r *run) goBack(ctx context.Context, s seen, d decision) error {
	previous := d.back
	// A crash after each of these leaves the previous key with two labels of a Serial, or
	// with the label of the present Serial. AWSCURRENT has not moved yet, and a deactivated
	// key does not count for its Serial. Secrets Manager repeats the step.
	if keyring.Serial(previous) != d.serial {
		keyID := keyring.KeyID(previous)
		if err := r.label(ctx, previous.ID, name.KeyLabel(d.serial, keyID)); err != nil {
			return err
		}
		if err := r.unlabel(ctx, previous.ID, name.KeyLabel(keyring.Serial(previous), keyID)); err != nil {
			return err
		}
	}
	if err := r.recordMove(ctx, previous); err != nil {
		return err
	}
	// A crash after this leaves AWSCURRENT on the previous key, which works.
	return r.issuer.Promote(ctx, r.secret, previous.ID, s.current().ID)
}

// recordMove records that AWSCURRENT moves to the version now.
func (r *run) recordMove(ctx context.Context, v access.Version) error {
	for _, label := range v.Labels {
		// Earlier attempts may have stopped before the move. A version can hold 20 labels.
		if !name.Since([]string{label}).IsZero() {
			if err := r.unlabel(ctx, v.ID, label); err != nil {
				return err
			}
		}
	}
	// A crash after this leaves a time at which AWSCURRENT did not move, on a version that
	// is not current. Nobody reads it until the move, and then it is written again.
	return r.label(ctx, v.ID, name.SinceLabel(time.Now()))
}

// forget removes our labels from the versions of a deleted key, so that Secrets Manager can
// delete those versions.
func (r *run) forget(ctx context.Context, s seen, keyID string) error {
	for _, v := range s.secret.Versions {
		if keyring.KeyID(v) != keyID {
			continue
		}
		for _, label := range v.Labels {
			if !name.IsOwnLabel(label) {
				continue
			}
			// A crash after this leaves labels that name a deleted key. Nobody reads them,
			// and the next event that issues a key removes them.
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
		return fmt.Errorf("adding a label to version %s: %w", version, err)
	}
	return nil
}

func (r *run) unlabel(ctx context.Context, version, label string) error {
	err := r.turn.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.versions.Unlabel(ctx, r.secret, version, label) })
	if err != nil {
		return fmt.Errorf("removing a label from version %s: %w", version, err)
	}
	return nil
}

// The reasons why a rotation failed after its key was stored.
const (
	testFailed   = "the proof of the new key %s failed, so it was deleted, and the current key stays: %s"
	outOfTime    = "the function ran out of time while it proved key %s. Secrets Manager tries the rotation again: %w" // the key stays
	holdsAnother = "the rotation's version of secret %s holds another key than its label names"
)

// prove proves the rotation's key, and records that. If the proof fails, it discards the
// key.
func (r *run) prove(ctx context.Context, s seen, d decision) error {
	key, err := r.issuer.ReadKey(ctx, r.secret, s.token)
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
	// A crash after this leaves the key proven and pending; finishSecret makes it current.
	return r.label(ctx, s.token, name.ProvenLabel(keyring.Proof(key.KeyID, d.scope)))
}

// discard deletes the rotation's key, which nobody has received, and ends the rotation. It
// deletes the key first: a crash after that leaves a rotation without its key, and the
// next step ends it.
func (r *run) discard(ctx context.Context, s seen, why Refused) error {
	keyID := keyring.KeyID(s.pending())
	if keyID == keyring.KeyID(s.current()) {
		return fmt.Errorf("key %s cannot be discarded: it is current", keyID)
	}
	err := r.turn.Write(ctx, patience.Nothing, func(ctx context.Context) error { return r.Keys.DeleteKey(ctx, s.user.Name, keyID) })
	if err != nil {
		return fmt.Errorf("deleting key %s, whose rotation failed (%s): %w", keyID, why.Reason, err)
	}
	// Announce it before AWSPENDING is removed: after that no further step comes.
	if err := r.announceFailed(ctx, s, why); err != nil {
		return err
	}
	if err := r.unlabel(ctx, s.token, access.Pending); err != nil {
		return err
	}
	why.announced = false // it was announced already
	return errors.Join(why, r.forget(ctx, s, keyID))
}

// promote makes the rotation's key current, and announces that.
func (r *run) promote(ctx context.Context, s seen, d decision) error {
	if !d.proven {
		if err := r.prove(ctx, s, d); err != nil {
			return err
		}
	}
	if err := r.recordMove(ctx, s.pending()); err != nil {
		return err
	}
	if err := r.issuer.Promote(ctx, r.secret, s.token, s.current().ID); err != nil {
		return err
	}
	now, err := ask(ctx, "describing the secret", func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, r.secret) })
	if err != nil {
		return err // Secrets Manager repeats finishSecret
	}
	s.secret = now
	return r.announceRotated(ctx, s)
}
