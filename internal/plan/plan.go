// Package plan decides: from what a stack declares and what the account holds,
// the ordered steps that make the one into the other.
//
// Steps are data; package provision carries them out. An account that is as
// declared gives no steps, so an update that changes nothing writes nothing.
// There is no plan for a retry, a rollback or a crash: each looks at what is
// there and plans from that, like the first run.
//
// The order is the safety. The secret's place is made before a key exists, so
// that little can fail between a key's birth and its storing; a new key is
// proven before AWSCURRENT names it; a wider policy comes before a narrower
// one; who shall not read the secret any more loses that before a new key is in
// it, who newly shall gets it once the key is proven; what goes away goes last.
// A key that is in use is never deleted to make room: the plan is refused
// instead. So is everything that would touch an entity of someone else.
//
// It is pure: no SDK, no clock, no I/O.
package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

// Desired is what shall be.
type Desired struct {
	Owner     name.Owner
	RequestID string // of the event; kept on a user that it makes
	Spec      spec.Spec

	// From OldResourceProperties, in an Update.
	Replaces     string   // the physical id of the user that this one replaces
	FormerSecret string   // the secret's former name, if it was another
	FormerTags   []string // keys of the tags that the stack set before
	// Readers that the stack named before: AWS knew them.
	FormerReaders []string
}

// Observed is what is there.
type Observed struct {
	User     *access.User // nil: none
	Keys     []access.Key
	LastUse  map[string]access.LastUse // by key id; looked up when no key has room
	Policies map[int]access.Policy     // by number: attached to the user, and ours
	Secret   *access.SecretInfo        // of the desired name; nil: none
	Former   *access.SecretInfo        // of the former name; nil: none, or not ours
	// ResourcePolicy is that of the desired secret; empty: it has none, or is
	// not there, not ours or in its recovery window.
	ResourcePolicy string
}

// UserID returns the user's id; empty: there is no user.
func (o Observed) UserID() string {
	if o.User == nil {
		return ""
	}
	return o.User.ID
}

// Grace is how long a replaced key must have gone unused before it may be
// deleted to make room (RotationGraceDays' default).
const Grace = 7 * 24 * time.Hour

// Completed is the tag's value that Complete writes: what was proven last, or
// that nothing was.
func Completed(texts []string, keyID string, verified bool) string {
	if !verified {
		return "unverified"
	}
	return "verified-" + name.Token(append([]string{keyID}, texts...)...)
}

// Settled reports whether the user that a Create asks for was made, and
// finished, by that same Create: it was delivered again, and nothing is to do.
func Settled(want Desired, seen Observed) bool {
	return seen.User != nil && want.Owner.OwnsAs(want.Spec.UserName, seen.User.Tags) &&
		seen.User.Tags[name.TagCompleted] != "" && seen.User.Tags[name.TagRequest] == want.RequestID
}

// Refused says why a plan cannot be made. Nothing was done.
type Refused string

func (r Refused) Error() string { return string(r) }

// Converge returns the steps that make the account as desired, or Refused, or
// policy.TooManyError.
func Converge(want Desired, seen Observed, now time.Time) ([]Step, error) {
	if err := foreign(want, seen); err != nil {
		return nil, err
	}
	if err := tooManyReaders(want); err != nil {
		return nil, err
	}
	p := planner{want: want, seen: seen, now: now, readers: seen.ResourcePolicy}
	documents, err := p.documents()
	if err != nil {
		return nil, err
	}
	p.user(documents)
	p.policies(documents)
	p.secret()
	if err := p.key(documents); err != nil {
		return nil, err
	}
	p.remove(documents)
	return p.steps, nil
}

// foreign refuses what exists under a wanted name and is not the resource's.
func foreign(want Desired, seen Observed) error {
	user, secret := want.Spec.UserName, want.Spec.SecretName
	if seen.User != nil && !want.Owner.OwnsAs(user, seen.User.Tags) {
		return Refused(fmt.Sprintf("UserName: a user %q exists and does not belong to this resource; it was not touched. Choose another UserName, or delete that user", user))
	}
	if seen.Secret == nil || want.Owner.Owns(seen.Secret.Tags) {
		return nil
	}
	if !seen.Secret.Deleted.IsZero() {
		return Refused(fmt.Sprintf("SecretName: a secret %q that does not belong to this resource is scheduled for deletion and keeps its name until then; it was not touched. Choose another SecretName, or delete it for good: aws secretsmanager delete-secret --force-delete-without-recovery", secret))
	}
	return Refused(fmt.Sprintf("SecretName: a secret %q exists and does not belong to this resource; it was not touched. Choose another SecretName, or delete that secret", secret))
}

type planner struct {
	want  Desired
	seen  Observed
	now   time.Time
	steps []Step
	// readers is the secret's resource policy as the steps so far leave it.
	readers string
}

func (p *planner) add(step Step) { p.steps = append(p.steps, step) }

func (p *planner) documents() ([]policy.Document, error) {
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
	for _, key := range append(own, p.want.FormerTags...) {
		_, there := existing[key]
		if _, stays := wanted[key]; there && !stays && !slices.Contains(unset, key) {
			unset = append(unset, key)
		}
	}
	slices.Sort(unset)
	return set, unset
}

