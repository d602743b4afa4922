package sweep

import (
	"context"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
)

// These are the most calls that the sweep makes in a second. The whole account shares the
// quotas, and stacks and everything else in the account need their share. AWS documents
// neither quota; 25 is a rate that IAM was seen to accept.
const (
	iamCalls   = 25
	stackCalls = 10
)

// perPage is the most entities on one page of IAM's lists.
const perPage = 1000

// pace spreads calls over time.
type pace struct {
	every time.Duration
	mu    sync.Mutex
	next  time.Time // when the next call may begin
}

func perSecond(calls int) *pace { return &pace{every: time.Second / time.Duration(calls)} }

// wait waits until the call may begin.
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

// made counts calls that were made already: the other pages of a list.
func (p *pace) made(calls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = p.next.Add(time.Duration(calls) * p.every)
}

// paced limits the calls to IAM. Each call of the sweep passes here, also a repeated one.
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

// TagUser makes two calls if it both removes and sets tags.
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

// pacedStacks limits the calls to CloudFormation.
type pacedStacks struct {
	stacks Stacks
	*pace
}

func (p pacedStacks) Resource(ctx context.Context, owner name.Owner) (string, error) {
	return ask(ctx, p.pace, func() (string, error) { return p.stacks.Resource(ctx, owner) })
}
