package plan

import (
	"fmt"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/order"
)

// Verdict is whether a run may work.
type Verdict int

const (
	// Work: no other run is at work.
	Work Verdict = iota
	// Wait for order.InFlight, with the run's mark written, and observe again.
	Wait
	// Yield to a later delivery of the same event, and answer with its result.
	Yield
	// Overtaken: a later event decides. This run changes nothing more.
	Overtaken
	// AlreadyDone: the run answers with what exists.
	AlreadyDone
)

// marks are the marks on the users of a run.
func (d Desired) marks(seen Observed) order.Marks {
	var tags []map[string]string
	for _, user := range []*access.User{seen.User, seen.Other} {
		if d.owned(user) {
			tags = append(tags, user.Tags)
		}
	}
	return order.MarksOf(tags...)
}

// Admit returns whether a Create or Update may work, and the mark from which that follows.
// waited says that the run has waited before.
func Admit(want Desired, seen Observed, waited bool) (Verdict, order.Mark, error) {
	turn, mark := want.marks(seen).Turn(want.Run)
	create := want.PhysicalID == ""
	finished := want.owned(seen.User) && IsCompleted(seen.User)
	switch {
	case create && turn == order.Stop && finished:
		return AlreadyDone, mark, nil // delivered once more, late
	case turn == order.Stop:
		return Overtaken, mark, nil
	case turn == order.Yield:
		return Yield, mark, nil
	case create && finished && !mark.Same(want.Run):
		return Work, mark, retained(want)
	case turn == order.Wait && !waited:
		return Wait, mark, nil
	case create || want.Run.Prompt() || seen.User != nil:
		return Work, mark, nil
	}
	return lateWithoutUser(want, seen, waited)
}

// retained refuses a Create whose user exists and is completed: an earlier Create of the
// same resource has created it.
func retained(want Desired) error {
	return Refused(fmt.Sprintf("UserName: the user %q of this resource already exists, left by a DeletionPolicy or a skipped Delete. It was not changed, and its key works: Cloney may use it. Choose another UserName; or, once you are sure that nobody uses the key, delete that user, its policies and its secret", want.Spec.UserName))
}

// lateWithoutUser decides about an Update that waited in the queue and whose user was
// deleted. A Delete that CloudFormation has sent since deletes the secret too; a person who
// deletes the user by hand leaves the secret.
func lateWithoutUser(want Desired, seen Observed, waited bool) (Verdict, order.Mark, error) {
	secret := seen.Secret != nil && want.Owner.OwnsAs(want.Spec.UserName, seen.Secret.Tags)
	switch something := secret || len(seen.OldSecrets) > 0 || seen.Other != nil; {
	case !something:
		return Work, order.Mark{}, Refused("the user and its secret were deleted since this update was sent; nothing was created. If you still need the resource, update the stack again")
	case seen.Other == nil && !waited:
		return Wait, order.Mark{}, nil
	}
	return Work, order.Mark{}, nil
}

// Marks reports whether a run must leave its mark before it works. It need not if nothing
// changes, or if its own event has ended: an update that changes nothing writes nothing.
func Marks(want Desired, last order.Mark) bool {
	return !want.Unchanged && !(last.Same(want.Run) && last.Ended)
}
