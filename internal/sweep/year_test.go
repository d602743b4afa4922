package sweep_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/rotation"
)

const (
	grace    = 7 * day
	rotates  = 30 * day
	oneYear  = 365 * day
	rotateAt = 10 * time.Hour // of a day
)

// consumer uses the key of one user once an hour, and switches to a new key in its own way.
type consumer struct {
	user   string
	key    func() string // that it uses now
	failed int
}

// year is a year of users that are rotated every 30 days and swept once a day.
type year struct {
	world
	rotator   *rotation.Rotator
	consumers map[string]*consumer
	changes   map[string][]change // of each user, when its current key changed
	made      map[string]time.Time
	oldest    map[string]time.Duration // how old a key of each user became
	rotations int
}

type change struct {
	at  time.Time
	key string
}

func newYear(t *testing.T, users ...string) *year {
	y := &year{world: newWorld(t), consumers: map[string]*consumer{}, changes: map[string][]change{}, made: map[string]time.Time{}, oldest: map[string]time.Duration{}}
	y.rotator = &rotation.Rotator{
		Users: y.Account, Keys: y.Account, Policies: y.Account, Secrets: y.Account, Prober: y.Account, Announcer: y.told, Log: y.Log,
		Versions: func(access.Secret) rotation.Versions { return y.Account }, Function: accesstest.Rotator,
	}
	time.Sleep(rotateAt) // each key is made at that time of the day
	for _, user := range users {
		y.user(user)
		y.Reschedule(name.Secret(user), "rate(30 days)")
	}
	return y
}

// current is the key that was current that long ago.
func (y *year) current(user string, ago time.Duration) (key string) {
	for _, c := range y.changes[user] {
		if key == "" || time.Since(c.at) >= ago {
			key = c.key
		}
	}
	return key
}

// rotate rotates the user's secret, as Secrets Manager does. It continues a rotation that has
// not ended.
func (y *year) rotate(user string) error {
	y.rotations++
	secret := name.Secret(user)
	token := name.Token("rotation", fmt.Sprint(y.rotations))
	if goesOn, err := y.BeginRotation(secret, token); err != nil {
		token = goesOn
	}
	for _, step := range []rotation.Step{rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret} {
		if err := y.rotator.Step(y.t.Context(), rotation.Event{Step: step, SecretID: secret, Token: token}); err != nil {
			return err
		}
	}
	return nil
}

// hour moves to the next hour: all consumers use their keys, and the promises are checked.
func (y *year) hour() {
	time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)))
	keys := map[string]int{}
	for _, listed := range y.Inventory().Keys {
		user, key, _ := strings.Cut(strings.TrimSuffix(listed, " (inactive)"), "/")
		if _, known := y.made[key]; !known {
			y.made[key] = time.Now()
		}
		y.oldest[user] = max(y.oldest[user], time.Since(y.made[key]))
		if keys[user]++; keys[user] > keyring.Most {
			y.t.Errorf("user %s has %d keys", user, keys[user])
		}
	}
	for user := range keys {
		now := y.Labelled(name.Secret(user), access.Current)
		if changes := y.changes[user]; len(changes) == 0 || changes[len(changes)-1].key != now {
			y.changes[user] = append(changes, change{time.Now(), now})
		}
	}
	for _, c := range y.consumers {
		if !y.Call(c.key()) {
			c.failed++
		}
	}
}

