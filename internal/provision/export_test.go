package provision

import "time"

// SetChance has all waits take their chance from f until restore.
func SetChance(f func(time.Duration) time.Duration) (restore func()) {
	usual := chance
	chance = f
	return func() { chance = usual }
}
