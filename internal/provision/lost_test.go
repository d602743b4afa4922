package provision_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
)

// ownership are the tags that say whose an entity is; untaggings what somebody may
// take off.
var (
	ownership  = []string{name.TagStack, name.TagLogical, name.TagPhysical}
	untaggings = map[string][]string{"all": nil, "ownership": ownership, "stack": ownership[:1], "logical id": ownership[1:2], "physical id": ownership[2:]}
)

// A user whose tags somebody took off keeps its key, and a success would hide it.
// Given its tags back, it is deleted like any other.
func TestADeleteOfAUserWithoutItsTags(t *testing.T) {
	for what, keys := range untaggings {
		for _, want := range []plan.Desired{stack(), stack(secretName("cloney/own"))} {
			play(t, func(w *world) {
				w.create(want)
				before := w.Inventory()
				w.Untag(user, keys...)
				w.Protect(user)
				err := w.tryDelete(target(want, user))
				if err == nil {
					t.Fatalf("%s: succeeded", what)
				}
				saysAll(t, err, user, "its key still works", "aws iam tag-user --user-name "+user+" --tags Key=cloney:stack-id,Value="+owner.Stack.ID+" Key=cloney:logical-id,Value=Credentials Key=cloney:physical-id,Value="+user)
				w.left(before)
				w.Unprotect()
				w.Tag(user, owner.Tags(user))
				w.remove(want)
				w.empty()
			})
		}
	}
}

// overwritings are what somebody may write over the tags of a user.
var overwritings = map[string]map[string]string{
	"emptied":     {name.TagStack: "", name.TagLogical: "", name.TagPhysical: ""},
	"no stack":    {name.TagStack: "unknown"},
	"no user":     {name.TagPhysical: "other"},
	"one emptied": {name.TagLogical: ""},
}

// Whatever id the Delete comes under, and whatever became of the policy's tags: the
// key lives, so that its secret and its policy stay, and no success hides it.
func TestADeleteOfAUserWhoseTagsWereWrittenOver(t *testing.T) {
	unknown := target(stack(), user)
	unknown.Of = "some event"
	for id, of := range map[string]plan.Target{"named": target(stack(), user), "invented": target(stack(), "stack-Credentials-INVENTED"), "unknown": unknown} {
		for what, tags := range overwritings {
			for _, others := range []func(w *world){
				func(*world) {},
				func(w *world) { w.Untag(user + "-1") },
				func(w *world) { w.Tag(user+"-1", tags); w.Tag(secret, tags) },
			} {
				play(t, func(w *world) {
					w.create(stack())
					w.Tag(user, tags)
					others(w)
					w.Protect(user, user+"-1", secret)
					before := w.Inventory()
					if err := w.tryDelete(of); err == nil || !strings.Contains(err.Error(), "aws iam tag-user") {
						t.Errorf("%s, %s: %v", id, what, err)
					}
					w.left(before)
				})
			}
		}
	}
}

// Tags that are another resource's: the user is left. A policy of ours that is still
// attached to it says that it is ours after all, so that the secret stays too.
func TestADeleteOfAUserWithAnothersTags(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.Tag(user, map[string]string{name.TagLogical: "Other"})
		w.Protect(user, secret)
		before := w.Inventory()
		if err := w.tryDelete(target(stack(), user)); err == nil || !strings.Contains(err.Error(), "aws iam list-entities-for-policy") {
			t.Error(err)
		}
		w.left(before)
		if !strings.Contains(w.log.String(), "kind=user name="+user+` whose="it belongs to the resource Other of this stack"`) {
			t.Error("the log does not name the user")
		}
	})
}

