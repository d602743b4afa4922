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
	PhysicalID string // as it came: CloudFormation invents some
	UserName   string // that the properties lead to
	SecretName string // that the properties lead to
	// Of is the event of a Create that failed and does not know what is there, see
	// order.Run.Event: the user goes only if it is half-made, or that event has
	// made it. Empty: whoever has made it.
	Of string
	// Undo: a failed run takes back its own user, unless another delivery of its
	// event has finished it meanwhile.
	Undo bool
}

// Named reports whether the id is the name of the user that the properties lead
// to. If not, CloudFormation has invented it, because it took no answer of the
// Create; or the user was replaced.
func (t Target) Named() bool { return t.PhysicalID == t.UserName }

// Claim is what a Delete may do with a user that it has found.
type Claim int

const (
	// Mine: the user and all that carries its name go.
	Mine Claim = iota
	// InDoubt: an earlier run may still be at work on it. Its keys go at once; the
	// rest once the run is over.
	InDoubt
	// Later: a later event has made it or changed it. It stays.
	Later
	// Foreign: it is someone else's, and stays. What carries our tags goes.
	Foreign
	// Lost: it may be the resource's own, but somebody took our tags off it. Nothing
	// is touched, and a Delete fails: its key lives, and needs its secret.
	Lost
)

// ClaimOn says what a Delete may do with the user of that name; nil: there is
// none. waited says that no call of an earlier run can be under way.
func ClaimOn(t Target, userName string, user *access.User, waited bool) Claim {
	if user == nil {
		return Mine
	}
	if !t.Owner.OwnsAs(userName, user.Tags) {
		// Under an invented id too: CloudFormation invents one also where the Create
		// has finished. A Create that is refused for a stranger's user needs no Delete,
		// see name.NotCreated.
		if HasLostTags(t.Owner, *user) {
			return Lost
		}
		return Foreign
	}
	marks := order.MarksOf(user.Tags)
	if t.Of != "" && Finished(user) && !slices.ContainsFunc(marks, func(m order.Mark) bool { return m.Event() == t.Of }) {
		return Later
	}
	if t.Undo && Finished(user) && !marks.Ended(t.Run) {
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

// Takes reports whether a Delete may take a policy or a secret with these tags:
// it is the user's, and no later event has made it.
func (t Target) Takes(userName string, tags map[string]string) bool {
	turn, _ := order.MarksOf(tags).Turn(t.Run)
	return t.Owner.OwnsAs(userName, tags) && turn != order.Stop
}

// Belongings is what carries the tags of one user.
type Belongings struct {
	User     *access.User // nil: there is none, or it is someone else's
	Keys     []access.Key
	Policies map[int]access.Policy // by number, attached or not
	Secrets  []string
	// Stranger: someone else's user has the name. As long as a policy is attached to
	// it, the secret stays: its tags may be wrong, and its key live.
	Stranger bool
}

// Remove returns the steps that take everything of a user away, keys first.
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
		gone := p.add(DeletePolicy{existing.Name, existing.ARN}, free)
		if b.Stranger {
			detached = append(detached, gone...)
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

// RemoveKeys returns the steps that take a user's keys away, and nothing else.
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
