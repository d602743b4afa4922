package access

import "time"

// ListedUser is a user as the list of users shows it: without tags and boundary.
type ListedUser struct {
	Name    string
	ID      string
	Created time.Time
}
