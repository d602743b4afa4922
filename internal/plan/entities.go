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
	declared := p.tags()
	if p.remembers() {
		// Written before the secret is created, so that every Delete finds it.
		maps.Copy(declared, name.RememberSecret(p.want.Spec.SecretName))
	}
	if p.seen.User == nil {
		declared = p.made(declared)
		if p.want.PhysicalID != "" {
			// The user is created again: policies of the deleted user may still exist.
			highest = name.MaxPolicyNumber
		}
		declared[name.TagPolicies] = strconv.Itoa(highest)
		return p.add(CreateUser{p.want.Spec.UserName, declared})
	}
	// Raised before a policy of that number is created, so that a Delete knows how far to
	// look, after any crash.
	if HighestPolicy(p.seen.User.Tags) < highest {
		declared[name.TagPolicies] = strconv.Itoa(highest)
	}
	if set, unset := p.changed(declared, p.seen.User.Tags); len(set)+len(unset) > 0 {
		return p.add(TagUser{p.want.Spec.UserName, set, unset})
	}
	return nil
}

// remembers reports whether the user must remember the secret's name. A Delete looks under
// the default name without that. An Update does not: so the default name is remembered too
// when an old secret exists next to the new one.
func (p *planner) remembers() bool {
	beside := p.seen.Secret == nil && len(p.want.OldSecretNames(p.seen.User)) > 0
	return beside || p.want.Spec.SecretName != name.Secret(p.want.Spec.UserName)
}

// HighestPolicy returns the highest number that a policy of the user with these tags can
// have.
func HighestPolicy(userTags map[string]string) int {
	n, err := strconv.Atoi(userTags[name.TagPolicies])
	if err != nil || n < 0 || n > name.MaxPolicyNumber {
		return name.MaxPolicyNumber
	}
	return n
}

// policies plans the policies' texts. A policy needs the user, whose tags say how many
// policies there are, so that a Delete looks for all of them. New policies come before the
// others, because they only add rights. A text that loses a bucket needs the text that gains
// it, in the order of policy.Documents.
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

// made adds the mark of the event that creates an entity: an older Delete that is still at
// work, or arrives late, leaves the entity.
func (p *planner) made(tags map[string]string) map[string]string {
	maps.Copy(tags, p.want.Run.Begun())
	return tags
}

func policyName(user string, number int) string { return name.Policy(user, number) }

// secret plans the secret in which a new key can be stored.
func (p *planner) secret(user needs) needs {
	secret, declared := p.want.Spec.SecretName, p.tags()
	if p.want.Spec.KMSKey != "" {
		declared[name.TagKMSKey] = p.want.Spec.KMSKey
	}
	if len(p.want.Spec.Readers) > 0 {
		declared[name.TagReaders] = "true"
	}
	maps.Copy(declared, name.GraceTags(p.want.Spec.GraceDays))
	moved := p.moved()
	if len(moved) > 0 && p.oldSecret.Tags[name.TagPromoted] != "" {
		declared[name.TagPromoted] = p.oldSecret.Tags[name.TagPromoted]
	}
	var place needs
	if p.seen.Secret == nil {
		if p.seen.User == nil && p.want.PhysicalID == "" {
			user = nil // a Delete knows the secret's name without the user
		}
		place = p.add(p.createSecret(declared), user)
	} else {
		place = p.existing(secret, declared, user)
	}
	if len(moved) > 0 {
		place = p.add(CopyVersions{From: p.oldSecret.Name, To: secret, Versions: moved}, place)
	}
	return place
}

