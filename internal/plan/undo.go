package plan

import (
	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/order"
)

// Failed is how a Create or Update ended that did not succeed.
type Failed struct {
	// By is the mark of the event that has overtaken it, if one has.
	By *order.Mark
	// Gone: the user that it worked on is not there any more.
	Gone bool
	// Wrote: it has called AWS to change something.
	Wrote bool
}

// Undoing is what a failed run takes back.
type Undoing int

const (
	// Nothing: what follows finds its way, or a later event decides.
	Nothing Undoing = iota
	// TakeAway: all of the user goes.
	TakeAway
	// HandBack: a secret that two users share passes back to the former one,
	// then all of the new user goes.
	HandBack
)

// Undo says what a failed run takes back. It began with what was seen.
//
// A later event decides by itself, and finds all: a Delete waits for what is
// under way, and the rollback of a replacement knows the new user from its
// OldResourceProperties. Only the Delete of the former user knows nothing of
// the user that was to replace it.
func Undo(want Desired, seen Observed, f Failed) Undoing {
	switch {
	case !HalfMade(want, seen) || !f.Wrote:
		return Nothing
	case want.Replaces() && (f.Gone || f.By != nil && f.By.Type == order.Delete):
		return TakeAway
	case f.Gone || f.By != nil:
		return Nothing
	case want.Replaces():
		return HandBack
	case want.PhysicalID == "" || seen.User == nil:
		return TakeAway
	}
	return Nothing
}

// HalfMade reports whether the user was not there, or not finished.
func HalfMade(want Desired, seen Observed) bool {
	return seen.User == nil || want.owned(seen.User) && !Finished(seen.User)
}

// GiveBack returns the steps that make a secret the former user's again, if it
// holds a live key of that user. A secret that was made for the new user does not.
func GiveBack(want Desired, secret access.SecretInfo, former access.User, keys []access.Key) []Task {
	version, ok := keyring.LivingOf(keys, secret.Versions)
	if !ok || !want.Owner.OwnsAs(former.Name, former.Tags) || !want.Owner.OwnsAs(want.Spec.UserName, secret.Tags) {
		return nil
	}
	p := planner{}
	var promoted needs
	if current, _ := secret.Labelled(access.Current); version.ID != current.ID {
		// A crash after this: AWSCURRENT names the former user's live key, and
		// the rollback Update does the rest.
		promoted = p.add(Promote{Secret: secret.Name, Version: version.ID, KeyID: keyring.KeyID(version), From: current.ID})
	}
	p.add(TagSecret{Name: secret.Name, Set: want.Owner.Tags(former.Name)}, promoted)
	return p.tasks
}
