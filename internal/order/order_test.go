package order_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/order"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// run is the delivery of an event: "Update a" is its type and request. The
// seconds count from noon.
func run(event string, sent, began float64) order.Run {
	kind, request, _ := strings.Cut(event, " ")
	at := func(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }
	return order.Run{Type: order.Type(kind), Request: request, Sent: at(sent), Began: at(began)}
}

// tags are those of a user that carries these marks.
func tags(marks ...map[string]string) map[string]string {
	all := map[string]string{"cloney:stack-id": "s"}
	for _, mark := range marks {
		maps.Copy(all, mark)
	}
	return all
}

// "me" is an Update that was sent at 10 and delivered at 12.
func TestWhoseTurnItIs(t *testing.T) {
	me := run("Update me", 10, 12)
	type marks = []map[string]string
	for what, c := range map[string]struct {
		marks marks
		want  order.Turn
	}{
		"nobody else":                      {marks{}, order.Go},
		"my own mark":                      {marks{me.Begun()}, order.Go},
		"my own mark, ended":               {marks{me.Ended()}, order.Go},
		"an earlier event, ended":          {marks{run("Update a", 5, 5).Ended()}, order.Go},
		"an earlier event, begun":          {marks{run("Update a", 5, 5).Begun()}, order.Wait},
		"an earlier one, delivered later":  {marks{run("Update a", 5, 20).Begun()}, order.Wait},
		"a later event, begun":             {marks{run("Update a", 15, 15).Begun()}, order.Stop},
		"a later event, ended":             {marks{run("Update a", 15, 15).Ended()}, order.Stop},
		"a later Delete":                   {marks{run("Delete a", 15, 15).Begun()}, order.Stop},
		"an earlier one and a later one":   {marks{run("Create a", 5, 5).Begun(), run("Update b", 15, 15).Ended()}, order.Stop},
		"of two earlier ones the last":     {marks{run("Create a", 5, 5).Begun(), run("Update b", 6, 6).Ended()}, order.Go},
		"which may be at work":             {marks{run("Create a", 5, 5).Ended(), run("Update b", 6, 6).Begun()}, order.Wait},
		"this event, delivered later":      {marks{run("Update me", 10, 13).Begun()}, order.Yield},
		"that has ended":                   {marks{run("Update me", 10, 13).Ended()}, order.Go},
		"this event, delivered before":     {marks{run("Update me", 10, 11).Begun()}, order.Wait},
		"that has ended too":               {marks{run("Update me", 10, 11).Ended()}, order.Go},
		"this event, without its own time": {marks{run("Update me", 13, 13).Begun()}, order.Yield},
		"another type of my request":       {marks{run("Create me", 13, 13).Begun()}, order.Stop},
		// Within one second a Delete is last; else who was delivered later.
		"a Delete of my second":            {marks{run("Delete a", 10.9, 11).Begun()}, order.Stop},
		"an Update of it, delivered later": {marks{run("Update a", 10.1, 13).Begun()}, order.Stop},
		"one that was delivered earlier":   {marks{run("Update a", 10.9, 11).Begun()}, order.Wait},
		"tags that are no marks":           {marks{{"cloney:event:x": "begun Update", "cloney:event:29990101T000000Z:0:a:b": "begun", "event": "begun Update"}}, order.Go},
	} {
		if got, _ := order.MarksOf(tags(c.marks...)).Turn(me); got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
	// To a Delete, an Update of its second comes before, whenever it was delivered.
	if got, _ := order.MarksOf(tags(run("Update a", 10.9, 13).Begun())).Turn(run("Delete me", 10, 12)); got != order.Wait {
		t.Errorf("a Delete does not come last: %v", got)
	}
	// The marks of a replacement are on two users.
	if got, mark := order.MarksOf(tags(me.Begun()), tags(run("Delete a", 15, 15).Begun())).Turn(me); got != order.Stop || mark.Type != order.Delete {
		t.Errorf("the second user's mark is not seen: %v, %+v", got, mark)
	}
}

// some are runs of all kinds that may meet.
func some() (runs []order.Run) {
	for _, event := range []string{"Create a", "Update b", "Update c", "Delete d", "Delete e"} {
		for _, sent := range []float64{0, 0.5, 1} {
			for _, began := range []float64{1, 1.000001, 2} {
				runs = append(runs, run(event, sent, began))
			}
		}
	}
	return runs
}

// Each run writes its mark and then reads. Whatever comes first, never do both
// go on, and never do both stop.
func TestOfTwoRunsOneGoesOn(t *testing.T) {
	goesOn := func(turn order.Turn) bool { return turn == order.Go || turn == order.Wait }
	for _, a := range some() {
		for _, b := range some() {
			if a.Has(b.Begun()) {
				continue // two deliveries within a nanosecond
			}
			first, _ := order.MarksOf(tags(a.Begun())).Turn(a)
			both := order.MarksOf(tags(a.Begun(), b.Begun()))
			ofA, _ := both.Turn(a)
			ofB, _ := both.Turn(b)
			if first != order.Go || goesOn(ofA) == goesOn(ofB) {
				t.Errorf("%v: %v, then %v; %v: %v", a, first, ofA, b, ofB)
			}
			if ofA == order.Go || ofB == order.Go {
				t.Errorf("one of %v, %v does not wait for the other: %v, %v", a, b, ofA, ofB)
			}
			// Once one has ended, the other one knows without waiting.
			if ended, _ := order.MarksOf(tags(a.Ended(), b.Begun())).Turn(b); ended != order.Go && ended != order.Stop {
				t.Errorf("%v after %v has ended: %v", b, a, ended)
			}
		}
	}
}

func TestAMarkTellsItsEvent(t *testing.T) {
	r := run("Update a", 10, 12)
	marks := order.MarksOf(tags(r.Begun(), run("Create b", 1, 1).Ended()))
	for what, c := range map[string]struct {
		of   order.Run
		same bool
	}{
		"itself":           {r, true},
		"another delivery": {run("Update a", 10, 13), true},
		"at another time":  {run("Update a", 20, 20), true},
		"another type":     {run("Delete a", 10, 12), false},
		"another request":  {run("Update b", 10, 12), false},
	} {
		if latest := marks[1]; latest.Same(c.of) != c.same || latest.Event() != r.Event() {
			t.Errorf("%s: %+v", what, latest)
		}
	}
	if !marks.Open() || marks.Ended(r) || !r.Has(r.Begun()) || r.Has(run("Update a", 10, 13).Begun()) {
		t.Error("a run that has begun is not known to have")
	}
	marks = order.MarksOf(tags(r.Begun(), r.Ended(), run("Create b", 1, 1).Ended()))
	if marks.Open() || !marks.Ended(r) || len(marks) != 2 || marks.Ended(run("Update a", 10, 13)) {
		t.Error("a run that has ended is not known to have")
	}
}

// Tags of a user are few, and each removal is a call: what no longer decides goes,
// two at a time or more.
func TestOutdatedMarks(t *testing.T) {
	me := run("Update me", 10, 12)
	one, two, three, later := run("Create a", 1, 1), run("Update b", 2, 2), run("Update c", 3, 3), run("Update d", 20, 20)
	type marks = []map[string]string
	for what, c := range map[string]struct {
		marks marks
		want  []order.Run
	}{
		"only mine":                   {marks{}, nil},
		"one more":                    {marks{one.Ended()}, nil},
		"two that ended":              {marks{one.Ended(), two.Ended()}, []order.Run{one, two}},
		"the latest open one stays":   {marks{one.Ended(), two.Begun(), three.Ended()}, []order.Run{one, three}},
		"the others of those do not":  {marks{one.Begun(), two.Begun(), three.Begun()}, []order.Run{one, two}},
		"one beside the open one":     {marks{one.Begun(), two.Ended()}, nil},
		"who comes later is not mine": {marks{one.Ended(), two.Ended(), later.Ended()}, []order.Run{one, two}},
	} {
		user := tags(append(c.marks, me.Begun())...)
		var want []string
		for _, r := range c.want {
			want = slices.AppendSeq(want, maps.Keys(r.Begun()))
		}
		var got []string
		for range 20 { // the tags have no order
			got = me.Outdated(user)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", what, diff)
			}
		}
		// Nobody else decides otherwise without them.
		before := order.MarksOf(user)
		for _, key := range got {
			delete(user, key)
		}
		after := order.MarksOf(user)
		for _, other := range []order.Run{run("Create a", 1, 2), run("Update x", 2, 20), later, run("Update me", 10, 13)} {
			was, _ := before.Turn(other)
			if is, _ := after.Turn(other); is != was || before.Open() != after.Open() {
				t.Errorf("%s: %v: %v becomes %v", what, other, was, is)
			}
		}
	}
}

// The marks fit IAM's tags, and two runs never write the same.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
func TestMarksAreTags(t *testing.T) {
	written := map[string]string{}
	for _, r := range some() {
		for key, value := range r.Begun() {
			if who := fmt.Sprint(r.Type, r.Request, r.Sent.Truncate(time.Second), r.Began); len(key) > 128 || len(value) > 256 || written[key] != "" && written[key] != who {
				t.Errorf("%q: %q, of %s and %s", key, value, who, written[key])
			} else {
				written[key] = who
			}
		}
	}
}

func TestPrompt(t *testing.T) {
	for age, want := range map[float64]bool{0: true, 2.9: true, 3: false, 60: false} {
		if r := run("Update a", 10, 10+age); r.Prompt() != want {
			t.Errorf("after %v: %t", r.Age(), r.Prompt())
		}
	}
}
