// Package plan decides: from what a stack declares and what the account holds, it
// computes the steps that make the account as declared.
//
// Every decision about the account is a function of two things, what is declared and
// what was observed:
//
//   - Admit: whether a Create or Update may work. Work: no other run works. Wait: an
//     earlier run was killed, or still has a call under way. Yield: Lambda has
//     delivered the event twice. Overtaken: CloudFormation went on with a later
//     event. AlreadyDone: an old Create arrives once more. Refused: the resource was
//     retained, or was deleted since;
//   - Converge: the steps of a Create or Update, or why there are none;
//   - ClaimOn and Remove: what a Delete removes. Mine: everything. InDoubt: the keys
//     at once, the rest when an earlier run is over. Later: nothing, because a later
//     event has created it. Foreign: what has our tags, and not the user, which
//     belongs to somebody else. Lost: nothing, because somebody removed the tags;
//   - Undo: what a failed run takes back. GiveBack: the user to which a secret returns
//     that two users share;
//   - Accepted, AcceptedWhole and keyring.Proof: what was completed and proven before. A
//     rollback to it proves nothing again.
//
// Three decisions are elsewhere: which event is later (package order), which key may be
// deleted (package keyring), and whether there is time (package resource).
//
// Steps are data; package provision carries them out. Each step names the steps that it
// needs. Steps that do not need each other run at the same time. An account that is as
// declared gives no steps. There is no special plan for a retry, a rollback or a crash:
// each run observes the account and plans from that, like the first run.
//
// The needs keep it safe:
//
//   - A new key needs its secret, so that little can fail between creating the key and
//     storing it. AWSCURRENT needs the proof of its new key.
//   - A narrower policy needs the wider one.
//   - A removed reader loses access before a new key is stored. An added reader gets
//     access once the key is proven.
//   - A deletion needs everything else. In a Delete everything else needs that the keys
//     are deleted. Policies do not need each other: a policy that is also attached
//     elsewhere delays only itself, and the secrets if somebody else's user has the
//     name.
//   - A key in use is never deleted to make room: the plan is refused instead. A plan
//     that would change an entity of somebody else is refused too.
//   - A rotation that has not ended is left to Secrets Manager and the rotator, unless
//     they can no longer end it. The schedule is set once AWSCURRENT names its key.
//   - A user that has lost its permissions boundary gets it back first. A user that
//     somebody has put under another boundary gets no new key or policy.
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

// Desired is what a stack declares.
type Desired struct {
	Owner name.Owner
	Run   order.Run
	Spec  spec.Spec

	// The next fields are for an Update: what the resource was before.
	PhysicalID string // the user that CloudFormation knows
	Old        Old
	// Unchanged: the old properties say the same.
	Unchanged bool
	// Frozen: nothing may be written for this stack any more. The response tells what
	// exists.
	Frozen bool
}

// Old is what OldResourceProperties lead to. They need not be valid.
type Old struct {
	UserName   string
	SecretName string
	TagKeys    []string // of the tags that the stack set
	Readers    []string // readers that AWS knew
}

// Other is the second user of an Update, or empty: the user that it replaces, or the user
// that a replacement created and that the rollback removes.
func (d Desired) Other() string {
	for _, user := range []string{d.PhysicalID, d.Old.UserName} {
		if d.PhysicalID != "" && user != d.Spec.UserName {
			return user
		}
	}
	return ""
}

// Replaces reports whether the user replaces another one that CloudFormation knows.
func (d Desired) Replaces() bool { return d.PhysicalID != "" && d.PhysicalID != d.Spec.UserName }

// OldSecretNames are the names that old secrets of the user can have, sorted: the name that
// the stack declared before, and the names that the user remembers. A rollback that was
// skipped leaves such a secret, and CloudFormation does not know of it. A user that replaces
// another one gets a secret of its own.
func (d Desired) OldSecretNames(user *access.User) (names []string) {
	if d.PhysicalID != "" && d.Other() == "" {
		names = append(names, d.Old.SecretName)
	}
	if d.owned(user) {
		names = append(names, name.RememberedSecrets(user.Tags)...)
	}
	names = slices.DeleteFunc(names, func(secret string) bool { return secret == "" || secret == d.Spec.SecretName })
	slices.Sort(names)
	return slices.Compact(names)
}

