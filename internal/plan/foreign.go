package plan

import (
	"fmt"
	"maps"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// What exists under a wanted name is the resource's if its tags say so. Else it is
// not touched, and the sentence says whose it is, as far as its tags tell.

// foreign refuses what exists under a wanted name and is not the resource's. A
// policy without tags that is attached to the resource's own user gets them back.
//
// Nor does the plan go on without what the stack declared before and whose tags were
// taken off: a new user or secret would get a new key, and no rollback finds back.
func (p *planner) foreign() error {
	owner, user := p.want.Owner, p.want.Spec.UserName
	if seen := p.seen.User; seen != nil && !owner.OwnsAs(user, seen.Tags) {
		return ForeignUser(owner, *seen) + p.giveBack(*seen)
	}
	if seen := p.seen.Secret; seen != nil && !owner.Owns(seen.Tags) {
		return ForeignSecret(owner, user, *seen) + p.giveSecretBack(*seen)
	}
	for _, seen := range p.seen.Policies {
		if !owner.OwnsAs(user, seen.Tags) && !owner.LostAs(user, seen.Tags) {
			return ForeignPolicy(owner, user, seen)
		}
	}
	if seen := p.seen.LostUser; seen != nil && p.want.Replaces() {
		return lostBefore("UserName", "user", seen.Name, giveUserBack(owner, seen.Name))
	}
	if _, stands := p.ring.Standing(p.want.Spec.Serial); stands {
		return nil // the key is known without it
	}
	for _, seen := range p.seen.Lost {
		if seen.Name == p.want.Former.SecretName {
			return lostBefore("SecretName", "secret", seen.Name, giveSecretBack(owner, user, seen.Name))
		}
	}
	return nil
}

// lostBefore refuses to change the name of what has lost its tags.
func lostBefore(property, kind, entity, giveBack string) Refused {
	return Refused(fmt.Sprintf("%s: the former %s %q has lost tags of this provider. It was not touched, and nothing was changed. Give the tags back: %s. Then update the stack again", property, kind, entity, giveBack))
}

// ForeignUser says whose a user under the wanted name is, and what to do.
func ForeignUser(owner name.Owner, user access.User) Refused {
	return Refused(fmt.Sprintf("UserName: a user %q exists and does not belong to this resource (%s); it was not touched. Choose another UserName; or delete that user, once you are sure that nobody uses its key: it may be the one that Cloney uses", user.Name, whose(owner, user.Name, user.Tags)))
}

// ForeignSecret says whose a secret under the wanted name is, and what to do.
func ForeignSecret(owner name.Owner, user string, secret access.SecretInfo) Refused {
	whose := whose(owner, user, secret.Tags)
	if !secret.Deleted.IsZero() {
		return Refused(fmt.Sprintf("SecretName: a secret %q that does not belong to this resource (%s) is scheduled for deletion and keeps its name until then; it was not touched. Choose another SecretName; or, once you are sure that nobody restores it, delete it for good: aws secretsmanager delete-secret --secret-id %s --force-delete-without-recovery", secret.Name, whose, secret.Name))
	}
	return Refused(fmt.Sprintf("SecretName: a secret %q exists and does not belong to this resource (%s); it was not touched. Choose another SecretName; or delete that secret, once you are sure that nobody reads it", secret.Name, whose))
}

// ForeignPolicy says whose a policy under a wanted name is, and what to do.
func ForeignPolicy(owner name.Owner, user string, policy access.Policy) Refused {
	return Refused(fmt.Sprintf("UserName: a policy %q exists and does not belong to this resource (%s); it was not touched. Choose another UserName; or delete that policy, once you are sure that nobody needs it", policy.Name, whose(owner, user, policy.Tags)))
}

// giveBack says how an Update finds its user again that lost its tags.
func (p *planner) giveBack(user access.User) Refused {
	if p.want.PhysicalID != user.Name || !HasLostTags(p.want.Owner, user) {
		return ""
	}
	return Refused(". If somebody took the tags off this resource's own user, give them back: " + giveUserBack(p.want.Owner, user.Name))
}

// giveSecretBack says the same of its secret.
func (p *planner) giveSecretBack(secret access.SecretInfo) Refused {
	user := p.want.Spec.UserName
	if p.want.PhysicalID != user || !p.want.Owner.LostAs(user, secret.Tags) {
		return ""
	}
	return Refused(". If somebody took the tags off this resource's own secret, give them back: " + giveSecretBack(p.want.Owner, user, secret.Name))
}

// LostUser is why a Delete fails that finds its user without its tags: that user's
// key would live on behind a success.
func LostUser(owner name.Owner, user string) Refused {
	return Refused(fmt.Sprintf("UserName: user %q has lost tags of this provider. It was not touched, and its key still works. Give the tags back: %s. Then delete again. If the user is not this resource's, retain the resource", user, giveUserBack(owner, user)))
}

func giveUserBack(owner name.Owner, user string) string {
	return fmt.Sprintf("aws iam tag-user --user-name %s --tags %s", user, tagArguments(owner, user))
}

func giveSecretBack(owner name.Owner, user, secret string) string {
	return fmt.Sprintf("aws secretsmanager tag-resource --secret-id %s --tags %s", secret, tagArguments(owner, user))
}

// tagArguments are the tags of an entity as the AWS CLI takes them.
func tagArguments(owner name.Owner, user string) string {
	return fmt.Sprintf("Key=%s,Value=%s Key=%s,Value=%s Key=%s,Value=%s", name.TagStack, owner.Stack.ID, name.TagLogical, owner.Logical, name.TagPhysical, user)
}

// whose says whose an entity is that is not the resource's.
func whose(owner name.Owner, user string, tags map[string]string) string {
	logical, of := tags[name.TagLogical], tags[name.TagStack]
	stack, err := name.ParseStackID(of)
	switch {
	case logical == "" && of == "" && tags[name.TagPhysical] == "":
		return "it carries none of this provider's tags"
	case owner.LostAs(user, tags) || logical == "" || err != nil:
		return "it does not carry all of this provider's tags"
	case owner.Owns(tags):
		return fmt.Sprintf("its tag %s says that it belongs to the user %q of this very resource", name.TagPhysical, tags[name.TagPhysical])
	case of == owner.Stack.ID:
		return fmt.Sprintf("it belongs to the resource %s of this stack", logical)
	}
	return fmt.Sprintf("it belongs to the resource %s of stack %s (%s), which has it or, if that is deleted, has left it", logical, stack.Name, short(of))
}

// short is what tells stacks of one name apart: how the id of this one begins.
func short(stackID string) string {
	id := stackID[strings.LastIndex(stackID, "/")+1:]
	return id[:min(len(id), 8)]
}

// HasLostTags reports whether a user may be the resource's own but for tags that
// somebody took off or wrote over: it is on the provider's path, and its tags are no
// other resource's. The provider makes no user whose tags name another user.
func HasLostTags(owner name.Owner, user access.User) bool {
	tags := maps.Clone(user.Tags)
	if tags[name.TagPhysical] != user.Name {
		delete(tags, name.TagPhysical)
	}
	return onPath(owner, user) && owner.LostAs(user.Name, tags)
}

// Stranger says whose a user on the provider's path is that is not the resource's;
// empty: it is elsewhere.
func Stranger(owner name.Owner, user access.User) (whoseItIs string) {
	if !onPath(owner, user) {
		return ""
	}
	return whose(owner, user.Name, user.Tags)
}

// onPath reports whether a user is where this provider makes its users. The path
// stands in the ARN.
func onPath(owner name.Owner, user access.User) bool {
	return strings.HasSuffix(user.ARN, ":user"+name.Path(owner.Stack.Region)+user.Name)
}