func (p *planner) user(documents []policy.Document) {
	highest := 0
	for _, d := range documents {
		highest = max(highest, d.Number)
	}
	wanted := p.tags()
	if p.seen.User == nil {
		wanted[name.TagRequest] = p.want.RequestID
		wanted[name.TagPolicies] = strconv.Itoa(highest)
		p.add(CreateUser{p.want.Spec.UserName, wanted})
		return
	}
	// Raised before a policy of that number is made, so that Delete knows how
	// far to look, whatever crashed in between.
	if HighestPolicy(p.seen.User.Tags) < highest {
		wanted[name.TagPolicies] = strconv.Itoa(highest)
	}
	if set, unset := p.changed(wanted, p.seen.User.Tags); len(set)+len(unset) > 0 {
		p.add(TagUser{p.want.Spec.UserName, set, unset})
	}
}

// HighestPolicy returns the highest number that a policy of the user with
// these tags can have.
func HighestPolicy(userTags map[string]string) int {
	n, err := strconv.Atoi(userTags[name.TagPolicies])
	if err != nil || n < 0 || n > name.MaxPolicies {
		return name.MaxPolicies
	}
	return n
}

func (p *planner) policies(documents []policy.Document) {
	user := p.want.Spec.UserName
	for _, d := range documents {
		existing, there := p.seen.Policies[d.Number]
		if !there {
			p.add(CreatePolicy{User: user, Name: name.Policy(user, d.Number), Text: d.Text, Tags: p.tags()})
			continue
		}
		if !policy.Same(existing.Document, d.Text) {
			p.add(UpdatePolicy{existing.Name, d.Text})
		}
		if set, unset := p.changed(p.tags(), existing.Tags); len(set)+len(unset) > 0 {
			p.add(TagPolicy{existing.Name, set, unset})
		}
	}
}

func (p *planner) secret() {
	wanted := p.tags()
	if p.want.Spec.KMSKey != "" {
		wanted[name.TagKMSKey] = p.want.Spec.KMSKey
	}
	moved := p.moved()
	if len(moved) > 0 && p.seen.Former.Tags[name.TagPromoted] != "" {
		wanted[name.TagPromoted] = p.seen.Former.Tags[name.TagPromoted]
	}
	secret := p.want.Spec.SecretName
	if p.seen.Secret == nil {
		p.add(CreateSecret{Name: secret, KMSKey: p.want.Spec.KMSKey, Tags: wanted})
	} else {
		if !p.seen.Secret.Deleted.IsZero() {
			p.add(RestoreSecret{secret})
		}
		if p.seen.Secret.Tags[name.TagKMSKey] != p.want.Spec.KMSKey {
			p.add(RekeySecret{secret, p.want.Spec.KMSKey})
		}
		if set, unset := p.changed(wanted, p.seen.Secret.Tags, name.TagKMSKey); len(set)+len(unset) > 0 {
			p.add(TagSecret{secret, set, unset})
		}
		p.narrow()
	}
	if len(moved) > 0 {
		p.add(CopyVersions{From: p.want.FormerSecret, To: secret, Versions: moved})
	}
}

func texts(documents []policy.Document) []string {
	sorted := slices.SortedFunc(slices.Values(documents), func(a, b policy.Document) int { return a.Number - b.Number })
	out := make([]string, len(sorted))
	for i, d := range sorted {
		out[i] = d.Text
	}
	return out
}

// remove takes away what is no longer wanted, and marks the rest as complete.
func (p *planner) remove(documents []policy.Document) {
	for _, number := range slices.Sorted(maps.Keys(p.seen.Policies)) {
		if !slices.ContainsFunc(documents, func(d policy.Document) bool { return d.Number == number }) {
			p.add(DeletePolicy{p.want.Spec.UserName, p.seen.Policies[number].Name})
		}
	}
	if p.seen.Former != nil {
		p.add(DeleteSecret{p.want.FormerSecret})
	}
	if p.incomplete(documents) {
		p.add(Complete{User: p.want.Spec.UserName, Texts: texts(documents), Verified: p.want.Spec.Verify})
	}
}

// incomplete reports whether the mark on the user says something else than
// what is desired: a new key, other policies, or no mark at all.
func (p *planner) incomplete(documents []policy.Document) bool {
	if p.seen.User == nil {
		return true
	}
	mark := p.seen.User.Tags[name.TagCompleted]
	if !p.want.Spec.Verify {
		return mark == ""
	}
	version, ok := p.standing()
	return !ok || mark != Completed(texts(documents), KeyOf(version), true)
}

// Remove returns the steps that take everything of one physical id away, keys
// first. What is in seen belongs to it: the caller has asked for the tags.
func Remove(physicalID string, seen Observed, secrets []string) []Step {
	var steps []Step
	for _, key := range seen.Keys {
		steps = append(steps, DeleteKey{physicalID, key.ID})
	}
	for _, number := range slices.Sorted(maps.Keys(seen.Policies)) {
		steps = append(steps, DeletePolicy{physicalID, seen.Policies[number].Name})
	}
	if seen.User != nil {
		steps = append(steps, DeleteUser{physicalID})
	}
	for _, secret := range secrets {
		steps = append(steps, DeleteSecret{secret})
	}
	return steps
}

// InCapitalsOnly reports whether two user names differ in nothing but case.
func InCapitalsOnly(a, b string) bool { return a != b && strings.EqualFold(a, b) }
