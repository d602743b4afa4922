// Package plan decides: from what a stack declares and what the account holds,
// the steps that make the one into the other.
//
// Every decision about what stands in the account is a function here, of what is
// wanted and what was seen:
//
//   - Admit: whether a Create or Update may work. Work: nobody else does. Wait: an
//     earlier run was killed, or still has a call under way. Yield: Lambda has
//     delivered the event twice. Overtaken: CloudFormation went on with a later
//     event. Stands: an old Create comes once more. Refused: the resource was
//     retained, or deleted meanwhile;
//   - Converge: the steps of a Create or Update, or why there are none;
//   - ClaimOn and Remove: what a Delete takes away. Mine: all. InDoubt: the keys at
//     once, the rest when an earlier run is over. Later: nothing, a later event
//     has made it. Foreign: what carries our tags, not the stranger's user;
//   - Undo: what a failed run takes back, and GiveBack: to whom a secret passes
//     that two users share;
//   - Accepted and Proof: what was completed and proven before. A rollback to it
//     proves nothing again.
//
// Three decisions are elsewhere: which event is later (package order), which key
// may go (package keyring), and whether there is time (package resource).
//
// Steps are data; package provision carries them out. Each says which steps it
// needs; those that need nothing of each other run at the same time. An account
// that is as declared gives no steps. There is no plan for a retry, a rollback
// or a crash: each looks at what is there and plans from that, like the first
// run.
//
// The needs are the safety. A key needs the secret's place, so that little can
// fail between its birth and its storing. AWSCURRENT needs the proof of the key
// that it shall name. A narrower policy needs the wider one. A removed reader
// loses access before a new key is in the secret; a new reader gets it once the
// key is proven. What goes away needs all else; in a Delete, all else needs that
// the keys are gone, and the policies need nothing of each other: one that is
// attached elsewhere holds up nothing else. A key that is in use is never deleted to make room: the plan
// is refused instead. So is a new key for a user without its permissions boundary,
// and a plan that would touch an entity of someone else.
//
// It is pure: no SDK, no clock, no I/O.
package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

// Desired is what shall be.
type Desired struct {
	Owner name.Owner
	Run   order.Run
	Spec  spec.Spec

	// Of an Update: what the resource was before.
	PhysicalID string // the user that CloudFormation knows
	Former     Former
	// Unchanged: the former properties say the same.
	Unchanged bool
}

// Former is what OldResourceProperties lead to. They need not be valid.
type Former struct {
	UserName   string
	SecretName string
	TagKeys    []string // of the tags that the stack set
	Readers    []string // AWS knew them
}

// Other is the second user that an Update is about, or nothing: the one that it
// replaces; or the one that a replacement made, which the rollback takes away.
func (d Desired) Other() string {
	for _, user := range []string{d.PhysicalID, d.Former.UserName} {
		if d.PhysicalID != "" && user != d.Spec.UserName {
			return user
		}
	}
	return ""
}

// Replaces reports whether the user takes the place of another one that
// CloudFormation knows.
func (d Desired) Replaces() bool { return d.PhysicalID != "" && d.PhysicalID != d.Spec.UserName }

// FormerSecret is the secret that moves to another name, or nothing. A user
// that replaces another one gets a secret of its own.
func (d Desired) FormerSecret() string {
	if d.PhysicalID == "" || d.Other() != "" || d.Former.SecretName == d.Spec.SecretName {
		return ""
	}
	return d.Former.SecretName
}

// Observed is what is there.
type Observed struct {
	User     *access.User // nil: none
	Keys     []access.Key
	LastUse  map[string]access.LastUse // by key id, of each key but AWSCURRENT's
	Policies map[int]access.Policy     // by number: attached to the user, and ours
	Secret   *access.SecretInfo        // of the desired name; nil: none
	Former   *access.SecretInfo        // of the former name; nil: none, or not ours
	// ResourcePolicy is that of the desired secret; empty: it has none, or is
	// not there, not ours or in its recovery window.
	ResourcePolicy string

	Other     *access.User // see Desired.Other; nil: none, or not ours
	OtherKeys []access.Key
}

// Grace is how long a replaced key must have gone unused before it may be
// deleted to make room (RotationGraceDays' default).
const Grace = 7 * 24 * time.Hour

// Refused says why a plan cannot be made. Nothing was done.
type Refused string

func (r Refused) Error() string { return string(r) }

// Task is one step of a plan, and the earlier ones that it needs: they have to
// be done before it begins.
type Task struct {
	Step  Step
	Needs []int
}

// Converge returns the steps that make the account as desired, or Refused, or
// policy.TooManyError.
func Converge(want Desired, seen Observed, now time.Time) ([]Task, error) {
	p := newPlanner(want, seen, now)
	for _, judge := range []func() error{p.foreign, p.tooManyReaders, p.notAllowed} {
		if err := judge(); err != nil {
			return nil, err
		}
	}
	var err error
	if p.documents, err = p.spread(); err != nil {
		return nil, err
	}
	user := p.user()
	policies := p.policies(user)
	secret := p.secret(user)
	key, err := p.key(user, policies, secret)
	if err != nil {
		return nil, err
	}
	p.remove(after(policies, secret, key))
	if p.incomplete() || len(p.tasks) > 0 {
		p.complete()
	}
	return p.tasks, nil
}

