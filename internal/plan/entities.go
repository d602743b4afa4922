package plan

import (
	"maps"
	"slices"
	"strconv"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
)

// user plans the user and its tags.
func (p *planner) user() needs {
	highest := 0
	for _, d := range p.documents {
		highest = max(highest, d.Number)
	}
	wanted := p.tags()
	if p.remembers() {
		// Noted before the secret is made, so that every Delete finds it.
		maps.Copy(wanted, name.RememberSecret(p.want.Spec.SecretName))
	}
	if p.seen.User == nil {
		wanted = p.made(wanted)
		if p.want.PhysicalID != "" {
			// Made anew: its policies may be those of the one before.
			highest = name.MaxPolicyNumber
		}
		wanted[name.TagPolicies] = strconv.Itoa(highest)
		return p.add(CreateUser{p.want.Spec.UserName, wanted})
	}
	// Raised before a policy of that number is made, so that Delete knows how
	// far to look, whatever crashed in between.
	if HighestPolicy(p.seen.User.Tags) < highest {
		wanted[name.TagPolicies] = strconv.Itoa(highest)
	}
	if set, unset := p.changed(wanted, p.seen.User.Tags); len(set)+len(unset) > 0 {
		return p.add(TagUser{p.want.Spec.UserName, set, unset})
	}
	return nil
}

// remembers reports whether the user has to remember the secret's name. A Delete
// looks under the default name by itself. An Update does not: a secret of that
// name is remembered too when it is made beside another one.
func (p *planner) remembers() bool {
	beside := p.seen.Secret == nil && len(p.want.FormerSecrets(p.seen.User)) > 0
	return beside || p.want.Spec.SecretName != name.Secret(p.want.Spec.UserName)
}

// HighestPolicy returns the highest number that a policy of the user with
// these tags can have.
func HighestPolicy(userTags map[string]string) int {
	n, err := strconv.Atoi(userTags[name.TagPolicies])
	if err != nil || n < 0 || n > name.MaxPolicyNumber {
		return name.MaxPolicyNumber
	}
	return n
}

// policies plans the policies' texts. A policy needs the user, whose tags say how
// many there are, so that a Delete looks for all of them. New policies give and
// take nothing away: they come before the others. A text that loses a bucket needs the one that gains it, in
// the order of policy.Documents.
func (p *planner) policies(user needs) (needs, error) {
	name, all := p.want.Spec.UserName, needs{}
	for _, d := range p.documents {
		if _, there := p.seen.Policies[d.Number]; !there {
			if err := p.outside("Buckets", "no further policy"); err != nil {
				return nil, err
			}
			made := p.add(CreatePolicy{User: name, Name: policyName(name, d.Number), Text: d.Text, Tags: p.made(p.tags())}, user)
			all = append(all, p.add(AttachPolicy{name, policyName(name, d.Number)}, user, made)...)
		}
	}
	for _, d := range p.documents {
		existing, there := p.seen.Policies[d.Number]
		if there && !policy.Same(existing.Document, d.Text) {
			all = append(all, p.add(UpdatePolicy{existing.Name, d.Text}, all, p.bound)...)
		}
		if set, unset := p.changed(p.tags(), existing.Tags); there && len(set)+len(unset) > 0 {
			p.add(TagPolicy{existing.Name, set, unset})
		}
	}
	return all, nil
}

// made adds which event has made an entity: an older Delete that is still at work,
// or comes late, leaves it.
func (p *planner) made(tags map[string]string) map[string]string {
	maps.Copy(tags, p.want.Run.Begun())
	return tags
}

func policyName(user string, number int) string { return name.Policy(user, number) }

// secret plans the secret's place: what a new key needs to be stored.
func (p *planner) secret(user needs) needs {
	secret, wanted := p.want.Spec.SecretName, p.tags()
	if p.want.Spec.KMSKey != "" {
		wanted[name.TagKMSKey] = p.want.Spec.KMSKey
	}
	if len(p.want.Spec.Readers) > 0 {
		wanted[name.TagReaders] = "true"
	}
	maps.Copy(wanted, name.GraceTags(p.want.Spec.GraceDays))
	moved := p.moved()
	if len(moved) > 0 && p.former.Tags[name.TagPromoted] != "" {
		wanted[name.TagPromoted] = p.former.Tags[name.TagPromoted]
	}
	var place needs
	if p.seen.Secret == nil {
		if p.seen.User == nil && p.want.PhysicalID == "" {
			user = nil // a Delete of what this makes knows its name
		}
		place = p.add(p.createSecret(wanted), user)
	} else {
		place = p.existing(secret, wanted, user)
	}
	if len(moved) > 0 {
		place = p.add(CopyVersions{From: p.former.Name, To: secret, Versions: moved}, place)
	}
	return place
}

