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

// errOvertaken: a later event decides. The error that wraps it says why.
var errOvertaken = errors.New("this event was overtaken and has stopped")

// errYield: a later delivery of the same event is at work.
var errYield = errors.New("another delivery of this event is at work")

// errWait: an earlier run has left its mark since, and may be at work.
var errWait = errors.New("an earlier event may still be at work")

// mark leaves the run's mark on the users of its event, if they belong to the resource.
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
			// A crash after this: a mark says that this run has begun. The next run waits
			// until no call of this one can be under way.
			err := r.there().Do(ctx, func() error { return r.Users.TagUser(ctx, user.Name, r.event.Begun(), nil) })
			if err != nil && !errors.Is(err, access.ErrNotFound) {
				return fmt.Errorf("marking user %s: %w", user.Name, err)
			}
			return nil
		})
	}
	return parallel.Do(tags...)
}

// there returns how long to wait for a user that the run has seen. IAM may not show it
// everywhere yet. A Delete believes at once that it was deleted.
func (r *run) there() patience.For {
	if r.removing {
		return patience.Nothing
	}
	return patience.Maybe
}

// lease is how long a reading of the marks is valid.
func (r *run) lease() time.Duration { return cmp.Or(r.Lease, order.Lease) }

// hold returns nil while it is the run's turn. It reads the marks again when the last
// reading is older than the lease.
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
		// The other run left its mark after this run had read them, and may have missed
		// ours. A run that starts later sees ours.
		r.stop = errWait
	default:
		r.until = read.Add(r.lease())
	}
	return r.stop
}

// noteDeleted and isDeleted are called by steps that run at the same time.
func (r *run) noteDeleted(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deleted[user] = true
}

func (r *run) isDeleted(user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deleted[user]
}

// marks reads the marks of all users that have the run's own mark. It also returns when the
// first successful read began; throttled reads do not count.
func (r *run) marks(ctx context.Context) (marks order.Marks, read time.Time, err error) {
	found := make([]access.User, 0, len(r.users))
	var mu sync.Mutex
	var looks []func() error
	deleted := false // a user that the run needs
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
				return errCreatedAgain
			case errors.Is(err, access.ErrNotFound), err == nil && now.ID != id:
				deleted = deleted || r.needs(user)
				r.noteDeleted(user)
				return nil
			}
			found = append(found, now)
			return err
		})
	}
	err = parallel.Do(looks...)
	if errors.Is(err, errCreatedAgain) {
		r.stop = errCreatedAgain
	}
	if err != nil {
		return nil, read, err
	}
	if deleted {
		r.failed.UserDeleted, r.stop = true, errUserDeleted
		return nil, read, errUserDeleted
	}
	tags := make([]map[string]string, len(found))
	for i, user := range found {
		tags[i] = user.Tags
	}
	return order.MarksOf(tags...), read, nil
}

// errCreatedAgain: the user that the run had to remove was deleted, and a new user has its name.
var errCreatedAgain = errors.New("a later event has created the user again")

// errUserDeleted: the user on which the run works does not exist any more.
var errUserDeleted = fmt.Errorf("%w: the user was deleted in the meantime, by a Delete, by a rollback of this stack or by hand; if you still need the resource, update the stack again", errOvertaken)

func (r *run) overtaken(by order.Mark) error {
	r.failed.By = &by
	return fmt.Errorf("%w: a later %s of this resource decides", errOvertaken, by.Type)
}

// letThemEnd waits until no call of an earlier run can be under way. If the stack gives too
// little time, it waits for half of the remaining time.
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

// end marks the run as ended, unless the run has done so already. Then the next run need not
// wait. It also removes the marks of rotator runs that were killed.
func (r *run) end(ctx context.Context) {
	for user := range r.users {
		// A crash before this: the next run waits once, for nothing.
		killed := r.killed(user)
		if err := patience.Nothing.Do(ctx, func() error { return r.Users.TagUser(ctx, user, r.event.Ended(), killed) }); err != nil {
			r.Log.InfoContext(ctx, "the run could not be marked as ended; the next event waits for some seconds", "user", user, "error", err.Error())
		}
	}
}

// killed returns the marks of rotator runs on a user, as far as the run has seen them.
func (r *run) killed(user string) []string {
	for _, seen := range []*access.User{r.seen.User, r.seen.Other} {
		if seen != nil && seen.Name == user {
			return r.event.Killed(seen.Tags)
		}
	}
	return nil
}
