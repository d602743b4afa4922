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
	// Wait for order.InFlight, with the run's mark written, and look again.
	Wait
	// Yield to a later delivery of the same event, and answer what it has done.
	Yield
	// Overtaken: a later event decides. Nothing is touched any more.
	Overtaken
	// Stands: what is there is the answer.
	Stands
)

// marks are those on the users that a run works on.
func (d Desired) marks(seen Observed) order.Marks {
	var tags []map[string]string
	for _, user := range []*access.User{seen.User, seen.Other} {
		if d.owned(user) {
			tags = append(tags, user.Tags)
		}
	}
	return order.MarksOf(tags...)
}

// Admit says whether a Create or Update may work, and the mark that this follows
// from. waited says that the run has waited before.
func Admit(want Desired, seen Observed, waited bool) (Verdict, order.Mark, error) {
	turn, mark := want.marks(seen).Turn(want.Run)
	create := want.PhysicalID == ""
	finished := want.owned(seen.User) && Finished(seen.User)
	switch {
	case create && turn == order.Stop && finished:
		return Stands, mark, nil // delivered once more, late
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

// retained refuses a Create that finds its user there and finished: an earlier
// Create of the very same resource has made it.
func retained(want Desired) error {
	return Refused(fmt.Sprintf("UserName: the user %q of this very resource is there already, left by a DeletionPolicy or a skipped Delete; it was not touched, and its key works. Choose another UserName; or delete that user, its policies and its secret, once you are sure that nobody uses its key: it may be the one that Cloney uses", want.Spec.UserName))
}

// lateWithoutUser judges an Update that waited in the queue and whose user is
// gone. A Delete that CloudFormation has sent since takes the secret too; one
// that somebody has made by hand leaves it.
func lateWithoutUser(want Desired, seen Observed, waited bool) (Verdict, order.Mark, error) {
	secret := seen.Secret != nil && want.Owner.OwnsAs(want.Spec.UserName, seen.Secret.Tags)
	switch something := secret || len(seen.Formers) > 0 || seen.Other != nil; {
	case !something:
		return Work, order.Mark{}, Refused("the user and its secret were deleted since this update was sent; nothing was made. Update the stack again if the resource is to be there")
	case seen.Other == nil && !waited:
		return Wait, order.Mark{}, nil
	}
	return Work, order.Mark{}, nil
}

// Marks reports whether a run has to leave its mark before it works: not where
// nothing is to change, nor where its own event has ended, so that an update
// that changes nothing writes nothing.
func Marks(want Desired, last order.Mark) bool {
	return !want.Unchanged && !(last.Same(want.Run) && last.Ended)
}
