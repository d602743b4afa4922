package plan

import (
	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/order"
)

// Failed says how a Create or Update failed.
type Failed struct {
	// By is the mark of the event that has overtaken it, if there is one.
	By *order.Mark
	// UserDeleted: the user on which it worked does not exist any more.
	UserDeleted bool
	// Wrote: it has called AWS to change something.
	Wrote bool
}

// Undoing is what a failed run takes back.
type Undoing int

const (
	// Nothing: the event that follows handles everything, or a later event decides.
	Nothing Undoing = iota
	// TakeAway: everything of the user is removed.
	TakeAway
	// HandBack: a secret that two users share returns to the old user, then everything of
	// the new user is removed.
	HandBack
)

// Undo returns what a failed run takes back. seen is what it observed first.
//
// A later event decides by itself, and finds everything: a Delete waits for calls that are
// under way, and the rollback of a replacement knows the new user from its
// OldResourceProperties. Only the Delete of the old user does not know the user that
// replaced it.
func Undo(want Desired, seen Observed, f Failed) Undoing {
	switch {
	case !Incomplete(want, seen) || !f.Wrote:
		return Nothing
	case want.Replaces() && (f.UserDeleted || f.By != nil && f.By.Type == order.Delete):
		return TakeAway
	case f.UserDeleted || f.By != nil:
		return Nothing
	case want.Replaces():
		return HandBack
	case want.PhysicalID == "" || seen.User == nil:
		return TakeAway
	}
	return Nothing
}

// Incomplete reports whether the user did not exist, or was not completed.
func Incomplete(want Desired, seen Observed) bool {
	return seen.User == nil || want.owned(seen.User) && !IsCompleted(seen.User)
}

// GiveBack returns the steps that return a secret to the old user, if the secret holds an
// active key of that user. A secret that was created for the new user does not.
func GiveBack(want Desired, secret access.SecretInfo, old access.User, keys []access.Key) []Task {
	version, ok := keyring.ActiveVersion(keys, secret.Versions)
	if !ok || !want.Owner.OwnsAs(old.Name, old.Tags) || !want.Owner.OwnsAs(want.Spec.UserName, secret.Tags) {
		return nil
	}
	p := planner{}
	var promoted needs
	if current, _ := secret.Labelled(access.Current); version.ID != current.ID {
		// A crash after this: AWSCURRENT names the old user's active key, and the rollback
		// Update does the rest.
		promoted = p.add(Promote{Secret: secret.Name, Version: version.ID, KeyID: keyring.KeyID(version), From: current.ID})
	}
	p.add(TagSecret{Name: secret.Name, Set: want.Owner.Tags(old.Name)}, promoted)
	return p.tasks
}
