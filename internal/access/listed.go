package access

import "time"

// ListedUser is what the list of users says of one: neither tags nor boundary.
type ListedUser struct {
	Name    string
	ID      string
	Created time.Time
}
