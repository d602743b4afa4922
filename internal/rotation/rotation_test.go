package rotation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/rotation"
	"cloney-s3-credentials/internal/spec"
)

// A rotation creates a key, proves it for the user's policies, makes it current, and
// announces that. The previous key continues to work.
func TestARotation(t *testing.T) {
	play(t, func(w *world) {
		if err := w.rotate(token(1)); err != nil {
			t.Fatal(err)
		}
		key := w.current()
		if live := w.LiveKeys(user); key == w.first || !slices.Equal(live, []string{w.first, key}) {
			t.Errorf("AWSCURRENT names %s of %v, and was %s", key, live, w.first)
		}
		if proofs := w.Proofs(); len(proofs) != 1 || proofs[0].KeyID != key || !slices.Equal(proofs[0].Scope.Places, w.want.Spec.Scope.Places) || proofs[0].Subject.MadeUp {
			t.Errorf("proven: %v", proofs)
		}
		if w.Labelled(secret, name.KeyLabel(3, key)) != key || w.Labelled(secret, access.Pending) != "" {
			t.Error("the new version does not say its Serial, or is still pending")
		}
		if !slices.Equal(w.tokens, []string{rotationToken}) {
			t.Error("the value was not stored with the RotationToken of the event")
		}
		if len(w.told) != 1 || !slices.Equal(w.ended, []bool{false}) {
			t.Fatalf("told: %+v, counted %v", w.told, w.ended)
		}
		n := w.told[0]
		if n.Kind != notice.Rotated || n.AccessKeyID != key || n.FormerAccessKeyID != w.first || n.SecretARN != arn || n.UserName != user || n.LogicalID != "Credentials" {
			t.Errorf("told: %+v", n)
		}
		if grace := time.Until(n.RetireAfter); grace < 7*24*time.Hour-time.Minute || grace > 7*24*time.Hour {
			t.Errorf("the former key is to be retired in %v", grace)
		}
		for key := range w.Tags(user) {
			if strings.HasPrefix(key, "cloney:event:") && w.Tags(user)[key] == "begun Rotate" {
				t.Errorf("the mark %s is left", key)
			}
		}
	})
}

// A repeated step changes nothing, and announces nothing.
func TestStepsThatComeAgain(t *testing.T) {
	play(t, func(w *world) {
		w.begin(token(1))
		for i, step := range steps {
			for range 2 {
				if err := w.step(step, token(1)); err != nil {
					t.Fatalf("%s: %v", step, err)
				}
			}
			w.Forget()
			for _, earlier := range steps[:i+1] {
				if err := w.step(earlier, token(1)); err != nil {
					t.Fatalf("%s after %s: %v", earlier, step, err)
				}
			}
			if writes := w.Writes(); len(writes) > 0 {
				t.Errorf("steps that come again after %s write: %v", step, writes)
			}
		}
		if len(w.LiveKeys(user)) != 2 || len(w.told) != 1 {
			t.Errorf("keys %v, told %v", w.LiveKeys(user), w.told)
		}
	})
}

// After a rotation an Update that changes nothing writes nothing, and one that changes
// the buckets keeps the key.
func TestAnUpdateAfterARotation(t *testing.T) {
	play(t, func(w *world) {
		if err := w.rotate(token(1)); err != nil {
			t.Fatal(err)
		}
		w.Forget()
		key := w.current()
		w.want.Unchanged = true
		if err := w.update(nil); err != nil || len(w.Writes()) > 0 || len(w.Proofs()) > 0 {
			t.Errorf("%v, writes %v", err, w.Writes())
		}
		w.want.Unchanged = false
		if err := w.update(func(s *spec.Spec) { s.Scope.Places = []access.Place{"two"} }); err != nil || w.current() != key {
			t.Errorf("%v, key %s, not %s", err, w.current(), key)
		}
	})
}

