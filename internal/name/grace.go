package name

import (
	"strconv"
	"time"
)

// RotationGraceDays: its default and its most.
const (
	DefaultGraceDays = 7
	MostGraceDays    = 365
)

// GraceTags are the tags that tell a secret's RotationGraceDays: none where it is the
// default.
func GraceTags(days int) map[string]string {
	if days == DefaultGraceDays {
		return nil
	}
	return map[string]string{TagGrace: strconv.Itoa(days)}
}

// Grace is how long a replaced key must have gone unused before it is retired, by the
// tags of its secret.
func Grace(secretTags map[string]string) time.Duration {
	days, err := strconv.Atoi(secretTags[TagGrace])
	if err != nil || days < 1 || days > MostGraceDays {
		days = DefaultGraceDays
	}
	return Days(days)
}

// Days is that many days of 24 hours.
func Days(days int) time.Duration { return time.Duration(days) * 24 * time.Hour }
