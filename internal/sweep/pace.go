package sweep

import (
	"context"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
)

// How many calls a second the sweep makes at the most. The quotas are the whole
// account's: stacks that are made meanwhile, and whatever else the account does, need
// their share. AWS documents neither; 25 is what IAM was seen to take without refusing.
const (
	iamCalls   = 25
	stackCalls = 10
)

// perPage is how many entities a page of IAM's lists holds at the most.
const perPage = 1000

// pace spreads calls over time.
type pace struct {
	every time.Duration
	mu    sync.Mutex
	next  time.Time // when the next call may begin
}

func perSecond(calls int) *pace { return &pace{every: time.Second / time.Duration(calls)} }

// wait returns when it is the call's turn.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	at := time.Now()
	if p.next.After(at) {
		at = p.next
	}
	p.next = at.Add(p.every)
	p.mu.Unlock()
	return patience.Sleep(ctx, time.Until(at))
}

// made counts calls that were made already: the further pages of a list.
func (p *pace) made(calls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = p.next.Add(time.Duration(calls) * p.every)
}

// paced is the way to IAM: each call that the sweep makes of it passes here, repeated
// ones too.
type paced struct {
	users    Users
	policies Policies
	keys     Keys
	*pace
}

func ask[T any](ctx context.Context, p *pace, f func() (T, error)) (answer T, err error) {
	if err := p.wait(ctx); err != nil {
		return answer, err
	}
	return f()
}

func (p paced) ListUsers(ctx context.Context) ([]access.ListedUser, error) {
	users, err := ask(ctx, p.pace, func() ([]access.ListedUser, error) { return p.users.ListUsers(ctx) })
	p.made(len(users) / perPage)
	return users, err
}

func (p paced) User(ctx context.Context, name string) (access.User, error) {
	return ask(ctx, p.pace, func() (access.User, error) { return p.users.User(ctx, name) })
}

// TagUser removes tags and sets others: two calls, where it does both.
func (p paced) TagUser(ctx context.Context, name string, set map[string]string, unset []string) error {
	if len(set) > 0 && len(unset) > 0 {
		p.made(1)
	}
	return p.do(ctx, func() error { return p.users.TagUser(ctx, name, set, unset) })
}

func (p paced) ListPolicies(ctx context.Context) (map[string]string, error) {
	policies, err := ask(ctx, p.pace, func() (map[string]string, error) { return p.policies.ListPolicies(ctx) })
	p.made(len(policies) / perPage)
	return policies, err
}

func (p paced) PolicyText(ctx context.Context, name, version string) (string, error) {
	return ask(ctx, p.pace, func() (string, error) { return p.policies.PolicyText(ctx, name, version) })
}

func (p paced) AttachedPolicies(ctx context.Context, user string) (ours, others []string, err error) {
	err = p.do(ctx, func() (err error) {
		ours, others, err = p.policies.AttachedPolicies(ctx, user)
		return err
	})
	return ours, others, err
}

func (p paced) Inline(ctx context.Context, user string) ([]string, error) {
	return ask(ctx, p.pace, func() ([]string, error) { return p.policies.Inline(ctx, user) })
}

func (p paced) Keys(ctx context.Context, user string) ([]access.Key, error) {
	return ask(ctx, p.pace, func() ([]access.Key, error) { return p.keys.Keys(ctx, user) })
}

func (p paced) LastUse(ctx context.Context, keyID string) (access.LastUse, error) {
	return ask(ctx, p.pace, func() (access.LastUse, error) { return p.keys.LastUse(ctx, keyID) })
}

func (p paced) DeactivateKey(ctx context.Context, user, keyID string) error {
	return p.do(ctx, func() error { return p.keys.DeactivateKey(ctx, user, keyID) })
}

func (p paced) DeleteKey(ctx context.Context, user, keyID string) error {
	return p.do(ctx, func() error { return p.keys.DeleteKey(ctx, user, keyID) })
}

func (p paced) do(ctx context.Context, f func() error) error {
	if err := p.wait(ctx); err != nil {
		return err
	}
	return f()
}

// pacedStacks is the way to CloudFormation.
type pacedStacks struct {
	stacks Stacks
	*pace
}

func (p pacedStacks) Resource(ctx context.Context, owner name.Owner) (string, error) {
	return ask(ctx, p.pace, func() (string, error) { return p.stacks.Resource(ctx, owner) })
}