// If the user has two keys in use, a rotation changes nothing and announces the reason once.
// It continues when one of them is free.
func TestARotationWithoutRoom(t *testing.T) {
	play(t, func(w *world) {
		if err := w.rotate(token(1)); err != nil {
			t.Fatal(err)
		}
		second := w.current()
		w.told = nil
		w.begin(token(2))
		for range 3 {
			if err := w.steps(token(2)); err == nil || !strings.Contains(err.Error(), w.first) || !strings.Contains(err.Error(), "update-access-key") {
				t.Errorf("%v", err)
			}
		}
		if len(w.told) != 1 || w.told[0].Kind != notice.Failed || w.told[0].AccessKeyID != second || w.told[0].Next == "" {
			t.Errorf("told: %+v", w.told)
		}
		if live := w.LiveKeys(user); !slices.Equal(live, []string{w.first, second}) || w.current() != second {
			t.Errorf("keys %v, current %s", live, w.current())
		}
		time.Sleep(7 * 24 * time.Hour)
		if err := w.steps(token(2)); err != nil {
			t.Error(err)
		}
		if live := w.LiveKeys(user); slices.Contains(live, w.first) || len(live) != 2 || w.current() == second {
			t.Errorf("keys %v, current %s", live, w.current())
		}
		if w.Labelled(secret, name.KeyLabel(3, w.first)) != "" {
			t.Error("the version of the deleted key is still labelled")
		}
	})
}

// A leaked key is deactivated by hand, and one command replaces it. The previous key, which is
// in use, is current in the meantime. The deactivated key is deleted.
func TestARotationAfterALeak(t *testing.T) {
	play(t, func(w *world) {
		if err := w.rotate(token(1)); err != nil {
			t.Fatal(err)
		}
		leaked := w.current()
		w.Use(w.first, access.LastUse{Time: time.Now(), Service: "s3", Region: "eu-west-1"})
		w.Deactivate(leaked)
		if err := w.rotate(token(2)); err != nil {
			t.Fatal(err)
		}
		if live := w.LiveKeys(user); len(live) != 2 || slices.Contains(live, leaked) || live[0] != w.first || w.current() != live[1] {
			t.Errorf("keys %v, current %s", live, w.current())
		}
		if w.Labelled(secret, name.KeyLabel(3, w.current())) == "" {
			t.Error("the new key is not labelled for the Serial that the stack declares")
		}
	})
}

// If the proof of a key fails, the key is deleted, and the owner gets the reason. The next
// rotation succeeds.
func TestAKeyThatFailsItsTest(t *testing.T) {
	play(t, func(w *world) {
		w.SetBucket("one", false)
		err := w.rotate(token(1))
		if err == nil || !strings.Contains(err.Error(), "bucket one does not exist") {
			t.Errorf("%v", err)
		}
		if live := w.LiveKeys(user); !slices.Equal(live, []string{w.first}) || w.current() != w.first || w.Labelled(secret, access.Pending) != "" {
			t.Errorf("keys %v, current %s", live, w.current())
		}
		if err := w.steps(token(1)); err == nil || !strings.Contains(err.Error(), "aws secretsmanager rotate-secret") {
			t.Errorf("the same rotation again: %v", err)
		}
		if len(w.told) != 1 || w.told[0].Kind != notice.Failed || !slices.Equal(w.ended, []bool{true}) {
			t.Errorf("told: %+v", w.told)
		}
		w.SetBucket("one", true)
		if err := w.rotate(token(2)); err != nil {
			t.Error(err)
		}
		if tags := w.Tags(secret); tags[name.TagTold] == "" {
			t.Error("what was told was not noted")
		}
	})
}

// Only testSecret runs when a schedule is set: with an empty version, or with one that
// holds the current key. It creates and removes nothing.
func TestTestSecretAlone(t *testing.T) {
	for title, fill := range map[string]func(*world){
		"empty": func(*world) {},
		"a copy": func(w *world) {
			info, _ := w.Secret(w.Context(), secret)
			current, _ := info.Labelled(access.Current)
			value, err := w.Value(w.Context(), secret, current.ID)
			if err == nil {
				err = w.PutVersion(w.Context(), secret, token(1), value, []string{access.Pending})
			}
			if err != nil {
				w.Fatal(err)
			}
		},
	} {
		t.Run(title, func(t *testing.T) {
			play(t, func(w *world) {
				w.begin(token(1))
				fill(w)
				w.Forget()
				if err := w.step(rotation.TestSecret, token(1)); err != nil {
					t.Fatal(err)
				}
				w.EndTest(secret, token(1))
				if len(w.Writes()) > 0 || len(w.Proofs()) > 0 || len(w.told) > 0 || w.current() != w.first {
					t.Errorf("writes %v, proofs %v, told %v", w.Writes(), w.Proofs(), w.told)
				}
			})
		})
	}
}

