package plan

import (
	"fmt"
	"maps"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// What exists under a declared name belongs to the resource if its tags say so. Otherwise it
// is not changed, and the message says whose it is, as far as its tags tell.

// foreign refuses what exists under a declared name and does not belong to the resource. A
// policy without tags that is attached to the resource's own user gets its tags back.
//
// It also refuses to go on if what the stack declared before has lost its tags: a new user
// or secret would get a new key, and no rollback would find the old one.
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
	if _, found := p.ring.ForSerial(p.want.Spec.Serial); found {
		return nil // the key is known without that secret
	}
	for _, seen := range p.seen.Lost {
		if seen.Name == p.want.Old.SecretName {
			return lostBefore("SecretName", "secret", seen.Name, giveSecretBack(owner, user, seen.Name))
		}
	}
	return nil
}

// lostBefore refuses to change the name of an entity that has lost its tags.
func lostBefore(property, kind, entity, giveBack string) Refused {
	return Refused(fmt.Sprintf("%s: the old %s %q has lost tags of this provider. Nothing was changed. Set the tags again: %s. Then update the stack again", property, kind, entity, giveBack))
}

// ForeignUser says whose the user of the declared name is, and what to do.
func ForeignUser(owner name.Owner, user access.User) Refused {
	whose, deletable := whose(owner, user.Name, user.Tags)
	return taken("UserName", fmt.Sprintf("a user %q exists", user.Name), whose, orDelete(deletable, "nobody uses its key, which may be Cloney's", "delete that user"))
}

// ForeignSecret says whose the secret of the declared name is, and what to do.
func ForeignSecret(owner name.Owner, user string, secret access.SecretInfo) Refused {
	whose, deletable := whose(owner, user, secret.Tags)
	if !secret.Deleted.IsZero() {
		return taken("SecretName", fmt.Sprintf("a secret %q exists until its scheduled deletion", secret.Name), whose,
			orDelete(deletable, "nobody restores it", "delete it now: aws secretsmanager delete-secret --secret-id "+secret.Name+" --force-delete-without-recovery"))
	}
	return taken("SecretName", fmt.Sprintf("a secret %q exists", secret.Name), whose, orDelete(deletable, "nobody reads it", "delete that secret"))
}

// ForeignPolicy says whose the policy of a needed name is, and what to do.
func ForeignPolicy(owner name.Owner, user string, policy access.Policy) Refused {
	whose, deletable := whose(owner, user, policy.Tags)
	return taken("UserName", fmt.Sprintf("a policy %q exists", policy.Name), whose, orDelete(deletable, "nobody needs it", "delete that policy"))
}

// taken refuses a name that something else has.
func taken(property, what, whose, orDelete string) Refused {
	return Refused(fmt.Sprintf("%s: %s and does not belong to this resource: %s. It was not changed. Choose another %s%s", property, what, whose, property, orDelete))
}

// orDelete is the way to keep the name. Nobody is told to delete what another resource may
// still use.
func orDelete(deletable, unused, step string) string {
	if deletable == "" {
		return ""
	}
	return fmt.Sprintf("; or, %s that %s, %s", deletable, unused, step)
}

// giveBack says how the resource gets a user back that lost its tags.
func (p *planner) giveBack(user access.User) Refused {
	if p.want.PhysicalID != user.Name || !HasLostTags(p.want.Owner, user) {
		return ""
	}
	return Refused(". If somebody removed the tags of this resource's own user, set them again: " + giveUserBack(p.want.Owner, user.Name))
}

// giveSecretBack says how the resource gets a secret back that lost its tags.
func (p *planner) giveSecretBack(secret access.SecretInfo) Refused {
	user := p.want.Spec.UserName
	if p.want.PhysicalID != user || !p.want.Owner.LostAs(user, secret.Tags) {
		return ""
	}
	return Refused(". If somebody removed the tags of this resource's own secret, set them again: " + giveSecretBack(p.want.Owner, user, secret.Name))
}

// LostUser is why a Delete fails that finds its user without its tags: after a success the
// user's key would still work, and nobody would know.
func LostUser(owner name.Owner, user string) Refused {
	return Refused(fmt.Sprintf("UserName: user %q has lost tags of this provider. It was not changed, and its key still works. Set the tags again: %s. Then delete again. If the user does not belong to this resource, retain the resource", user, giveUserBack(owner, user)))
}

func giveUserBack(owner name.Owner, user string) string {
	return fmt.Sprintf("aws iam tag-user --user-name %s --tags %s", user, tagArguments(owner, user))
}

func giveSecretBack(owner name.Owner, user, secret string) string {
	return fmt.Sprintf("aws secretsmanager tag-resource --secret-id %s --tags %s", secret, tagArguments(owner, user))
}

// tagArguments are the tags of an entity in the AWS CLI's syntax.
func tagArguments(owner name.Owner, user string) string {
	return fmt.Sprintf("Key=%s,Value=%s Key=%s,Value=%s Key=%s,Value=%s", name.TagStack, owner.Stack.ID, name.TagLogical, owner.Logical, name.TagPhysical, user)
}

// whose says to whom an entity belongs that does not belong to the resource, and when it may
// be deleted; empty: never, because another resource still has it.
func whose(owner name.Owner, user string, tags map[string]string) (whose, deletable string) {
	const sure = "once you are sure"
	logical, of := tags[name.TagLogical], tags[name.TagStack]
	stack, err := name.ParseStackID(of)
	switch {
	case logical == "" && of == "" && tags[name.TagPhysical] == "":
		return "it has none of this provider's tags", sure
	case owner.LostAs(user, tags) || logical == "" || err != nil:
		return "it does not have all of this provider's tags", sure
	case owner.Owns(tags):
		return fmt.Sprintf("its tag %s says that it belongs to the user %q of this same resource", name.TagPhysical, tags[name.TagPhysical]), ""
	case of == owner.Stack.ID:
		return fmt.Sprintf("it belongs to the resource %s of this stack", logical), ""
	}
	return fmt.Sprintf("it belongs to the resource %s of stack %s (%s)", logical, stack.Name, short(of)), "if that stack no longer exists and you are sure"
}

// short is the beginning of a stack's id: it distinguishes stacks of the same name.
func short(stackID string) string {
	id := stackID[strings.LastIndex(stackID, "/")+1:]
	return id[:min(len(id), 8)]
}

// HasLostTags reports whether a user may belong to the resource although somebody removed or
// overwrote tags of it: it is on the provider's path, and its tags do not name another
// resource. The provider creates no user whose tags name another user.
func HasLostTags(owner name.Owner, user access.User) bool {
	tags := maps.Clone(user.Tags)
	if tags[name.TagPhysical] != user.Name {
		delete(tags, name.TagPhysical)
	}
	return onPath(owner, user) && owner.LostAs(user.Name, tags)
}

// WhoseUser says whose a user on the provider's path is that does not belong to the resource;
// empty: the user is on another path.
func WhoseUser(owner name.Owner, user access.User) (whoseItIs string) {
	if !onPath(owner, user) {
		return ""
	}
	whoseItIs, _ = whose(owner, user.Name, user.Tags)
	return whoseItIs
}

// onPath reports whether a user is on the path of this provider's users. The ARN contains
// the path.
func onPath(owner name.Owner, user access.User) bool {
	return strings.HasSuffix(user.ARN, ":user"+name.Path(owner.Stack.Region)+user.Name)
}