// What lost its tags is not left behind for a new name: its rollback would not find
// back. Given its tags back, it goes on with the same key.
func TestALostUserOrSecretIsNotRenamed(t *testing.T) {
	for lost, c := range map[string]struct {
		next []change
		says string
	}{
		user:   {[]change{userName(second)}, "UserName: the old user"},
		secret: {[]change{secretName("cloney/b")}, "SecretName: the old secret"},
	} {
		for _, more := range [][]change{nil, {serial(2)}, {buckets("two")}} {
			play(t, func(w *world) {
				first := w.create(stack()).AccessKeyID
				w.Untag(lost)
				w.Protect(lost, user+"-1")
				before := w.Inventory()
				next := stack(append(more, c.next...)...)
				w.fails(stack(), next, c.says, lost, "Then update the stack again")
				w.left(before)
				w.Unprotect()
				w.Tag(lost, owner.Tags(user))
				if result := w.rollback(next, stack()); result.AccessKeyID != first {
					t.Errorf("%s: key %s became %s", lost, first, result.AccessKeyID)
				}
				w.remove(stack())
				w.empty()
			})
		}
	}
}

// The rollback of a replacement leaves all of a new user that lost its tags, says so,
// and goes through.
func TestARollbackLeavesANewUserWithoutItsTags(t *testing.T) {
	for _, others := range []func(w *world){func(*world) {}, func(w *world) { w.Untag(second + "-1") }} {
		play(t, func(w *world) {
			first := w.create(stack()).AccessKeyID
			next := stack(userName(second))
			w.update(stack(), next)
			w.Untag(second)
			others(w)
			w.Protect(second, second+"-1", secondSecret)
			before := w.Inventory()
			if result := w.rollback(next, stack()); result.AccessKeyID != first {
				t.Errorf("key %s became %s", first, result.AccessKeyID)
			}
			w.left(before)
			if !strings.Contains(w.log.String(), "kind=user name="+second) {
				t.Error("the log does not say that it is left")
			}
		})
	}
}

// A user that got its tags back, and no more than those, does not remember the secret
// of a rename whose rollback was skipped. The log says where to look, once in an
// Update; and it says nothing of a user that a crash left incomplete.
func TestAUserThatHasForgotten(t *testing.T) {
	const look = "aws secretsmanager list-secrets --filters Key=tag-key,Values=cloney:physical-id Key=tag-value,Values=" + user
	for _, lost := range []bool{true, false} {
		play(t, func(w *world) {
			w.ExpectRemoval(user)
			w.create(stack())
			w.SetBucket("denied", false)
			if _, err := w.tryUpdate(stack(), stack(secretName("cloney/b"), buckets("denied"))); err == nil {
				t.Fatal("succeeded")
			}
			if lost {
				w.Untag(user)
				w.Tag(user, owner.Tags(user))
			}
			for n, update := range []change{buckets("two"), buckets("one")} {
				before := len(w.log.String())
				if _, err := w.tryUpdate(stack(), stack(update)); err != nil {
					t.Error(err)
				}
				if said := strings.Contains(w.log.String()[before:], look); said != (lost && n == 0) {
					t.Errorf("lost %t, update %d: said %t", lost, n, said)
				}
			}
			before := len(w.log.String())
			if err := w.tryDelete(target(stack(), user)); err != nil || strings.Contains(w.log.String()[before:], look) != lost {
				t.Errorf("Delete, lost %t: %v", lost, err)
			}
		})
	}
	for _, verb := range []string{"CreateUser", "CreatePolicy", "CreateSecret", "CreateAccessKey"} {
		play(t, func(w *world) {
			w.ExpectRemoval(user)
			w.killAt(verb, func() { _, _ = w.tryCreate(stack()) })
			w.create(stack())
			if strings.Contains(w.log.String(), look) {
				t.Errorf("killed at %s: a half-made user counts as one that has forgotten", verb)
			}
		})
	}
}