// Observed is what the account holds.
type Observed struct {
	User       *access.User // nil: does not exist
	Keys       []access.Key
	LastUse    map[string]access.LastUse // by key id, of each key but the current one
	Policies   map[int]access.Policy     // by number: attached to the user, and ours
	Secret     *access.SecretInfo        // of the declared name; nil: does not exist
	OldSecrets []access.SecretInfo       // see Desired.OldSecretNames: those that exist and belong to the user
	Lost       []access.SecretInfo       // those of them whose tags somebody removed
	LostUser   *access.User              // the user of Desired.Other, if somebody removed its tags; nil: nobody did
	// Locked are secrets whose values AWS did not let this run store or read, and why: most
	// likely their KMS keys.
	Locked map[string]string
	// ResourcePolicy is the policy of the declared secret; empty: the secret has none, does
	// not exist, is not ours, or is in its recovery window.
	ResourcePolicy string

	Other     *access.User // see Desired.Other; nil: does not exist, or is not ours
	OtherKeys []access.Key
}

// Refused says why there is no plan. Nothing was changed.
type Refused string

func (r Refused) Error() string { return string(r) }

// Task is one step of a plan, and the earlier steps that it needs: they must be done before
// it begins.
type Task struct {
	Step  Step
	Needs []int
}

// Converge returns the steps that make the account as declared, or Refused, or
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
	if p.outdated() || len(p.tasks) > 0 {
		p.complete()
	}
	return p.tasks, nil
}

type planner struct {
	want      Desired
	seen      Observed
	now       time.Time
	documents []policy.Document
	oldSecret *access.SecretInfo // the old secret from which the values are copied; nil: none
	ring      keyring.Ring
	tasks     []Task
	// readers is the secret's resource policy after the steps so far.
	readers string
	// bound is the step that sets the provider's permissions boundary; nil: the user has it.
	bound needs
	// accepted: the scope, the readers and the KMS key were accepted before.
	accepted bool
	// acceptedWhole: they were accepted together with this secret and this Serial. So this is most
	// likely a rollback. It must succeed, whatever happened to a KMS key, an access key or a
	// bucket since.
	acceptedWhole bool
}

func newPlanner(want Desired, seen Observed, now time.Time) *planner {
	p := &planner{want: want, seen: seen, now: now, readers: seen.ResourcePolicy}
	p.oldSecret = p.source()
	if seen.User != nil {
		remembers := readCompleted(seen.User.Tags)
		p.accepted, p.acceptedWhole = slices.Contains(remembers, Accepted(want.Spec)), slices.Contains(remembers, AcceptedWhole(want.Spec))
	}
	p.ring = keyring.Ring{
		User: want.Spec.UserName, Secret: p.rotating(), Keys: seen.Keys, Others: seen.OtherKeys, Versions: p.versions(), LastUse: seen.LastUse,
		Replaced: p.promotedAt(), Grace: name.Days(want.Spec.GraceDays), Now: now,
	}
	for _, old := range slices.Concat(seen.OldSecrets, seen.Lost) {
		p.ring.OldVersions = append(p.ring.OldVersions, old.Versions...)
	}
	return p
}

// needs are tasks, by their index.
type needs []int

// add adds a task, and returns it as a need for later tasks.
func (p *planner) add(step Step, after ...needs) needs {
	p.tasks = append(p.tasks, Task{step, slices.Compact(slices.Sorted(slices.Values(slices.Concat(after...))))})
	return needs{len(p.tasks) - 1}
}

// after joins needs.
func after(all ...needs) needs { return slices.Concat(all...) }

func (p *planner) spread() ([]policy.Document, error) {
	before := map[int][]access.Place{}
	for number, existing := range p.seen.Policies {
		before[number] = policy.Places(existing.Document)
	}
	most := name.MaxPolicies
	if _, tenth := before[name.MaxPolicyNumber]; tenth || p.accepted {
		// A user from an earlier release may keep its tenth policy, and go back to it.
		most = name.MaxPolicyNumber
	}
	return policy.Documents(most, p.want.Spec.Scope, p.want.Owner.Stack.Partition, before)
}

// tags are the stack owner's tags, and those that say to which resource an entity belongs.
func (p *planner) tags() map[string]string {
	tags := p.want.Owner.Tags(p.want.Spec.UserName)
	maps.Copy(tags, p.want.Spec.Tags)
	return tags
}

// changed returns the tags to set and to remove. Tags that somebody else set on an entity
// stay: it removes only tags that the stack set before.
func (p *planner) changed(declared, existing map[string]string, own ...string) (set map[string]string, unset []string) {
	set = map[string]string{}
	for key, value := range declared {
		if is, there := existing[key]; !there || is != value {
			set[key] = value
		}
	}
	for _, key := range append(own, p.want.Old.TagKeys...) {
		_, there := existing[key]
		if _, stays := declared[key]; there && !stays && !slices.Contains(unset, key) {
			unset = append(unset, key)
		}
	}
	slices.Sort(unset)
	return set, unset
}

// InCapitalsOnly reports whether two user names differ only in upper and lower case.
func InCapitalsOnly(a, b string) bool { return a != b && strings.EqualFold(a, b) }
