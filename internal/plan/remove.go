package plan

import (
	"maps"
	"slices"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
)

// Target is what a Delete names.
type Target struct {
	Owner      name.Owner
	Run        order.Run
	PhysicalID string // from the event: CloudFormation invents some
	UserName   string // from the properties
	SecretName string // from the properties
	// Of is the event of a Create that failed and does not know what it left, see
	// order.Run.Event. Then the user is removed only if it is incomplete, or that event has
	// created it. Empty: any event may have created it.
	Of string
	// Undo: a failed run takes back its own user, unless another delivery of its event has
	// completed it since.
	Undo bool
}

// Named reports whether the id is the name of the user to which the properties lead.
// Otherwise CloudFormation has invented the id, because it accepted no response of the
// Create; or the user was replaced.
func (t Target) Named() bool { return t.PhysicalID == t.UserName }

// Claim is what a Delete may do with a user that it has found.
type Claim int

const (
	// Mine: the user and everything with its name are removed.
	Mine Claim = iota
	// InDoubt: an earlier run may still be at work on the user. Its keys are deleted at
	// once, the rest once that run is over.
	InDoubt
	// Later: a later event has created or changed the user. It stays.
	Later
	// Foreign: the user belongs to somebody else, and stays. What has our tags is removed.
	Foreign
	// Lost: the user may belong to the resource, but somebody removed our tags. Nothing is
	// removed, and a Delete fails: the user's key works, and needs its secret.
	Lost
)

// ClaimOn returns what a Delete may do with the user of that name; nil: it does not exist.
// waited says that no call of an earlier run can be under way.
func ClaimOn(t Target, userName string, user *access.User, waited bool) Claim {
	if user == nil {
		return Mine
	}
	if !t.Owner.OwnsAs(userName, user.Tags) {
		// This holds for an invented id too: CloudFormation also invents one after a Create
		// that was completed. A Create that was refused because of somebody else's user
		// needs no Delete, see name.NotCreated.
		if HasLostTags(t.Owner, *user) {
			return Lost
		}
		return Foreign
	}
	marks := order.MarksOf(user.Tags)
	if t.Of != "" && IsCompleted(user) && !slices.ContainsFunc(marks, func(m order.Mark) bool { return m.Event() == t.Of }) {
		return Later
	}
	if t.Undo && IsCompleted(user) && !marks.Ended(t.Run) {
		return Later
	}
	switch turn, mark := marks.Turn(t.Run); {
	case turn == order.Stop:
		return Later
	case turn == order.Wait && mark.Type != order.Delete && !waited:
		return InDoubt
	}
	return Mine
}

// Takes reports whether a Delete may remove a policy or a secret with these tags: it belongs
// to the user, and no later event has created it.
func (t Target) Takes(userName string, tags map[string]string) bool {
	turn, _ := order.MarksOf(tags).Turn(t.Run)
	return t.Owner.OwnsAs(userName, tags) && turn != order.Stop
}

// Belongings is what has the tags of one user.
type Belongings struct {
	User     *access.User // nil: does not exist, or belongs to somebody else
	Keys     []access.Key
	Policies map[int]access.Policy // by number, attached or not
	Secrets  []string
	// ForeignUser: somebody else's user has the name. As long as a policy is attached to it,
	// the secret stays: the user's tags may be wrong, and its key may be in use.
	ForeignUser bool
}

// Remove returns the steps that remove everything of a user, keys first.
func Remove(userName string, b Belongings) []Task {
	p := planner{}
	var keys, detached needs
	if b.User != nil {
		keys = p.add(TakeTurn{userName})
	}
	for _, key := range b.Keys {
		keys = append(keys, p.add(DeleteKey{userName, key.ID})...)
	}
	for _, number := range slices.Sorted(maps.Keys(b.Policies)) {
		existing := b.Policies[number]
		free := keys
		if b.User != nil {
			free = p.add(DetachPolicy{userName, existing.Name}, keys)
			detached = append(detached, free...)
		}
		deleted := p.add(DeletePolicy{existing.Name, existing.ARN}, free)
		if b.ForeignUser {
			detached = append(detached, deleted...)
		}
	}
	for _, secret := range b.Secrets {
		p.add(DeleteSecret{secret, userName}, keys, detached)
	}
	if b.User != nil {
		p.add(DeleteUser{userName}, keys, detached)
	}
	return p.tasks
}

// RemoveKeys returns the steps that delete a user's keys, and nothing else.
func RemoveKeys(userName string, b Belongings) []Task {
	return Remove(userName, Belongings{Keys: b.Keys})
}

// Secrets are the names that the secrets of a user can have.
func Secrets(userName, declared string, user *access.User) []string {
	names := []string{name.Secret(userName), declared}
	if user != nil {
		names = append(names, name.RememberedSecrets(user.Tags)...)
	}
	names = slices.DeleteFunc(names, func(secret string) bool { return secret == "" })
	slices.Sort(names)
	return slices.Compact(names)
}
