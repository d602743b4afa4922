package plan

import (
	"fmt"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// A user may stand under another boundary than the provider's: somebody took it
// off; or the provider was deployed anew, and the user carries the UserBoundary of
// the former one; or somebody has put one of their own in its place.
//
// The first two are put right, before the user is given anything. The third may be
// a deliberate limit, and is never loosened: what needs the provider's boundary is
// refused. IAM would deny the policy, but not the key.

// LimitedByOthers reports whether somebody has put a boundary of their own on the
// user.
func LimitedByOthers(user access.User) bool {
	carries := user.Boundary.ARN
	return !user.Boundary.Holds() && carries != "" && !name.IsUserBoundary(carries, user.ARN)
}

// boundary puts the provider's boundary on a user that has lost it, or carries a
// former one.
func (p *planner) boundary() needs {
	user := p.seen.User
	if user == nil || user.Boundary.Holds() || LimitedByOthers(*user) {
		return nil
	}
	return p.add(PutBoundary{User: user.Name, Former: user.Boundary.ARN})
}

// outside refuses what a user under somebody else's boundary does not get.
func (p *planner) outside(property, what string) error {
	user := p.seen.User
	if user == nil || !LimitedByOthers(*user) {
		return nil
	}
	return Refused(fmt.Sprintf("%s: user %s carries the permissions boundary %s, which is not the provider's, so it gets %s. Nothing was changed. Ask who put it there. If it is not meant as a limit: aws iam put-user-permissions-boundary --user-name %s --permissions-boundary %s, and update the stack again",
		property, user.Name, user.Boundary.ARN, what, user.Name, user.Boundary.Wanted))
}