// Four users live for a year. The first has a consumer that reads the secret each time. The
// second has a consumer that gets the new key from a person three days late. The third has a
// consumer that never gets a new key. A key of the fourth leaks. Only the consumer with the
// leaked key fails. Each notice is sent once. An unused key is deleted by the age of the
// rotation, twice the grace and a day, at whatever time of the day the sweep runs.
func TestAYear(t *testing.T) {
	for i, sweepAt := range []time.Duration{3 * time.Hour, 11 * time.Hour, 13 * time.Hour, 15 * time.Hour} {
		if i%accesstest.OneIn(4) != 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			y := newYear(t, "prompt", "late", "never", "leaky")
			y.hour()
			first := y.current("never", 0)
			y.consumers = map[string]*consumer{
				"prompt": {user: "prompt", key: func() string { return y.current("prompt", 0) }},
				"late":   {user: "late", key: func() string { return y.current("late", 3*day) }},
				"never":  {user: "never", key: func() string { return first }},
				"leaky":  {user: "leaky", key: func() string { return y.current("leaky", 0) }},
			}
			leaked := y.live(sweepAt)
			for who, c := range y.consumers {
				if c.failed > 0 && who != "leaky" || c.failed > 1 {
					t.Errorf("the consumer %s failed %d times", who, c.failed)
				}
			}
			if y.state(leaked) != "gone" {
				t.Errorf("the leaked key is %s", y.state(leaked))
			}
			usual := rotates + 2*grace + day
			for user, most := range map[string]time.Duration{"prompt": usual, "late": usual + 3*day, "leaky": usual} {
				if y.oldest[user] > most {
					t.Errorf("a key of %s became %v old, and not %v", user, y.oldest[user], most)
				}
			}
			t.Logf("sweeps at %v: %d rotations asked for; the oldest keys: %v", sweepAt, y.rotations, y.oldest)
			y.toldOnce()
			y.Check()
		})
	}
}

// live runs the year. On the hundredth day the current key of one user leaks: somebody
// deactivates it, and rotates the secret at once. No sweep or rotation activates it again. It
// returns that key.
func (y *year) live(sweepAt time.Duration) (leaked string) {
	for began := time.Now().Truncate(day); time.Since(began) < oneYear; y.hour() {
		since := time.Since(began).Truncate(time.Hour)
		switch since % day {
		case sweepAt:
			y.sweep()
		case rotateAt:
			y.rotateAll(since)
		}
		if since == 100*day+15*time.Hour {
			leaked = y.current("leaky", 0)
			y.Deactivate(leaked)
			y.hour() // the consumer fails
			must(y.t, y.rotate("leaky"))
		}
		if leaked != "" && y.state(leaked) == "active" {
			y.t.Fatalf("after %v the leaked key is active again", since)
		}
	}
	return leaked
}

// rotateAll rotates all secrets every 30 days. After a failure it tries again a day later,
// as Secrets Manager does.
func (y *year) rotateAll(since time.Duration) {
	for _, user := range []string{"prompt", "late", "never", "leaky"} {
		if days := since / day % 30; days > 1 || days == 1 && user != "never" || since < day*2 {
			continue
		}
		err := y.rotate(user)
		if blocked := err != nil && strings.Contains(err.Error(), "the user has two keys already"); err != nil && !(blocked && user == "never") {
			y.t.Errorf("after %v the rotation of %s: %v", since, user, err)
		}
	}
}

// toldOnce checks the notices of the year: none twice, and for each user those that follow
// from its consumer.
func (y *year) toldOnce() {
	counts, ids := map[string]map[notice.Kind]int{}, map[string]bool{}
	for _, n := range y.told.notices {
		if ids[n.ID] {
			y.t.Errorf("told twice: %s of %s: %s", n.Kind, n.UserName, n.Reason)
		}
		ids[n.ID] = true
		if counts[n.UserName] == nil {
			counts[n.UserName] = map[notice.Kind]int{}
		}
		counts[n.UserName][n.Kind]++
	}
	// There is no notice about the leaked key, because its owner has deactivated it.
	const rotations = 12
	for user, want := range map[string]map[notice.Kind]int{
		"prompt": {notice.Rotated: rotations, notice.Retired: rotations},
		// A week after each rotation the replaced key was last used four days before.
		"late": {notice.Rotated: rotations, notice.StillInUse: rotations, notice.Retired: rotations},
		// The first key stays in use: after one rotation the user has two keys in use. The
		// refused rotation continues each time with the same token.
		"never": {notice.Rotated: 1, notice.StillInUse: 1, notice.Failed: 1, notice.Old: 2},
		"leaky": {notice.Rotated: rotations + 1, notice.Retired: rotations},
	} {
		for _, kind := range []notice.Kind{notice.Rotated, notice.StillInUse, notice.Retired, notice.Failed, notice.Orphan, notice.Drift, notice.Old} {
			// The last notice of the year may come after its end.
			if got := counts[user][kind]; got != want[kind] && !(slices.Contains([]notice.Kind{notice.Retired, notice.Rotated, notice.StillInUse}, kind) && got == want[kind]-1) {
				y.t.Errorf("of %s %q was told %d times, and not %d", user, kind, got, want[kind])
			}
		}
	}
}
