package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
)

// What a Delete may do with a user that it finds.
func TestClaims(t *testing.T) {
	run := me("Delete")
	named := plan.Target{Owner: owner, Run: run, PhysicalID: user, UserName: user}
	of, undo, invented := named, named, named
	invented.PhysicalID = "stack-Credentials-1ABC"
	of.Of = me("Create").Event()
	undo.Run, undo.Undo = me("Update"), true
	made := func(changes ...find) *access.User { return one(changes...).User }
	for what, c := range map[string]struct {
		target plan.Target
		user   *access.User
		waited bool
		then   plan.Claim
	}{
		"there is none":                       {named, nil, false, plan.Mine},
		"ours":                                {named, made(), false, plan.Mine},
		"half-made":                           {named, made(halfMade), false, plan.Mine},
		"an earlier event has ended":          {named, made(marked(earlier("Update").Ended())), false, plan.Mine},
		"an earlier event may be at work":     {named, made(marked(earlier("Update").Begun())), false, plan.InDoubt},
		"that is over":                        {named, made(marked(earlier("Update").Begun())), true, plan.Mine},
		"another Delete may be at work":       {named, made(marked(earlier("Delete").Begun())), false, plan.Mine},
		"this Delete, delivered again":        {named, made(marked(again("Delete").Begun())), false, plan.Mine},
		"a later event has made it":           {named, made(marked(later("Create").Begun())), false, plan.Later},
		"a later event has changed it":        {named, made(marked(later("Update").Ended())), true, plan.Later},
		"it has lost our tags":                {named, made(func(o *plan.Observed) { o.User.Tags = nil }), false, plan.Lost},
		"none of our tags, on another path":   {named, made(func(o *plan.Observed) { o.User.Tags, o.User.ARN = nil, "arn:aws:iam::123456789012:user/"+user }), false, plan.Foreign},
		"another resource's":                  {named, made(func(o *plan.Observed) { o.User.Tags[name.TagLogical] = "Other" }), false, plan.Foreign},
		"its tags name another user":          {named, made(func(o *plan.Observed) { o.User.Tags[name.TagPhysical] = "x" }), false, plan.Lost},
		"its tags were emptied":               {named, made(emptied), false, plan.Lost},
		"its stack id is not one":             {named, made(func(o *plan.Observed) { o.User.Tags[name.TagStack] = "unknown" }), false, plan.Lost},
		"of another resource, one is gone":    {named, made(func(o *plan.Observed) { o.User.Tags = map[string]string{name.TagLogical: "Other"} }), false, plan.Foreign},
		"of a Create: it has lost our tags":   {of, made(func(o *plan.Observed) { o.User.Tags = nil }), false, plan.Lost},
		"undo: it has lost our tags":          {undo, made(func(o *plan.Observed) { o.User.Tags = nil }), true, plan.Lost},
		"under an invented id: as well":       {invented, made(func(o *plan.Observed) { o.User.Tags = nil }), false, plan.Lost},
		"under an invented id: a stranger":    {invented, made(func(o *plan.Observed) { o.User.Tags = ownerOf("Other").Tags(user) }), false, plan.Foreign},
		"of a Create: it has made it":         {of, made(marked(me("Create").Ended())), false, plan.Mine},
		"of a Create: on another delivery":    {of, made(marked(again("Create").Ended())), false, plan.Mine},
		"of a Create: half-made":              {of, made(halfMade), false, plan.Mine},
		"of a Create: half-made, at work":     {of, made(halfMade, marked(earlier("Create").Begun())), false, plan.InDoubt},
		"of a Create: retained from before":   {of, made(marked(earlier("Create").Ended())), false, plan.Later},
		"of a Create: retained, no marks":     {of, made(), true, plan.Later},
		"undo: half-made":                     {undo, made(halfMade, marked(undo.Run.Begun())), true, plan.Mine},
		"undo: it has finished it itself":     {undo, made(marked(undo.Run.Ended())), true, plan.Mine},
		"undo: another delivery has finished": {undo, made(marked(undo.Run.Begun(), again("Update").Ended())), true, plan.Later},
		"undo: a later event has changed it":  {undo, made(halfMade, marked(undo.Run.Begun(), later("Update").Begun())), true, plan.Later},
	} {
		if got := plan.ClaimOn(c.target, user, c.user, c.waited); got != c.then {
			t.Errorf("%s: %v, want %v", what, got, c.then)
		}
	}
	if invented.Named() || !named.Named() {
		t.Error("an id that CloudFormation invented counts as the user's")
	}
}

// emptied is a user whose tags somebody emptied.
func emptied(o *plan.Observed) {
	for key := range o.User.Tags {
		o.User.Tags[key] = ""
	}
}

func belongings() plan.Belongings {
	return plan.Belongings{User: aUser(user), Keys: keys("A-90 B-30"), Policies: held(create(buckets(many()...))), Secrets: []string{"cloney/other", secret}}
}

