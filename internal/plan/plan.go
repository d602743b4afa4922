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
//     has made it. Foreign: what carries our tags, not the stranger's user. Lost:
//     nothing, somebody took the tags off;
//   - Undo: what a failed run takes back, and GiveBack: to whom a secret passes
//     that two users share;
//   - Accepted, Stood and keyring.Proof: what was completed and proven before. A rollback to it
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
// attached elsewhere holds up nothing else, but the
// secrets where a stranger's user has the name. A key that is in use is never deleted to make room: the plan
// is refused instead. So is a plan that would touch an entity of someone else.
// A rotation that has not ended is left to Secrets Manager and the rotator, unless
// nothing can finish it any more. The schedule is set once AWSCURRENT names its key.
// A user that has lost its permissions boundary gets it back before it is given
// anything; one that someone has put under a boundary of their own gets no new key
// or policy.
//
// It is pure: no SDK, no clock, no I/O.
package plan

import (
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
	// Frozen: nothing may be written for this stack any more. What stands is told.
	Frozen bool
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

// FormerSecrets are the names that other secrets of the user can have, sorted:
// the one that the stack declared before, and those that the user remembers. A
// rollback that was skipped leaves such a secret, of which CloudFormation knows
// nothing. A user that replaces another one gets a secret of its own.
func (d Desired) FormerSecrets(user *access.User) (names []string) {
	if d.PhysicalID != "" && d.Other() == "" {
		names = append(names, d.Former.SecretName)
	}
	if d.owned(user) {
		names = append(names, name.RememberedSecrets(user.Tags)...)
	}
	names = slices.DeleteFunc(names, func(secret string) bool { return secret == "" || secret == d.Spec.SecretName })
	slices.Sort(names)
	return slices.Compact(names)
}

// Observed is what is there.
type Observed struct {
	User     *access.User // nil: none
	Keys     []access.Key
	LastUse  map[string]access.LastUse // by key id, of each key but AWSCURRENT's
	Policies map[int]access.Policy     // by number: attached to the user, and ours
	Secret   *access.SecretInfo        // of the desired name; nil: none
	Formers  []access.SecretInfo       // see Desired.FormerSecrets: those that are there, and the user's
	Lost     []access.SecretInfo       // those of them that somebody took the tags off
	LostUser *access.User              // that of Desired.Other, if somebody took its tags off; nil: no
	// Locked are secrets whose values AWS did not let this run store or read, and
	// why: their KMS keys, likeliest.
	Locked map[string]string
	// ResourcePolicy is that of the desired secret; empty: it has none, or is
	// not there, not ours or in its recovery window.
	ResourcePolicy string

	Other     *access.User // see Desired.Other; nil: none, or not ours
	OtherKeys []access.Key
}

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
	for _, judge := range []func() error{p.foreign, p.tooManyReaders, p.notAllowed, p.lockedAway} {
		if err := judge(); err != nil {
			return nil, err
		}
	}
	var err error
	if p.documents, err = p.spread(); err != nil {
		return nil, err
	}
	p.bound = p.boundary()
	user := after(p.bound, p.user())
	policies, err := p.policies(user)
	if err != nil {
		return nil, err
	}
	secret := p.secret(user)
	key, err := p.key(user, policies, secret)
	if err != nil {
		return nil, err
	}
	schedule, err := p.schedule(after(policies, secret, key))
	if err != nil {
		return nil, err
	}
	p.remove(after(policies, secret, key, schedule))
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
	former    *access.SecretInfo // that the values move from; nil: none
	ring      keyring.Ring
	tasks     []Task
	// readers is the secret's resource policy as the steps so far leave it.
	readers string
	// bound is what puts the user under the provider's permissions boundary; nil:
	// nothing has to.
	bound needs
	// back: these very properties were accepted before.
	back bool
	// stood: they were, with this secret and this Serial. A rollback above all: it
	// goes through, whatever became of a KMS key, an access key or a bucket.
	stood bool
}

func newPlanner(want Desired, seen Observed, now time.Time) *planner {
	p := &planner{want: want, seen: seen, now: now, readers: seen.ResourcePolicy}
	p.former = p.source()
	if seen.User != nil {
		remembers := completed(seen.User.Tags)
		p.back, p.stood = slices.Contains(remembers, Accepted(want.Spec)), slices.Contains(remembers, Stood(want.Spec))
	}
	p.ring = keyring.Ring{
		User: want.Spec.UserName, Secret: p.rotating(), Keys: seen.Keys, Others: seen.OtherKeys, Versions: p.versions(), LastUse: seen.LastUse,
		Replaced: p.promotedAt(), Grace: name.Days(want.Spec.GraceDays), Now: now,
	}
	for _, former := range slices.Concat(seen.Formers, seen.Lost) {
		p.ring.Former = append(p.ring.Former, former.Versions...)
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

func (p *planner) spread() ([]policy.Document, error) {
	former := map[int][]access.Place{}
	for number, existing := range p.seen.Policies {
		former[number] = policy.Places(existing.Document)
	}
	most := name.MaxPolicies
	if _, tenth := former[name.MaxPolicyNumber]; tenth || p.back {
		// A user from before may keep its tenth, and go back to it.
		most = name.MaxPolicyNumber
	}
	return policy.Documents(most, p.want.Spec.Scope, p.want.Owner.Stack.Partition, former)
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
