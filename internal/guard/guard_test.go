package guard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/guard"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

func stackID(stack string) string {
	return "arn:aws:cloudformation:eu-west-1:123456789012:stack/" + stack + "/51af3dc0-da77-11e4-872e-1234567db123"
}

var self = func() name.Owner {
	stack, err := name.ParseStackID(stackID("the-provider"))
	if err != nil {
		panic(err)
	}
	return name.Owner{Stack: stack, Logical: "ProviderGuard"}
}()

// iam holds users by name. Some are deleted and still listed.
type iam struct {
	users map[string]access.User
	gone  map[string]time.Time // until when they are listed
	late  bool                 // GetUser shows those too
	fails error
	ends  int // after so many failures
}

func (i *iam) List(context.Context) (names []string, err error) {
	if i.fails != nil && i.ends != 0 {
		i.ends--
		return nil, i.fails
	}
	for user := range i.users {
		names = append(names, user)
	}
	for user, until := range i.gone {
		if time.Now().Before(until) {
			names = append(names, user)
		}
	}
	return names, nil
}

func (i *iam) User(_ context.Context, name string) (access.User, error) {
	if user, there := i.users[name]; there {
		return user, nil
	}
	if i.late && time.Now().Before(i.gone[name]) {
		return access.User{Name: name}, nil
	}
	return access.User{}, access.ErrNotFound
}

func with(names ...string) *iam {
	i := &iam{users: map[string]access.User{}, gone: map[string]time.Time{}}
	for _, user := range names {
		tags := map[string]string{name.TagStack: stackID("of-" + user), name.TagLogical: "Creds"}
		i.users[user] = access.User{Name: user, Tags: tags}
	}
	return i
}

// ask checks with an IAM whether the provider may be deleted.
func ask(t *testing.T, i *iam, test func(err error, took time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		err := guard.Guard{Users: i}.MayGo(t.Context(), self)
		test(err, time.Since(started))
	})
}

// The refusal names users with their stacks and their number, and how to delete the
// provider with them or without them.
func TestUsersStandInTheWay(t *testing.T) {
	for _, n := range []int{1, 5, 6, 300} {
		i := with()
		for u := range n {
			user := fmt.Sprintf("u%03d", u)
			i.users[user] = with(user).users[user]
		}
		ask(t, i, func(err error, _ time.Duration) {
			var refused plan.Refused
			if !errors.As(err, &refused) {
				t.Fatal(err)
			}
			for _, says := range []string{fmt.Sprintf("exist (%d): ", n), "u000 (Creds of stack of-u000)", "aws cloudformation delete-stack --stack-name the-provider --retain-resources ProviderGuard"} {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%d: %q is not in %v", n, says, err)
				}
			}
			if more := fmt.Sprintf(", %d more.", n-5); strings.Contains(err.Error(), more) != (n > 5) {
				t.Errorf("%d: %v", n, err)
			}
			if len(err.Error()) > 1500 {
				t.Errorf("%d: %d characters", n, len(err.Error()))
			}
		})
	}
}

// The refusal also names a user that somebody created on the path: it may be ours without
// its tags.
func TestAUserWithoutTagsStandsInTheWay(t *testing.T) {
	i := with("u")
	i.users["by-hand"] = access.User{Name: "by-hand"}
	ask(t, i, func(err error, _ time.Duration) {
		if err == nil || !strings.Contains(err.Error(), "by-hand (without the provider's tags), u (Creds of") {
			t.Error(err)
		}
	})
}

// IAM lists a deleted user for some seconds more. It does not count.
func TestUsersThatAreGone(t *testing.T) {
	for _, lag := range []time.Duration{0, 5 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			i := with()
			i.gone["gone"] = time.Now().Add(lag)
			if err := (guard.Guard{Users: i}).MayGo(t.Context(), self); err != nil {
				t.Errorf("%v: %v", lag, err)
			}
			i = with("there")
			i.gone["gone"] = time.Now().Add(lag)
			if err := (guard.Guard{Users: i}).MayGo(t.Context(), self); err == nil || !strings.Contains(err.Error(), "exist (1): there") {
				t.Errorf("%v, and one that is there: %v", lag, err)
			}
		})
	}
}

// GetUser may show a user that was just deleted, like the list: the guard asks again.
func TestAUserThatIsGoneAndStillShown(t *testing.T) {
	for lag, goes := range map[time.Duration]bool{5 * time.Second: true, time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			i := with()
			i.gone["gone"], i.late = time.Now().Add(lag), true
			if err := (guard.Guard{Users: i}).MayGo(t.Context(), self); (err == nil) != goes {
				t.Errorf("%v: %v", lag, err)
			}
		})
	}
}

// Without an answer the guard refuses, and names a way out.
func TestNoAnswer(t *testing.T) {
	i := with("u")
	i.fails, i.ends = access.ErrDenied, -1
	ask(t, i, func(err error, _ time.Duration) {
		if !errors.Is(err, access.ErrDenied) || !strings.Contains(err.Error(), "--retain-resources ProviderGuard") {
			t.Error(err)
		}
	})
	i.fails, i.ends = access.ErrThrottled, 3
	ask(t, i, func(err error, took time.Duration) {
		if err == nil || errors.Is(err, access.ErrThrottled) || took == 0 {
			t.Errorf("throttled: %v", err)
		}
	})
}