// If the stack changes the policies between testSecret and finishSecret, the key is proven
// again, for the new policies.
func TestAKeyIsProvenForWhatStands(t *testing.T) {
	play(t, func(w *world) {
		w.begin(token(1))
		for _, step := range steps[:3] {
			if err := w.step(step, token(1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.update(func(s *spec.Spec) { s.Scope.Places = []access.Place{"two"} }); err != nil {
			t.Fatal(err)
		}
		w.Forget()
		if err := w.step(rotation.FinishSecret, token(1)); err != nil {
			t.Fatal(err)
		}
		if proofs := w.Proofs(); len(proofs) != 1 || proofs[0].Scope.Places[0] != "two" || proofs[0].KeyID != w.current() {
			t.Errorf("proven: %v", proofs)
		}
	})
}

// Two deliveries of one step at the same moment create one key.
func TestTwoStepsAtOnce(t *testing.T) {
	play(t, func(w *world) {
		w.begin(token(1))
		w.Before = func(ctx context.Context, _ string) error { time.Sleep(50 * time.Millisecond); return nil }
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- w.step(rotation.CreateSecret, token(1)) }()
			time.Sleep(10 * time.Millisecond)
		}
		one, two := <-results, <-results
		if one != nil && two != nil {
			t.Errorf("both failed: %v; %v", one, two)
		}
		if live := w.LiveKeys(user); len(live) != 2 || w.Labelled(secret, access.Pending) != live[1] {
			t.Errorf("keys %v, pending %s", live, w.Labelled(secret, access.Pending))
		}
		w.Before = nil
		if err := w.steps(token(1)); err != nil {
			t.Error(err)
		}
	})
}

// A step does not disturb an event at work: it ends, and Secrets Manager repeats it.
func TestAnEventAtWork(t *testing.T) {
	play(t, func(w *world) {
		w.begin(token(1))
		w.Account.Tag(user, w.event("Update").Begun())
		w.Forget()
		err := w.step(rotation.CreateSecret, token(1))
		if err == nil || !strings.Contains(err.Error(), "at work") || w.Calls()["CreateAccessKey"] > 0 {
			t.Errorf("%v, calls %v", err, w.Calls())
		}
		time.Sleep(10 * time.Minute) // its function was killed
		if err := w.steps(token(1)); err != nil {
			t.Error(err)
		}
	})
}

// An unclear answer of AWS, or a temporary refusal, ends only the step: nothing is removed,
// nothing is announced, and the same rotation continues.
func TestWhatPasses(t *testing.T) {
	for title, c := range map[string]struct {
		verb  string
		cause error
	}{
		"the value cannot be read":   {"GetSecretValue", access.ErrKMS},
		"it is not the rotator's":    {"CreateAccessKey", access.ErrDenied},
		"the policies are not shown": {"ListAttachedUserPolicies", errors.New("connection reset")},
		"the label is not moved":     {"UpdateSecretVersionStage", access.ErrDenied},
	} {
		t.Run(title, func(t *testing.T) {
			play(t, func(w *world) {
				w.begin(token(1))
				w.Before = func(_ context.Context, verb string) error {
					if verb == c.verb {
						return c.cause
					}
					return nil
				}
				if err := w.steps(token(1)); !errors.Is(err, c.cause) {
					t.Errorf("%v", err)
				}
				if len(w.told) > 0 || w.current() != w.first || w.Labelled(secret, access.Current) != w.first {
					t.Errorf("told %v, current %s", w.told, w.current())
				}
				w.Before = nil
				if err := w.steps(token(1)); err != nil || w.current() == w.first {
					t.Errorf("then: %v", err)
				}
			})
		})
	}
}

// If the notice cannot be sent, the key is current, and Secrets Manager repeats finishSecret
// until the notice is sent, once.
func TestNobodyHears(t *testing.T) {
	play(t, func(w *world) {
		w.deaf = errors.New("no bus")
		if err := w.rotate(token(1)); !errors.Is(err, w.deaf) || w.current() == w.first {
			t.Errorf("%v, current %s", err, w.current())
		}
		w.deaf = nil
		for range 2 {
			if err := w.steps(token(1)); err != nil {
				t.Error(err)
			}
		}
		if len(w.told) != 1 || w.told[0].FormerAccessKeyID != w.first {
			t.Errorf("told: %+v", w.told)
		}
	})
}

// A key that is not stored yet does not count as left behind until it is old enough.
func TestAKeyThatSomebodyMayBeStoring(t *testing.T) {
	play(t, func(w *world) {
		other := w.AddKey(user)
		w.begin(token(1))
		if err := w.steps(token(1)); err == nil || !strings.Contains(err.Error(), other) || len(w.told) > 0 || !slices.Contains(w.LiveKeys(user), other) {
			t.Errorf("%v, told %v", err, w.told)
		}
		time.Sleep(15 * time.Minute)
		if err := w.steps(token(1)); err != nil || slices.Contains(w.LiveKeys(user), other) {
			t.Errorf("%v, keys %v", err, w.LiveKeys(user))
		}
	})
}

// Secrets of others, or of another account or region, are not changed.
func TestASecretThatIsNotOurs(t *testing.T) {
	for title, c := range map[string]func(w *world, e *rotation.Event){
		"without our tags":  func(w *world, _ *rotation.Event) { w.Untag(secret) },
		"of another region": func(_ *world, e *rotation.Event) { e.SecretID = strings.Replace(arn, "eu-west-1", "eu-west-2", 1) },
		"made anew":         func(_ *world, e *rotation.Event) { e.SecretID = strings.Replace(arn, "AbCdEf", "GhIjKl", 1) },
		"another function's": func(w *world, _ *rotation.Event) {
			w.rotator.Function = strings.Replace(w.rotator.Function, "cloney", "other", 1)
		},
		"rotated no more":       func(w *world, _ *rotation.Event) { _ = w.CancelRotation(w.Context(), secret) },
		"scheduled for its end": func(w *world, _ *rotation.Event) { w.ScheduleDeletion(secret) },
		"gone":                  func(w *world, e *rotation.Event) { e.SecretID = "cloney/gone" },
		"not pending":           func(_ *world, e *rotation.Event) { e.Token = token(2) },
	} {
		t.Run(title, func(t *testing.T) {
			play(t, func(w *world) {
				w.begin(token(1))
				event := w.ask(rotation.CreateSecret, token(1))
				c(w, &event)
				w.Forget()
				var refused rotation.Refused
				if err := w.rotator.Step(w.Context(), event); !errors.As(err, &refused) || len(w.Writes()) > 0 || len(w.told) > 0 {
					t.Errorf("%v, writes %v, told %v", err, w.Writes(), w.told)
				}
			})
		})
	}
}

// A step works the same by the secret's name and by its ARN.
func TestASecretByName(t *testing.T) {
	play(t, func(w *world) {
		w.begin(token(1))
		event := w.ask(rotation.CreateSecret, token(1))
		event.SecretID = secret
		if err := w.rotator.Step(w.Context(), event); err != nil || len(w.LiveKeys(user)) != 2 {
			t.Error(err)
		}
	})
}

// Another run may have worked between the first look and the turn: the step looks again,
// and creates no second key.
func TestAStepLooksAgainInItsTurn(t *testing.T) {
	play(t, func(w *world) {
		w.begin(token(1))
		w.Before = func(_ context.Context, verb string) error {
			if verb == "TagUser" {
				w.Before = nil
				return w.step(rotation.CreateSecret, token(1))
			}
			return nil
		}
		if err := w.step(rotation.CreateSecret, token(1)); err != nil || w.Calls()["CreateAccessKey"] != 1 {
			t.Errorf("%v, calls %v", err, w.Calls())
		}
	})
}
