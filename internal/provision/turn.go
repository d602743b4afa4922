package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/parallel"
	"cloney-s3-credentials/internal/patience"
)

// errOvertaken: a later event decides. Why is in the error that wraps it.
var errOvertaken = errors.New("this event was overtaken and has stopped")

// errYield: a later delivery of the same event is at work.
var errYield = errors.New("another delivery of this event is at work")

// errWait: an earlier run has left its mark meanwhile, and may be at work.
var errWait = errors.New("an earlier event may still be at work")

// mark leaves the run's mark on the users that it is about, if they are the
// resource's.
func (r *run) mark(ctx context.Context, users ...*access.User) error {
	var tags []func() error
	for _, user := range users {
		if user == nil || !r.owner.OwnsAs(user.Name, user.Tags) || r.users[user.Name] != "" {
			continue
		}
		r.users[user.Name] = user.ID
		if r.event.Has(user.Tags) {
			continue
		}
		tags = append(tags, func() error {
			r.note()
			// A crash after this: a mark that says that this run has begun. Who
			// comes after it waits until no call of it can be under way.
			err := r.there().Do(ctx, func() error { return r.Users.TagUser(ctx, user.Name, r.event.Begun(), nil) })
			if err != nil && !errors.Is(err, access.ErrNotFound) {
				return fmt.Errorf("marking user %s: %w", user.Name, err)
			}
			return nil
		})
	}
	return parallel.Do(tags...)
}

// there is for a user that the run has seen. IAM may not know it everywhere yet;
// a Delete takes it for gone at once.
func (r *run) there() patience.For {
	if r.removing {
		return patience.Nothing
	}
	return patience.Maybe
}

// lease is for how long a look at the marks holds.
func (r *run) lease() time.Duration { return cmp.Or(r.Lease, order.Lease) }

// hold returns nil while it is the run's turn. It reads the marks again when
// the last look was longer ago than order.Lease.
func (r *run) hold(ctx context.Context) error {
	select {
	case r.looks <- struct{}{}:
		defer func() { <-r.looks }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.stop != nil || len(r.users) == 0 || time.Now().Before(r.until) {
		return r.stop
	}
	marks, read, err := r.marks(ctx)
	if err != nil {
		return err
	}
	early := !r.looked
	r.looked = true
	switch turn, mark := marks.Turn(r.event); {
	case turn == order.Stop:
		r.stop = r.overtaken(mark)
	case turn == order.Yield && !r.removing:
		r.failed.By, r.stop = &mark, errYield
	case turn == order.Wait && early && !r.waited:
		// It left its mark after this run had looked, and may not have seen ours.
		// Whoever comes later does.
		r.stop = errWait
	default:
		r.until = read.Add(r.lease())
	}
	return r.stop
}

// noteGone and isGone are for steps that run at the same time.
func (r *run) noteGone(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone[user] = true
}

func (r *run) isGone(user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone[user]
}

// marks reads the marks on the users that carry the run's own. It returns when the
// first of the calls began that read them: not those that were throttled before.
func (r *run) marks(ctx context.Context) (marks order.Marks, read time.Time, err error) {
	found := make([]access.User, 0, len(r.users))
	var mu sync.Mutex
	var looks []func() error
	gone := false
	for user, id := range r.users {
		looks = append(looks, func() error {
			var began time.Time
			now, err := patience.Ask(ctx, r.there(), func() (access.User, error) {
				began = time.Now()
				return r.Users.User(ctx, user)
			})
			mu.Lock()
			defer mu.Unlock()
			if read.IsZero() || began.Before(read) {
				read = began
			}
			switch {
			case err == nil && now.ID != id && r.removing:
				return errAnew
			case errors.Is(err, access.ErrNotFound), err == nil && now.ID != id:
				gone = gone || r.needs(user)
				r.noteGone(user)
				return nil
			}
			found = append(found, now)
			return err
		})
	}
	err = parallel.Do(looks...)
	if errors.Is(err, errAnew) {
		r.stop = errAnew
	}
	if err != nil {
		return nil, read, err
	}
	if gone { // that the run needs
		r.failed.Gone, r.stop = true, errGone
		return nil, read, errGone
	}
	tags := make([]map[string]string, len(found))
	for i, user := range found {
		tags[i] = user.Tags
	}
	return order.MarksOf(tags...), read, nil
}

// errAnew: the user that was to go is gone, and there is another one of its name.
var errAnew = errors.New("a later event has made the user anew")

// errGone: what the run works on is there no more.
var errGone = fmt.Errorf("%w: the user was deleted meanwhile, by a Delete or a rollback of this stack or by hand; update the stack again if the resource is to be there", errOvertaken)

func (r *run) overtaken(by order.Mark) error {
	r.failed.By = &by
	return fmt.Errorf("%w: a later %s of this resource decides", errOvertaken, by.Type)
}

// letThemEnd waits until no call of an earlier run can be under way. Where the
// stack gives too little time for that, it waits for half of what there is.
func (r *run) letThemEnd(ctx context.Context) error {
	wait := cmp.Or(r.InFlight, order.InFlight)
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2)
	}
	if err := patience.Sleep(ctx, wait); err != nil {
		return fmt.Errorf("waiting for another run: %w", err)
	}
	r.waited, r.stop = true, nil
	return nil
}

// end marks the run as ended, where it has not made that sure already: who
// comes after it need not wait, nor for a run of the rotator that was killed.
func (r *run) end(ctx context.Context) {
	for user := range r.users {
		// A crash before this: who comes after it waits for nothing, once.
		killed := r.killed(user)
		if err := patience.Nothing.Do(ctx, func() error { return r.Users.TagUser(ctx, user, r.event.Ended(), killed) }); err != nil {
			r.Log.InfoContext(ctx, "the run could not be marked as ended; the next event waits some seconds", "user", user, "error", err.Error())
		}
	}
}

// killed are the marks that runs of the rotator have left on a user, as far as the run
// has seen them.
func (r *run) killed(user string) []string {
	for _, seen := range []*access.User{r.seen.User, r.seen.Other} {
		if seen != nil && seen.Name == user {
			return r.event.Killed(seen.Tags)
		}
	}
	return nil
}