type planner struct {
	want      Desired
	seen      Observed
	now       time.Time
	documents []policy.Document
	ring      keyring.Ring
	tasks     []Task
	// readers is the secret's resource policy as the steps so far leave it.
	readers string
	// back: these very properties were accepted before.
	back bool
}

func newPlanner(want Desired, seen Observed, now time.Time) *planner {
	p := &planner{want: want, seen: seen, now: now, readers: seen.ResourcePolicy}
	p.back = seen.User != nil && slices.Contains(completed(seen.User.Tags), Accepted(want.Spec))
	p.ring = keyring.Ring{
		User: want.Spec.UserName, Keys: seen.Keys, Others: seen.OtherKeys, Versions: p.versions(), LastUse: seen.LastUse,
		Replaced: p.promotedAt(), Grace: Grace, Now: now,
	}
	if seen.Former != nil {
		p.ring.Former = seen.Former.Versions
	}
	return p
}

// needs are tasks, by their index.
type needs []int

// add adds a task, and returns what those need that come after it.
func (p *planner) add(step Step, after ...needs) needs {
	p.tasks = append(p.tasks, Task{step, slices.Compact(slices.Sorted(slices.Values(slices.Concat(after...))))})
	return needs{len(p.tasks) - 1}
}

// after joins needs.
func after(all ...needs) needs { return slices.Concat(all...) }

// foreign refuses what exists under a wanted name and is not the resource's.
func (p *planner) foreign() error {
	want, user, secret := p.want, p.seen.User, p.seen.Secret
	if user != nil && !want.Owner.OwnsAs(want.Spec.UserName, user.Tags) {
		return Refused(fmt.Sprintf("UserName: a user %q exists and does not belong to this resource; it was not touched. Choose another UserName, or delete that user", user.Name))
	}
	if secret == nil || want.Owner.Owns(secret.Tags) {
		return nil
	}
	if !secret.Deleted.IsZero() {
		return Refused(fmt.Sprintf("SecretName: a secret %q that does not belong to this resource is scheduled for deletion and keeps its name until then; it was not touched. Choose another SecretName, or delete it for good: aws secretsmanager delete-secret --force-delete-without-recovery", want.Spec.SecretName))
	}
	return Refused(fmt.Sprintf("SecretName: a secret %q exists and does not belong to this resource; it was not touched. Choose another SecretName, or delete that secret", want.Spec.SecretName))
}

// notAllowed refuses what the account's owner has not allowed, or no longer. What the
// user or the secret has already stays, and so does what was accepted before:
// a rollback is never refused for what the owner has narrowed since.
func (p *planner) notAllowed() error {
	if p.back {
		return nil
	}
	var problems []string
	readers, _, _ := policy.ReadersOf(p.seen.ResourcePolicy)
	for _, n := range p.want.Spec.NotAllowed {
		there := slices.Contains(readers, n.Reader)
		for _, existing := range p.seen.Policies {
			there = there || n.Place != "" && slices.ContainsFunc(policy.Places(existing.Document), func(has access.Place) bool { return has.Covers(n.Place) })
		}
		if !there {
			problems = append(problems, n.Problem)
		}
	}
	if len(problems) > 0 {
		return Refused(strings.Join(problems, "; "))
	}
	return nil
}

func (p *planner) spread() ([]policy.Document, error) {
	former := map[int][]access.Place{}
	for number, existing := range p.seen.Policies {
		former[number] = policy.Places(existing.Document)
	}
	return policy.Documents(p.want.Spec.Scope, p.want.Owner.Stack.Partition, former)
}

// tags are the stack owner's and those that say whose the entity is.
func (p *planner) tags() map[string]string {
	tags := p.want.Owner.Tags(p.want.Spec.UserName)
	maps.Copy(tags, p.want.Spec.Tags)
	return tags
}

// changed returns the tags to set and to remove. Tags that someone else put on
// an entity stay: only those that the stack set before are removed.
func (p *planner) changed(wanted, existing map[string]string, own ...string) (set map[string]string, unset []string) {
	set = map[string]string{}
	for key, value := range wanted {
		if is, there := existing[key]; !there || is != value {
			set[key] = value
		}
	}
	for _, key := range append(own, p.want.Former.TagKeys...) {
		_, there := existing[key]
		if _, stays := wanted[key]; there && !stays && !slices.Contains(unset, key) {
			unset = append(unset, key)
		}
	}
	slices.Sort(unset)
	return set, unset
}

// InCapitalsOnly reports whether two user names differ in nothing but case.
func InCapitalsOnly(a, b string) bool { return a != b && strings.EqualFold(a, b) }
