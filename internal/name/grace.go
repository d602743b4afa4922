package name

import (
	"strconv"
	"time"
)

// These are the default and the maximum of RotationGraceDays.
const (
	DefaultGraceDays = 7
	MostGraceDays    = 365
)

// GraceTags are the tags that hold a secret's RotationGraceDays: none for the default.
func GraceTags(days int) map[string]string {
	if days == DefaultGraceDays {
		return nil
	}
	return map[string]string{TagGrace: strconv.Itoa(days)}
}

// Grace is how long a replaced key must be unused before it is retired, by the tags of its
// secret.
func Grace(secretTags map[string]string) time.Duration {
	days, err := strconv.Atoi(secretTags[TagGrace])
	if err != nil || days < 1 || days > MostGraceDays {
		days = DefaultGraceDays
	}
	return Days(days)
}

// Days returns that many days of 24 hours.
func Days(days int) time.Duration { return time.Duration(days) * 24 * time.Hour }