// The keys go first, and what was attached is detached before it goes.
func TestRemove(t *testing.T) {
	noUser := belongings()
	noUser.User, noUser.Keys = nil, nil
	stranger := noUser
	stranger.ForeignUser = true
	for what, c := range map[string]struct {
		tasks []plan.Task
		want  string
	}{
		"all": {plan.Remove(user, belongings()), `
0 wait for the turn on user u
1 delete key A of u
2 delete key B of u
3 detach policy u-1 (needs 0, 1, 2)
4 delete policy u-1 (needs 3)
5 detach policy u-2 (needs 0, 1, 2)
6 delete policy u-2 (needs 5)
7 delete secret cloney/other (needs 3, 5)
8 delete secret cloney/u (needs 3, 5)
9 delete user u (needs 3, 5)
`},
		"the user is someone else's": {plan.Remove(user, stranger), `
0 delete policy u-1
1 delete policy u-2
2 delete secret cloney/other (needs 0, 1)
3 delete secret cloney/u (needs 0, 1)
`},
		"the user is gone": {plan.Remove(user, noUser), `
0 delete policy u-1
1 delete policy u-2
2 delete secret cloney/other
3 delete secret cloney/u
`},
		"the keys at once": {plan.RemoveKeys(user, belongings()), `
0 delete key A of u
1 delete key B of u
`},
		"nothing": {plan.Remove(user, plan.Belongings{}), "\n"},
	} {
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), lines(c.tasks)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// The names that a user's secrets can have: by default, as declared, as remembered.
func TestSecretsOfAUser(t *testing.T) {
	u := aUser(user)
	for key, value := range name.RememberSecret("cloney/before") {
		u.Tags[key] = value
	}
	for what, c := range map[string]struct {
		declared string
		user     *access.User
		want     string
	}{
		"none is declared": {"", nil, "cloney/u"},
		"the usual":        {secret, nil, "cloney/u"},
		"another":          {"cloney/other", aUser(user), "cloney/other cloney/u"},
		"and one before":   {"cloney/other", u, "cloney/before cloney/other cloney/u"},
	} {
		if got := strings.Join(plan.Secrets(user, c.declared, c.user), " "); got != c.want {
			t.Errorf("%s: %s", what, got)
		}
	}
}

// What a failed run takes back.
func TestUndo(t *testing.T) {
	mark := func(r order.Run) *order.Mark { return &order.MarksOf(r.Begun())[0] }
	wrote, gone := plan.Failed{Wrote: true}, plan.Failed{Wrote: true, UserDeleted: true}
	overtaken, deleted := plan.Failed{Wrote: true, By: mark(later("Update"))}, plan.Failed{Wrote: true, By: mark(later("Delete"))}
	replaces := update(renamed("new", secret))
	for what, c := range map[string]struct {
		want   plan.Desired
		seen   plan.Observed
		failed plan.Failed
		then   plan.Undoing
	}{
		"Create":                                    {create(), plan.Observed{}, wrote, plan.TakeAway},
		"Create, that has written nothing":          {create(), plan.Observed{}, plan.Failed{}, plan.Nothing},
		"Create, of a half-made user":               {create(), one(halfMade), wrote, plan.TakeAway},
		"Create, of a finished user":                {create(), one(), wrote, plan.Nothing},
		"Create, of someone else's user":            {create(), one(func(o *plan.Observed) { o.User.Tags = nil }), wrote, plan.Nothing},
		"Create, overtaken":                         {create(), plan.Observed{}, overtaken, plan.Nothing},
		"Create, overtaken by a Delete":             {create(), plan.Observed{}, deleted, plan.Nothing},
		"Create, and its user is gone":              {create(), plan.Observed{}, gone, plan.Nothing},
		"Update":                                    {update(), one(), wrote, plan.Nothing},
		"Update, of a half-made user":               {update(), one(halfMade), wrote, plan.Nothing},
		"Update, that has made the user anew":       {update(), one(noUser), wrote, plan.TakeAway},
		"Update, that has made it anew, overtaken":  {update(), one(noUser), overtaken, plan.Nothing},
		"Replacement":                               {replaces, one(noUser), wrote, plan.HandBack},
		"Replacement, of a half-made user":          {replaces, one(halfMade, as("new")), wrote, plan.HandBack},
		"Replacement, of a finished user":           {replaces, one(as("new")), wrote, plan.Nothing},
		"Replacement, overtaken by its rollback":    {replaces, one(noUser), overtaken, plan.Nothing},
		"Replacement, overtaken by a Delete":        {replaces, one(noUser), deleted, plan.TakeAway},
		"Replacement, and one of the users is gone": {replaces, one(noUser), gone, plan.TakeAway},
	} {
		if got := plan.Undo(c.want, c.seen, c.failed); got != c.then {
			t.Errorf("%s: %v, want %v", what, got, c.then)
		}
	}
}

// as is the user under another name.
func as(user string) find {
	return func(o *plan.Observed) { o.User.Name, o.User.Tags[name.TagPhysical] = user, user }
}

// A secret that two users share returns to the old user, once it names a
// live key of that one.
func TestGiveBack(t *testing.T) {
	want := update(renamed("new", secret))
	for what, c := range map[string]struct {
		secret plan.Observed
		user   access.User
		want   string
	}{
		"nothing was promoted": {with("A-90", "1:A=current", passed("new")), *aUser(user), `
0 tag secret cloney/u: cloney:logical-id=Credentials, cloney:physical-id=u, cloney:stack-id=` + owner.Stack.ID + "\n"},
		"the new user's key is current": {with("A-90", "1:A=previous 1:N=current", passed("new")), *aUser(user), `
0 make the key current in secret cloney/u: vA after vN
1 tag secret cloney/u: cloney:logical-id=Credentials, cloney:physical-id=u, cloney:stack-id=` + owner.Stack.ID + ` (needs 0)
`},
		"it holds no key of the former one": {with("A-90", "1:N=current", passed("new")), *aUser(user), ""},
		"which was deactivated":             {with("A-90-off", "1:A=previous 1:N=current", passed("new")), *aUser(user), ""},
		"it has not passed on":              {with("A-90", "1:A=current"), *aUser(user), ""},
		"it is someone else's":              {with("A-90", "1:A=current", func(o *plan.Observed) { o.Secret.Tags = nil }), *aUser(user), ""},
		"the former user is someone else's": {with("A-90", "1:A=current", passed("new")), access.User{Name: user}, ""},
	} {
		got := plan.GiveBack(want, *c.secret.Secret, c.user, c.secret.Keys)
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), lines(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}