// createSecret creates the secret. If the stack sets a KMS key, the secret holds a
// placeholder from the start: a KMS key that cannot be used is refused before there is an
// access key.
func (p *planner) createSecret(tags map[string]string) CreateSecret {
	step := CreateSecret{Name: p.want.Spec.SecretName, KMSKey: p.want.Spec.KMSKey, Tags: p.made(tags)}
	if step.KMSKey == "" {
		return step
	}
	step.Token = PlaceholderID(step.Name)
	step.Tolerant = p.acceptedWhole
	if p.oldSecret == nil {
		return step
	}
	if key := p.oldSecret.Tags[name.TagKMSKey]; key != step.KMSKey && key != name.KMSKeyChanges {
		step.Tolerant, step.Instead = p.accepted, key
	}
	return step
}

// existing plans what a secret that exists lacks.
func (p *planner) existing(secret string, declared map[string]string, user needs) (place needs) {
	if !p.seen.Secret.Deleted.IsZero() {
		place = p.add(RestoreSecret{secret})
	}
	if p.seen.Secret.Tags[name.TagKMSKey] != p.want.Spec.KMSKey {
		version, _ := keyring.Ring{Keys: p.seen.Keys, Versions: p.seen.Secret.Versions}.ForSerial(p.want.Spec.Serial)
		place = after(place, p.add(RekeySecret{
			Name: secret, KMSKey: p.want.Spec.KMSKey, Read: version.ID, Tolerant: p.accepted, From: p.seen.Secret.Tags[name.TagKMSKey],
		}, place))
	}
	delete(declared, name.TagKMSKey) // RekeySecret sets this tag
	if set, unset := p.changed(declared, p.seen.Secret.Tags, name.TagGrace); len(set)+len(unset) > 0 {
		if set[name.TagPhysical] != "" {
			place = after(place, user) // the secret needs the user to which it will belong
		}
		place = after(place, p.add(TagSecret{secret, set, unset}, place))
	}
	narrowed := p.narrow(place)
	if len(p.want.Spec.Readers) == 0 && p.seen.Secret.Tags[name.TagReaders] != "" {
		// Only once no reader is left: an earlier run would still read the policy.
		p.add(TagSecret{Name: secret, Unset: []string{name.TagReaders}}, place, narrowed)
	}
	return after(place, narrowed)
}

// remove deletes what is no longer declared.
func (p *planner) remove(all needs) {
	user := p.want.Spec.UserName
	for _, number := range slices.Sorted(maps.Keys(p.seen.Policies)) {
		if !slices.ContainsFunc(p.documents, func(d policy.Document) bool { return d.Number == number }) {
			existing := p.seen.Policies[number]
			p.add(DeletePolicy{existing.Name, existing.ARN}, p.add(DetachPolicy{user, existing.Name}, all))
		}
	}
	kept := p.keptSecrets()
	for _, old := range p.seen.OldSecrets {
		if !slices.Contains(kept, old.Name) {
			p.add(DeleteSecret{old.Name, user}, all, p.dropPending(old, all))
			continue
		}
		p.stopRotating(old, all)
		if p.locked(old) && old.Tags[name.TagLocked] == "" {
			p.add(TagSecret{Name: old.Name, Set: map[string]string{name.TagLocked: "true"}}, all)
		}
	}
}

// complete marks the user as completed, once everything else is done.
func (p *planner) complete() {
	every := make(needs, len(p.tasks))
	for i := range every {
		every[i] = i
	}
	step := Complete{User: p.want.Spec.UserName, Spec: p.want.Spec, Unproven: p.unproven()}
	if user := p.seen.User; user != nil {
		step.Before = readCompleted(user.Tags)
		step.Forget = append(p.want.Run.Outdated(user.Tags), name.ForgetSecrets(user.Tags, p.remembered()...)...)
	}
	step.Kept = p.keptSecrets()
	if p.want.Replaces() && p.seen.Other != nil {
		step.Other, step.OtherForget = p.want.Other(), p.want.Run.Outdated(p.seen.Other.Tags)
	}
	p.add(step, every)
}

// owned reports whether a user that was observed belongs to the resource, under its own
// name.
func (d Desired) owned(user *access.User) bool {
	return user != nil && d.Owner.OwnsAs(user.Name, user.Tags)
}