// Nothing that only a person can take away stops a rollback. The new user's keys go
// in any case, and all else that can.
func TestARollbackGoesThroughWhatAPersonHasDone(t *testing.T) {
	for what, c := range map[string]struct {
		did  func(w *world)
		left accesstest.Inventory
	}{
		"a group":             {func(w *world) { w.PutIntoGroup(second, "admins") }, accesstest.Inventory{Users: []string{second}}},
		"a policy elsewhere":  {func(w *world) { w.AttachElsewhere(second+"-1", "admins") }, accesstest.Inventory{Policies: []string{second + "-1"}}},
		"a replicated secret": {func(w *world) { w.Replicate(secondSecret, "us-east-1") }, accesstest.Inventory{Secrets: []string{secondSecret}}},
	} {
		play(t, func(w *world) {
			first := w.create(stack()).AccessKeyID
			next := stack(userName(second))
			w.update(stack(), next)
			c.did(w)
			w.ExpectRemoval(second)
			if result, err := w.tryRollback(next, stack(), user); err != nil || result.AccessKeyID != first {
				t.Errorf("%s: key %s became %s: %v", what, first, result.AccessKeyID, err)
			}
			if log := w.log.String(); !strings.Contains(log, "level=WARN msg=\"not deleted: ") || !strings.Contains(log, "delete it by hand") {
				t.Errorf("%s: nothing is said of it", what)
			}
			if err := w.tryDelete(target(stack(), user)); err != nil {
				t.Error(err)
			}
			w.left(c.left)
		})
	}
	// A policy that is not needed any more and attached elsewhere: the user's Delete
	// finds it. However little time there is, the rollback ends in it.
	play(t, func(w *world) {
		more := stack(buckets(manyBuckets(w)...))
		w.create(stack())
		w.update(stack(), more)
		w.AttachElsewhere(user+"-2", "admins")
		back := updated(more, stack(), user)
		back.Run = w.delivered(back.Run, order.Update)
		ctx, cancel := context.WithTimeout(w.Context(), 50*time.Second)
		defer cancel()
		if _, err := w.provisioner.Update(ctx, back); err != nil {
			t.Error(err)
		}
		if err := w.tryDelete(target(stack(), user)); err == nil || !strings.Contains(err.Error(), user+"-2") {
			t.Error(err)
		}
		w.left(accesstest.Inventory{Policies: []string{user + "-2"}})
	})
}

// An Update says the same, and goes on once the tags are there again.
func TestAnUpdateOfAUserWithoutItsTags(t *testing.T) {
	for what, keys := range untaggings {
		play(t, func(w *world) {
			first := w.create(stack()).AccessKeyID
			w.Untag(user, keys...)
			w.Protect(user, user+"-1", secret)
			w.fails(stack(), stack(buckets("two")), "UserName: ", user, "aws iam tag-user --user-name "+user)
			w.Unprotect()
			w.Tag(user, owner.Tags(user))
			if result := w.update(stack(), stack(buckets("two"))); result.AccessKeyID != first {
				t.Errorf("%s: key %s became %s", what, first, result.AccessKeyID)
			}
			w.remove(stack())
			w.empty()
		})
	}
}

