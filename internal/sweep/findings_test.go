package sweep_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/reasons"
)

var update = flag.Bool("update", false, "write the golden file again")

const (
	secret = "cloney/u"
	others = "arn:aws:iam::123456789012:policy/limits/team"
)

// finding is something wrong with the user u, whose key this is.
type finding struct {
	what  string
	done  func(w world, key string)
	found []string // each as world.tells has it

}

func tagUser(w world, set map[string]string, unset ...string) {
	w.Tag("u", set)
	if len(unset) > 0 {
		w.Untag("u", unset...)
	}
}

// withoutTags is a user on the path without the tags of a resource.
func withoutTags(w world, _ string) { w.Untag("u") }

var findings = []finding{
	{"nothing", func(world, string) {}, nil},

	{"no tags", withoutTags, []string{"Orphan Found: its tags cloney:stack-id, cloney:logical-id and cloney:physical-id do not name its resource"}},
	{"another user's tags", func(w world, _ string) { tagUser(w, map[string]string{name.TagPhysical: "v"}) }, []string{"Orphan Found: do not name its resource"}},
	{"incomplete", func(w world, _ string) { tagUser(w, nil, name.TagCompleted) }, []string{"Orphan Found: was created on 2000-01-01 and never completed"}},
	{"its stack does not exist", func(w world, _ string) { w.SetResource(owner("u"), "") }, []string{"Orphan Found: the resource u or its stack data does not"}},
	{"incomplete, and its stack does not exist", func(w world, _ string) {
		tagUser(w, nil, name.TagCompleted)
		w.SetResource(owner("u"), "")
	}, []string{"Orphan Found: the resource u or its stack data does not"}},
	{"the resource has another user", func(w world, _ string) { w.SetResource(owner("u"), "v") }, []string{"Orphan Found: but that resource has another user now"}},
	{"CloudFormation says nothing", func(w world, _ string) { w.CloseStacks(true) }, nil},
	{"a key created by hand", func(w world, _ string) { w.AddKey("u"); time.Sleep(time.Hour) }, []string{"Orphan Found: is in no secret of this provider"}},
	{"an inactive key created by hand", func(w world, _ string) { w.Deactivate(w.AddKey("u")); time.Sleep(time.Hour) }, []string{"Orphan Found: is in no secret of this provider"}},
	{"a key created just now", func(w world, _ string) { w.AddKey("u") }, nil},

	{"a policy attached by hand", func(w world, _ string) { w.HangOn("u", "foreign policy") }, []string{"Drift Found: " + accesstest.ForeignPolicy}},
	{"an inline policy", func(w world, _ string) { w.HangOn("u", "inline policy") }, []string{"Drift Found: inline policies: " + accesstest.InlinePolicy}},
	{"a policy detached", func(w world, _ string) { w.Detach("u", "u-1") }, []string{"Drift Found: No policy of this provider is attached"}},
	{"a policy rewritten", func(w world, _ string) {
		must(w.t, w.UpdatePolicy(w.t.Context(), "u-1", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`))
	}, []string{"Drift Found: The policies of user u (u-1) are not as this provider wrote them"}},
	{"a policy of another user's", func(w world, _ string) {
		w.MakePolicy("v-1", "{}", owner("u").Tags("u"))
		must(w.t, w.AttachPolicy(w.t.Context(), "u", "v-1"))
	}, []string{"Drift Found: that are not this provider's: v-1"}},
	{"no boundary", func(w world, _ string) { w.Bind("u", "") }, []string{"Drift Found: has no permissions boundary"}},
	{"an earlier provider's boundary", func(w world, _ string) { w.Bind("u", accesstest.Former) }, []string{"Drift Found: of an earlier provider"}},
	{"someone else's boundary", func(w world, _ string) { w.Bind("u", others) }, []string{"Drift Found: the permissions boundary " + others + ", which is not the provider's"}},

	{"the secret deleted, whose name the user remembers", func(w world, _ string) {
		tagUser(w, name.RememberSecret(secret))
		w.DropSecret(secret)
	}, []string{"Drift Found: has no secret any more (cloney/u)"}},
	{"the secret deleted", func(w world, _ string) { w.DropSecret(secret) }, []string{"Drift Found: has no secret any more"}},
	{"the secret's deletion scheduled", func(w world, _ string) { w.ScheduleDeletion(secret) }, []string{"Drift Found: has no secret any more"}},
	{"the secret's tags taken off", func(w world, _ string) { w.Untag(secret) }, []string{"Drift Found: has no secret any more"}},
	{"another value stored", func(w world, _ string) {
		w.MakeSecret(secret, "{}", owner("u").Tags("u"))
	}, []string{"Drift Found: holds no key of this provider as AWSCURRENT", "Orphan Found: is in no secret"}},
	{"the current key deleted", func(w world, key string) { w.DropKey(key) }, []string{"Drift Found: which user u does not have any more"}},
	{"the current key deactivated", func(w world, key string) { w.Deactivate(key) }, []string{"Drift Found: which is inactive"}},

	{"the user deleted", func(w world, _ string) { w.DropUser("u") }, []string{"Orphan Found: but its user u does not"}},
	{"a key of 91 days", func(world, string) { time.Sleep(91 * day) }, []string{"Key Is Old: It was created on 2000-01-01, more than 90 days ago"}},
	{"a key of 90 days", func(world, string) { time.Sleep(90*day - 3*time.Hour) }, nil},
	{"a new user without our tags", func(w world, _ string) { w.MakeUser("fresh", map[string]string{name.TagStack: "x"}) }, nil},
}

// Each finding is announced once, in whatever order the sweeps see it, and nothing else is
// announced.
func TestWhatIsFound(t *testing.T) {
	for _, f := range findings {
		t.Run(f.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				key := w.user("u")
				time.Sleep(2 * time.Hour)
				w.sweep()
				w.tells("before")
				f.done(w, key)
				before := w.Inventory()
				w.sweep()
				w.tells("the first sweep", f.found...)
				w.sweep()
				w.Forget()
				w.sweep()
				w.tells("later sweeps")
				if writes := w.Writes(); len(writes) > 0 {
					t.Errorf("a sweep that tells nothing new writes: %v", writes)
				}
				if after := w.Inventory(); fmt.Sprint(before) != fmt.Sprint(after) {
					t.Errorf("the sweep changed\n%v to\n%v", before, after)
				}
			})
		})
	}
}

// A finding that disappeared and came back is announced again. A finding that is unsure in
// between is not.
func TestWhatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("u")
		time.Sleep(2 * time.Hour)
		for range 2 {
			w.SetResource(owner("u"), "")
			w.HangOn("u", "inline policy")
			w.sweep()
			w.tells("while it is wrong", "Orphan Found: the resource u", "Drift Found: inline policies")
			w.CloseStacks(true)
			w.sweep()
			w.CloseStacks(false)
			w.sweep()
			w.tells("CloudFormation said nothing meanwhile")
			w.SetResource(owner("u"), "u")
			w.sweep()
			w.SetResource(owner("u"), "")
			w.sweep()
			w.tells("the resource was there meanwhile", "Orphan Found: the resource u")
			w.SetResource(owner("u"), "u")
			w.Unhang("u", "inline policy")
			w.sweep()
			w.tells("once it is as it was")
			if told := w.Tags("u")[name.TagTold]; told != "" {
				t.Errorf("remembered: %q", told)
			}
		}
	})
}

// If a notice could not be sent, the next sweep sends it.
func TestNobodyCanBeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("u")
		w.user("v")
		w.HangOn("u", "inline policy")
		w.DropUser("v")
		time.Sleep(2 * time.Hour)
		w.told.fails = errors.New("EventBridge is away")
		w.sweep()
		w.told.fails = nil
		w.sweep()
		w.tells("the next time", "Drift Found: inline", "Orphan Found: its user v does not")
	})
}

// A Delete at work deletes the user before the secret: that is not announced.
func TestADeleteIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("u")
		w.DropUser("u")
		time.AfterFunc(10*time.Second, func() { w.DropSecret(secret) })
		w.sweep()
		w.tells("while it is under way")
	})
}

// testdata/findings.txt shows the whole notice of each finding.
func TestEverySentence(t *testing.T) {
	var page strings.Builder
	for _, f := range findings {
		if len(f.found) == 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			f.done(w, w.user("u"))
			time.Sleep(2 * time.Hour)
			w.sweep()
			fmt.Fprintf(&page, "# %s\n", f.what)
			w.print(&page)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		former := w.user("u")
		w.rotate("u")
		time.Sleep(6 * day)
		w.Call(former)
		time.Sleep(2 * day)
		w.sweep()
		page.WriteString("# replaced, and in use\n")
		w.print(&page)
		time.Sleep(6 * day)
		w.sweep()
		page.WriteString("# replaced, and not in use any more\n")
		w.print(&page)
	})
	const file = "testdata/findings.txt"
	if *update {
		must(t, os.WriteFile(file, []byte(page.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if string(want) != page.String() {
		t.Errorf("differs from %s; if it is meant to, run: go test ./internal/sweep -update\n%s", file, page.String())
	}
	reasons.Read(t, file, reasons.Sentences, ".")
}

// print writes the notices since the last call.
func (w world) print(page *strings.Builder) {
	var texts []string
	for _, n := range w.told.notices {
		texts = append(texts, fmt.Sprintf("%s\n%s\n%s\n\n", n.Subject(), n.Paragraph(), n.Detail()))
	}
	slices.Sort(texts)
	page.WriteString(strings.Join(texts, ""))
	w.told.notices = nil
}
