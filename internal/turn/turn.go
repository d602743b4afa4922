// Package turn carries out the writes of a run, as long as it is the run's turn. Package
// order says whose turn it is.
//
// All runs write through Writer: an event's, a rotation's and the sweep's. Turn is the turn
// of a rotator run on one user: it leaves the run's mark, waits until no other run can have
// a call under way, and removes the mark at the end.
package turn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/patience"
)

// Writer writes as long as it is the run's turn.
type Writer struct {
	// Hold returns nil while it is the run's turn.
	Hold func(ctx context.Context) error
	// Note is called before the run changes something; nil: not called.
	Note func()
}

// Write repeats f until it succeeds or fails for good, as long as it is the run's turn. f
// must have the same effect however often it is called.
func (w Writer) Write(ctx context.Context, wait patience.For, f func(context.Context) error) error {
	return wait.Do(ctx, func() error {
		err := w.try(ctx, f)
		if errors.Is(err, ErrNoAnswer) && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", access.ErrBusy, err)
		}
		return err
	})
}

// ErrNoAnswer: AWS has not answered within order.Attempt.
var ErrNoAnswer = fmt.Errorf("AWS did not answer within %v", order.Attempt)

// Once is Write for what must not be repeated after an unclear answer.
func (w Writer) Once(ctx context.Context, wait patience.For, f func(context.Context) error) error {
	return wait.Do(ctx, func() error { return w.try(ctx, f) })
}

// try calls f once, if it is the run's turn.
func (w Writer) try(ctx context.Context, f func(context.Context) error) error {
	if err := w.Hold(ctx); err != nil {
		return err
	}
	if w.Note != nil {
		w.Note()
	}
	attempt, cancel := context.WithTimeout(ctx, order.Attempt)
	defer cancel()
	err := f(attempt)
	if err != nil && attempt.Err() != nil && ctx.Err() == nil {
		return ErrNoAnswer
	}
	return err
}

// Users is where marks are left.
type Users interface {
	// User returns the user with its tags, or access.ErrNotFound.
	User(ctx context.Context, name string) (access.User, error)
	// TagUser sets and removes tags. Repeating it changes nothing.
	TagUser(ctx context.Context, name string, set map[string]string, unset []string) error
}

// ErrAtWork: it is not the rotator's turn. The rotator does nothing more.
var ErrAtWork = errors.New("an update or a deletion of the stack, or another run of the rotator, is at work on the user")

// Rotator takes turns for runs of the rotator.
type Rotator struct {
	Users Users
	Log   *slog.Logger
	// Lease and InFlight replace order.Lease and order.InFlight where they are set.
	Lease, InFlight time.Duration
}

// Turn is the turn of one run of the rotator on one user. It is an issue.Guard.
type Turn struct {
	Writer
	rotator Rotator
	run     order.Run

	mu    sync.Mutex
	user  access.User // as it was read last
	until time.Time   // that reading is valid until then
	over  error       // why it is not the run's turn any more; nil: it is
}

// Take takes the turn on the user for a run of the rotator, or returns ErrAtWork. request
// distinguishes runs. Leave must follow, also after an error.
func (r Rotator) Take(ctx context.Context, user access.User, request string) (*Turn, error) {
	now := time.Now()
	t := &Turn{rotator: r, run: order.Run{Type: order.Rotate, Request: request, Sent: now, Began: now}, user: user}
	t.Hold = t.hold
	// A crash after this, and after everything that follows: a mark says that a run has
	// begun. The next event or rotator run waits once until no call of this run can be under
	// way, and removes the mark.
	err := patience.Nothing.Do(ctx, func() error { return r.Users.TagUser(ctx, user.Name, t.run.Begun(), nil) })
	if errors.Is(err, access.ErrNotFound) {
		return t, ErrAtWork // a Delete
	}
	if err != nil {
		return t, fmt.Errorf("marking user %s: %w", user.Name, err)
	}
	turn, err := t.look(ctx)
	if err == nil && turn == order.Wait {
		if err = patience.Sleep(ctx, cmp.Or(r.InFlight, order.InFlight)); err == nil {
			turn, err = t.look(ctx)
		}
	}
	if err == nil && turn == order.Stop {
		err = ErrAtWork
	}
	t.over = err
	return t, err
}

// hold returns nil while it is the run's turn.
func (t *Turn) hold(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over != nil || time.Now().Before(t.until) {
		return t.over
	}
	turn, err := t.look(ctx)
	if err != nil {
		return err
	}
	if turn == order.Stop {
		t.over = ErrAtWork
	}
	return t.over
}

// look reads the marks.
func (t *Turn) look(ctx context.Context) (order.Turn, error) {
	var read time.Time // when the successful call began; throttled calls do not count
	user, err := patience.Ask(ctx, patience.Nothing, func() (access.User, error) {
		read = time.Now()
		return t.rotator.Users.User(ctx, t.user.Name)
	})
	switch {
	case errors.Is(err, access.ErrNotFound), err == nil && user.ID != t.user.ID:
		return order.Stop, nil // a Delete has been at work
	case err != nil:
		return order.Stop, fmt.Errorf("reading the marks on user %s: %w", t.user.Name, err)
	}
	t.user, t.until = user, read.Add(cmp.Or(t.rotator.Lease, order.Lease))
	turn, _ := order.MarksOf(user.Tags).Turn(t.run)
	return turn, nil
}

// leaving is how long removing the mark may take after the run's time.
const leaving = 5 * time.Second

// Leave removes the run's mark, and the marks of rotator runs that were killed.
func (t *Turn) Leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaving)
	defer cancel()
	marks := append(t.run.Outdated(t.user.Tags), slices.Collect(maps.Keys(t.run.Begun()))...)
	err := patience.Nothing.Do(ctx, func() error { return t.rotator.Users.TagUser(ctx, t.user.Name, nil, marks) })
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		t.rotator.Log.InfoContext(ctx, "the run's mark could not be removed; the next run waits once, for some seconds", "user", t.user.Name, "error", err.Error())
	}
}
