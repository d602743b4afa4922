package plan

import (
	"fmt"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// A user may have another boundary than the provider's. Somebody removed the boundary; or
// the provider was deployed again, and the user has the UserBoundary of the old deployment;
// or somebody set a boundary of their own.
//
// The provider corrects the first two before it gives the user anything. The third may be a
// deliberate limit and stays: the provider refuses what needs its own boundary. IAM would
// deny the new policy's access, but not the new key.

// LimitedByOthers reports whether somebody has set a boundary of their own on the user.
func LimitedByOthers(user access.User) bool {
	carries := user.Boundary.ARN
	return !user.Boundary.Holds() && carries != "" && !name.IsUserBoundary(carries, user.ARN)
}

// boundary sets the provider's boundary on a user that has lost it, or that has the one of
// an old deployment.
func (p *planner) boundary() needs {
	user := p.seen.User
	if user == nil || user.Boundary.Holds() || LimitedByOthers(*user) {
		return nil
	}
	return p.add(PutBoundary{User: user.Name, Old: user.Boundary.ARN})
}

// outside refuses what a user under somebody else's boundary does not get.
func (p *planner) outside(property, what string) error {
	user := p.seen.User
	if user == nil || !LimitedByOthers(*user) {
		return nil
	}
	return Refused(fmt.Sprintf("%s: user %s has the permissions boundary %s, which is not the provider's, so it gets %s. Nothing was changed. Find out why the boundary was set. If it is not meant as a limit: aws iam put-user-permissions-boundary --user-name %s --permissions-boundary %s, and update the stack again",
		property, user.Name, user.Boundary.ARN, what, user.Name, user.Boundary.Ours))
}
