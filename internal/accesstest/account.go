// Package accesstest is an AWS account in memory, for tests of the flow.
//
// It implements the interfaces of package provision with AWS's own rules, also those that
// local emulators leave out: limits, names that differ only in capitals, deletions that AWS
// refuses while something is attached to the entity, staging labels, the recovery window.
// Its switches (Lag) make it as slow to show changes as IAM. It does not expect certain
// calls: a test acts, and then looks at what is left.
//
// It also watches the promises of this product, and fails the test with a sentence when a
// promise breaks: the current key is deleted, AWSCURRENT moves to a key that does not work,
// an entity without our tags is changed, a permission that must stay is missing for a
// moment.
//
// Before and After inject faults. They see every single call of AWS's API with the API's
// own name, also where one method makes several calls.
package accesstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// This is the place of the account. In returns it in another region.
const (
	ID     = "123456789012"
	Region = "eu-west-1"
	// Boundary is the ARN of the permissions boundary that the provider puts on users, and
	// Former is that of an earlier provider.
	Boundary = "arn:aws:iam::" + ID + ":policy/cloney-boundary/provider-UserBoundary-1A2B3C"
	Former   = "arn:aws:iam::" + ID + ":policy/cloney-boundary/provider-UserBoundary-0F0F0F"
	// Rotator is the ARN of the provider's function that rotates.
	Rotator = "arn:aws:lambda:" + Region + ":" + ID + ":function:cloney-s3-credentials-rotator"
)

// Account is an account as one region shows it. It implements provision.Users, Keys,
// Policies, Secrets and Prober. Set the exported fields before the first call; New returns
// a usable account.
type Account struct {
	*common
	region  string
	secrets map[string]*secret
	busy    map[string]int // secret names that a forced deletion still holds
}

// common is shared by all regions of an account: IAM, and the settings and records of
// tests.
type common struct {
	// Before is called before each call of the API. An error makes the call fail before it
	// happens; a panic is a process killed before the call. It may block until the context
	// ends, or for some of synctest's time.
	Before func(ctx context.Context, verb string) error
	// After is called after each call that happened. An error makes the call fail although
	// it happened; a panic is a process killed after the call.
	After func(ctx context.Context, verb string) error
	// Lag says how late the account shows changes.
	Lag Lag
	// Behind is how far the account's clock is behind its callers'.
	Behind time.Duration
	// RecordsLate is how late the record of a key's last use shows a Call.
	RecordsLate time.Duration

	t  testing.TB
	mu sync.Mutex // guards all that follows, and the secrets of every region

	regions map[string]*Account // that In was asked for

	users    map[string]*user // by name in lower case: IAM's names are unique without case
	policies map[string]*policy
	keys     []*key // in the order they were made
	buckets  map[string]bool
	absent   map[string]bool // readers that do not exist
	unknown  map[string]int  // how often a reader is not known yet

	calls     map[string]int
	proofs    []Proof
	issued    []string // every secret half ever handed out
	made      int      // keys ever made
	born      int      // users ever made
	expected  map[string]bool
	protected map[string]bool
	kms       map[string]error // what Secrets Manager says of a KMS key, as CloseKMSKey said
	stuck     bool             // see StuckKMSKeys
	racing    bool             // events race: AWSCURRENT is looked at once they are at rest
	kept      []kept
	rotator   error                 // what Secrets Manager says when it is to rotate; nil: it does
	resources map[name.Owner]string // what CloudFormation says of resources, where a test says it
	closed    bool                  // CloudFormation says nothing
}

// Lag says how many calls do not show a change yet.
type Lag struct {
	Users    int // a new user is not found
	Policies int // a new policy is not found
	Keys     int // a new key is missing from the list
	Detach   int // what was detached still counts as attached
	Prove    int // a new key is refused; the Prober tries every second
	Secrets  int // a deleted secret's name cannot be used again
	Readers  int // a resource policy's users and roles are not known yet
	Boundary int // a boundary that was put on a user does not count yet
}

// New returns an empty account with these buckets, as Region shows it.
func New(t testing.TB, buckets ...string) *Account {
	c := &common{
		t: t, regions: map[string]*Account{}, users: map[string]*user{}, policies: map[string]*policy{},
		buckets: map[string]bool{}, absent: map[string]bool{}, unknown: map[string]int{}, calls: map[string]int{},
		expected: map[string]bool{}, protected: map[string]bool{}, kms: map[string]error{}, resources: map[name.Owner]string{},
	}
	for _, bucket := range buckets {
		c.buckets[bucket] = true
	}
	return c.In(Region)
}

type entityKey struct{}

// on records the entity of a call, for Entity.
func on(ctx context.Context, entity string) context.Context {
	return context.WithValue(ctx, entityKey{}, entity)
}

// Entity returns the entity of a call, by the context that Before and After get: a user,
// key, policy or secret.
func Entity(ctx context.Context) string {
	entity, _ := ctx.Value(entityKey{}).(string)
	return entity
}

// call is one call of AWS's API. It is counted, may have a fault, and runs alone.
func (a *Account) call(ctx context.Context, verb string, f func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	a.mu.Lock()
	a.calls[verb]++
	before, after := a.Before, a.After
	a.mu.Unlock()
	if before != nil {
		if err := before(ctx, verb); err != nil {
			return fmt.Errorf("%s: %w", verb, err)
		}
	}
	a.mu.Lock()
	err := f()
	a.mu.Unlock()
	if err == nil && after != nil {
		err = after(ctx, verb)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

// Calls returns how often each verb was called since the last Forget.
func (a *Account) Calls() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.calls)
}

// Writes returns the calls since the last Forget that could change something.
func (a *Account) Writes() map[string]int {
	writes := a.Calls()
	maps.DeleteFunc(writes, func(verb string, _ int) bool { return !IsWrite(verb) })
	return writes
}

// IsWrite reports whether a call of that name changes something.
func IsWrite(verb string) bool {
	for _, read := range []string{"Get", "List", "Describe", "Prove"} {
		if strings.HasPrefix(verb, read) {
			return false
		}
	}
	return true
}

// Forget sets the counts of calls and the proofs to nothing.
func (a *Account) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.calls)
	a.proofs = nil
}

// shout fails the test, because a promise of ours is broken.
func (a *Account) shout(format string, args ...any) {
	a.t.Helper()
	a.t.Errorf("the account: "+format, args...)
}

// ours shouts unless the entity is one that the provider may change.
func (a *Account) ours(entity string, tags map[string]string) {
	a.t.Helper()
	for _, tag := range []string{name.TagStack, name.TagLogical, name.TagPhysical} {
		if tags[tag] == "" {
			a.shout("%s is made, changed or deleted, but does not carry the tag %s", entity, tag)
		}
	}
	if _, called, _ := strings.Cut(entity, " "); a.protected[called] {
		a.shout("%s is changed or deleted, which was to stay as it is", entity)
	}
}

// orAbsent treats "not found" as success, like the clients when they delete.
func orAbsent(err error) error {
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	return err
}