// createSecret makes the secret. With a KMS key of the stack's choice it holds a
// placeholder from the first moment, so that a key that cannot be used is refused
// before there is an access key.
func (p *planner) createSecret(tags map[string]string) CreateSecret {
	step := CreateSecret{Name: p.want.Spec.SecretName, KMSKey: p.want.Spec.KMSKey, Tags: p.made(tags)}
	if step.KMSKey == "" {
		return step
	}
	step.Token = PlaceholderID(step.Name)
	step.Tolerant = p.stood
	if p.former == nil {
		return step
	}
	if key := p.former.Tags[name.TagKMSKey]; key != step.KMSKey && key != name.KMSKeyChanges {
		step.Tolerant, step.Instead = p.back, key
	}
	return step
}

// existing plans what a secret that is there lacks.
func (p *planner) existing(secret string, wanted map[string]string, user needs) (place needs) {
	if !p.seen.Secret.Deleted.IsZero() {
		place = p.add(RestoreSecret{secret})
	}
	if p.seen.Secret.Tags[name.TagKMSKey] != p.want.Spec.KMSKey {
		standing, _ := keyring.Ring{Keys: p.seen.Keys, Versions: p.seen.Secret.Versions}.Standing(p.want.Spec.Serial)
		place = after(place, p.add(RekeySecret{
			Name: secret, KMSKey: p.want.Spec.KMSKey, Read: standing.ID, Tolerant: p.back, From: p.seen.Secret.Tags[name.TagKMSKey],
		}, place))
	}
	delete(wanted, name.TagKMSKey) // RekeySecret says which one it is
	if set, unset := p.changed(wanted, p.seen.Secret.Tags, name.TagGrace); len(set)+len(unset) > 0 {
		if set[name.TagPhysical] != "" {
			place = after(place, user) // it passes to a user that is there
		}
		place = after(place, p.add(TagSecret{secret, set, unset}, place))
	}
	narrowed := p.narrow(place)
	if len(p.want.Spec.Readers) == 0 && p.seen.Secret.Tags[name.TagReaders] != "" {
		// Once nobody reads it: whoever comes before that looks at the policy.
		p.add(TagSecret{Name: secret, Unset: []string{name.TagReaders}}, place, narrowed)
	}
	return after(place, narrowed)
}

// remove takes away what is no longer wanted.
func (p *planner) remove(all needs) {
	user := p.want.Spec.UserName
	for _, number := range slices.Sorted(maps.Keys(p.seen.Policies)) {
		if !slices.ContainsFunc(p.documents, func(d policy.Document) bool { return d.Number == number }) {
			existing := p.seen.Policies[number]
			p.add(DeletePolicy{existing.Name, existing.ARN}, p.add(DetachPolicy{user, existing.Name}, all))
		}
	}
	kept := p.keptSecrets()
	for _, former := range p.seen.Formers {
		if !slices.Contains(kept, former.Name) {
			p.add(DeleteSecret{former.Name, user}, all, p.dropPending(former, all))
			continue
		}
		p.stopRotating(former, all)
		if p.locked(former) && former.Tags[name.TagLocked] == "" {
			p.add(TagSecret{Name: former.Name, Set: map[string]string{name.TagLocked: "true"}}, all)
		}
	}
}

// complete marks the user as finished, once all else is done.
func (p *planner) complete() {
	every := make(needs, len(p.tasks))
	for i := range every {
		every[i] = i
	}
	step := Complete{User: p.want.Spec.UserName, Spec: p.want.Spec, Unproven: p.unproven()}
	if user := p.seen.User; user != nil {
		step.Before = completed(user.Tags)
		step.Forget = append(p.want.Run.Outdated(user.Tags), name.ForgetSecrets(user.Tags, p.remembered()...)...)
	}
	step.Kept = p.keptSecrets()
	if p.want.Replaces() && p.seen.Other != nil {
		step.Other, step.OtherForget = p.want.Other(), p.want.Run.Outdated(p.seen.Other.Tags)
	}
	p.add(step, every)
}

// owned reports whether an entity that was seen is the resource's, under the
// name of the user.
func (d Desired) owned(user *access.User) bool {
	return user != nil && d.Owner.OwnsAs(user.Name, user.Tags)
}