// Whose name CloudFormation was not given, who is not on the provider's path, or who
// carries another resource's tags, is a stranger: the Delete leaves it and succeeds.
func TestADeleteThatMeetsAStranger(t *testing.T) {
	for what, c := range map[string]struct {
		tags map[string]string
		id   string
	}{
		"outside of the path":            {nil, user},
		"another resource's":             {ownerOf("Other").Tags(user), user},
		"another's, and one tag is gone": {map[string]string{name.TagStack: owner.Stack.ID, name.TagLogical: "Other"}, user},
		"under an invented id":           {ownerOf("Other").Tags(user), "stack-Credentials-INVENTED"},
	} {
		play(t, func(w *world) {
			w.MakeUser(user, c.tags)
			w.Protect(user)
			before := w.Inventory()
			if err := w.tryDelete(target(stack(), c.id)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			w.left(before)
			if onPath, warned := c.tags != nil, strings.Contains(w.log.String(), "kind=user name="+user); onPath != warned {
				t.Errorf("%s: on our path %t, warned %t", what, onPath, warned)
			}
		})
	}
	// Nor does the Delete of a Create that does not know what it has made, nor the
	// rollback of a replacement.
	play(t, func(w *world) {
		w.MakeUser(user, ownerOf("Other").Tags(user))
		w.Protect(user)
		unknown := target(stack(), user)
		unknown.Of = "some event"
		if err := w.tryDelete(unknown); err != nil {
			t.Error(err)
		}
	})
	play(t, func(w *world) {
		w.create(stack())
		w.MakeUser(second, map[string]string{name.TagStack: owner.Stack.ID})
		w.Protect(second)
		if _, err := w.tryRollback(stack(userName(second)), stack(), user); err != nil {
			t.Error(err)
		}
	})
}

// A policy of the user gets its tags back in an Update. In a Delete it is left,
// attached to nobody; a secret is left too, with a key that is deleted. The log says
// so.
func TestPoliciesAndSecretsWithoutTheirTags(t *testing.T) {
	for what, keys := range untaggings {
		play(t, func(w *world) {
			w.create(stack())
			w.Untag(user+"-1", keys...)
			w.update(stack(), stack(buckets("two")))
			if !owner.OwnsAs(user, w.Tags(user+"-1")) {
				t.Errorf("%s: the policy carries %v", what, w.Tags(user+"-1"))
			}
			w.remove(stack())
			w.empty()
		})
		play(t, func(w *world) {
			w.create(stack())
			w.Untag(user+"-1", keys...)
			w.Untag(secret, keys...)
			w.Protect(user+"-1", secret)
			if err := w.tryDelete(target(stack(), user)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			w.left(accesstest.Inventory{Policies: []string{user + "-1"}, Secrets: []string{secret}})
			for _, left := range []string{"kind=policy name=" + user + "-1", "kind=secret name=" + secret} {
				if !regexp.MustCompile("level=WARN.*" + regexp.QuoteMeta(left)).MatchString(w.log.String()) {
					t.Errorf("%s: the log does not warn of %q", what, left)
				}
			}
		})
		if what == "physical id" {
			continue // of a secret it may be another user's, and is put right
		}
		play(t, func(w *world) {
			w.create(stack())
			w.Untag(secret, keys...)
			w.Protect(secret)
			w.fails(stack(), stack(buckets("two")), "SecretName: ", secret, "aws secretsmanager tag-resource --secret-id "+secret)
			w.Unprotect()
			w.Tag(secret, owner.Tags(user))
			w.update(stack(), stack(buckets("two")))
		})
	}
	// An old secret is remembered as long as it exists.
	play(t, func(w *world) {
		w.create(stack(secretName("cloney/a")))
		w.update(stack(secretName("cloney/a")), stack(secretName("cloney/b")))
		w.Untag("cloney/b")
		w.Protect("cloney/b")
		w.update(stack(secretName("cloney/a")), stack(secretName("cloney/a"), tags(map[string]string{"a": "b"})))
		if !slices.Contains(name.RememberedSecrets(w.Tags(user)), "cloney/b") || !strings.Contains(w.log.String(), "kind=secret name=cloney/b") {
			t.Errorf("forgotten: %v", w.Tags(user))
		}
	})
}

// A policy that is attached to the user and says that it is another resource's is
// not touched.
func TestAnAttachedPolicyOfAnother(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.Tag(user+"-1", map[string]string{name.TagLogical: "Other"})
		w.Protect(user + "-1")
		w.fails(stack(), stack(buckets("two")), "UserName: a policy", user+"-1", "it belongs to the resource Other of this stack")
	})
}

