package resource_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A retained user whose last event never said that it ended (its process was
// killed) stands in the way of a Create like any other: nothing of it goes with
// the Delete that follows.
func TestARetainedUserWhoseLastRunNeverEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const user, text = "mine", `{"Access": "Source", "Buckets": "data", "UserName": "mine"}`
		w := newAccount(t, "Source", text)
		create := func(request string) string {
			if err := w.handle(assemble("Create", "Source", "", request, text, "", 0)); err != nil {
				t.Fatal(err)
			}
			return w.answer().PhysicalResourceID
		}
		create("first")
		owned, err := w.User(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range owned.Tags {
			if mark, ended := strings.CutPrefix(value, "ended "); ended {
				if err := w.TagUser(t.Context(), user, map[string]string{key: "begun " + mark}, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := w.Inventory()
		time.Sleep(time.Hour)
		id := create("second")
		if id != "not-created:mine" {
			t.Errorf("the Create that was refused answers %s: %s", id, w.answer().Reason)
		}
		time.Sleep(time.Minute)
		if err := w.handle(assemble("Delete", "Source", quote(id), "third", text, "", 0)); err != nil {
			t.Fatal(err)
		}
		if after := w.Inventory(); len(after.Users) != len(before.Users) {
			t.Errorf("the retained user is gone: %+v", after)
		}
	})
}