// A name that is taken: whose it is, as far as tags tell, and never a bare "delete it".
func TestWhoseATakenNameIs(t *testing.T) {
	elsewhere := ownerOf("Theirs")
	elsewhere.Stack.ID, elsewhere.Stack.Name = strings.Replace(owner.Stack.ID, "stack/stack/51af3dc0", "stack/migration/9c1e2d3f", 1), "migration"
	const sure = "once you are sure that "
	for whose, c := range map[string]struct {
		tags      map[string]string
		deletable string // the condition under which the sentence tells how to delete it; empty: never
		says      []string
	}{
		"nobody's":         {nil, sure, []string{"it has none of this provider's tags"}},
		"a person's":       {map[string]string{"team": "data"}, sure, []string{"it has none of this provider's tags"}},
		"half of ours":     {map[string]string{name.TagStack: owner.Stack.ID}, sure, []string{"it does not have all of this provider's tags"}},
		"a sibling's":      {ownerOf("Other").Tags(user), "", []string{"it belongs to the resource Other of this stack"}},
		"another stack's":  {elsewhere.Tags(user), "if that stack no longer exists and you are sure that ", []string{"the resource Theirs of stack migration (9c1e2d3f)"}},
		"no stack's":       {map[string]string{name.TagStack: "x", name.TagLogical: "L", name.TagPhysical: user}, sure, []string{"it does not have all of this provider's tags"}},
		"our other user's": {owner.Tags("another"), "", []string{`belongs to the user "another" of this same resource`}},
	} {
		play(t, func(w *world) {
			w.MakeUser(user, c.tags)
			w.Protect(user)
			_, err := w.tryCreate(stack())
			w.ExpectNoRemoval(user)
			saysAll(t, err, append(c.says, "UserName: ", user, "Choose another UserName", c.deletable)...)
			if strings.Contains(err.Error(), "delete that user") != (c.deletable != "") {
				t.Errorf("%s: whether to delete it: %v", whose, err)
			}
			if strings.Contains(err.Error(), "tag-user") {
				t.Errorf("%s: a Create is told to take it over: %v", whose, err)
			}
		})
		if whose == "our other user's" {
			continue // it passes to this user
		}
		play(t, func(w *world) {
			w.MakeSecret(secret, "theirs", c.tags)
			w.Protect(secret)
			_, err := w.tryCreate(stack())
			saysAll(t, err, append(c.says, "SecretName: ", secret, "Choose another SecretName", c.deletable)...)
			if strings.Contains(err.Error(), "delete that secret") != (c.deletable != "") {
				t.Errorf("%s: whether to delete it: %v", whose, err)
			}
		})
	}
}

// Somebody added the user to a group: its keys are deleted, the answer says which
// and the command, and the next Delete finishes.
func TestAUserInAGroupIsNotDeleted(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		for _, kind := range accesstest.Kinds() {
			w.HangOn(user, kind)
		}
		w.PutIntoGroup(user, "admins")
		w.PutIntoGroup(user, "people")
		err := w.tryDelete(target(stack(), user))
		if err == nil || !access.Definite(err) {
			t.Fatal(err)
		}
		saysAll(t, err, "admins, people", "aws iam remove-user-from-group --group-name admins --user-name "+user, "--group-name people", "its keys are deleted")
		if left := w.Inventory(); len(left.Keys) > 0 || !slices.Equal(left.Users, []string{user}) {
			t.Errorf("left: %+v", left)
		}
		w.TakeOutOfGroups(user)
		w.remove(stack())
		w.empty()
	})
}

// Somebody replicated the secret: the key in it is deleted, the answer says the
// regions and the command, and the next Delete finishes.
func TestAReplicatedSecretIsNotDeleted(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.Replicate(secret, "eu-central-1", "us-east-1")
		err := w.tryDelete(target(stack(), user))
		if !errors.Is(err, access.ErrInvalid) {
			t.Fatal(err)
		}
		saysAll(t, err, "replicated the secret to eu-central-1 us-east-1", "aws secretsmanager remove-regions-from-replication --secret-id "+secret+" --remove-replica-regions eu-central-1 us-east-1")
		if keys := w.Inventory().Keys; len(keys) > 0 {
			t.Errorf("keys live on: %v", keys)
		}
		w.Replicate(secret)
		w.remove(stack())
		w.empty()
	})
	// Replicated in the moment of its deletion: the Update fails rather than forget it.
	play(t, func(w *world) {
		first := w.create(stack()).AccessKeyID
		w.atFirst("DeleteSecret", func() error { w.Replicate(secret, "us-east-1"); return nil })
		moved := stack(secretName("cloney/b"))
		w.fails(stack(), moved, "replicated the secret to us-east-1")
		if result := w.rollback(moved, stack()); result.AccessKeyID != first {
			t.Errorf("key %s became %s", first, result.AccessKeyID)
		}
	})
	// In an Update it stays, is said to, and goes once it can.
	play(t, func(w *world) {
		w.create(stack())
		w.Replicate(secret, "us-east-1")
		moved := stack(secretName("cloney/b"))
		w.update(stack(), moved)
		if !strings.Contains(w.log.String(), `level=WARN msg="an old secret stays`) {
			t.Error("the log does not say that it stays")
		}
		w.still(moved)
		w.Replicate(secret)
		w.update(moved, moved)
		w.holds(moved)
		w.remove(moved)
		w.empty()
	})
}
