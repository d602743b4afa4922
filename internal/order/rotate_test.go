package order_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/order"
)

// rotation is a run of the rotator that began at that second.
func rotation(request string, began float64) order.Run { return run("Rotate "+request, began, began) }

// "me" is a run of the rotator that began at 600, long after the function of any
// earlier event was ended by Lambda.
func TestTheRotatorKeepsOutOfTheWay(t *testing.T) {
	me := rotation("me", 600)
	type marks = []map[string]string
	for what, c := range map[string]struct {
		marks marks
		want  order.Turn
	}{
		"nobody else":                            {marks{me.Begun()}, order.Go},
		"an event that has ended":                {marks{run("Update a", 500, 500).Ended()}, order.Go},
		"one that was sent later, and has ended": {marks{run("Update a", 601, 601).Ended()}, order.Go},
		"an event at work":                       {marks{run("Update a", 500, 500).Begun()}, order.Stop},
		"one that begins later":                  {marks{run("Update a", 601, 601).Begun()}, order.Stop},
		"a Delete":                               {marks{run("Delete a", 500, 500).Begun()}, order.Stop},
		"the last moment of one that was killed": {marks{run("Update a", 285, 285).Begun()}, order.Stop},
		"one that was killed":                    {marks{run("Update a", 284, 284).Begun()}, order.Go},
		"of two events one at work":              {marks{run("Update a", 400, 400).Begun(), run("Update b", 500, 500).Ended()}, order.Stop},
		"an earlier run of the rotator":          {marks{rotation("a", 500).Begun()}, order.Wait},
		"a later one":                            {marks{rotation("a", 601).Begun()}, order.Stop},
		"an earlier and a later one":             {marks{rotation("a", 500).Begun(), rotation("b", 601).Begun()}, order.Stop},
	} {
		if got, _ := order.MarksOf(tags(c.marks...)).Turn(me); got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

// An event never stops for the rotator, however late that has begun: it waits until
// no call of it can be under way. What it answers follows from events alone.
func TestNoEventStopsForTheRotator(t *testing.T) {
	for _, event := range some() {
		for _, began := range []float64{-900, 0, 0.5, 1, 3, 900} {
			turn, mark := order.MarksOf(tags(event.Begun(), rotation("r", began).Begun())).Turn(event)
			if turn != order.Wait || mark.Type != "" {
				t.Errorf("%v beside a rotation that began at %v: %v, by %+v", event, began, turn, mark)
			}
			later := run("Delete z", 100, 100)
			if turn, mark := order.MarksOf(tags(rotation("r", began).Begun(), later.Begun())).Turn(event); turn != order.Stop || mark.Type != order.Delete {
				t.Errorf("%v, a later Delete and a rotation: %v, by %+v", event, turn, mark)
			}
		}
	}
}

// Each writes its mark and then reads. Whatever comes first, they do not both go on
// at once.
func TestOfAnEventAndARotationTheEventGoesOn(t *testing.T) {
	for _, event := range some() {
		for _, began := range []float64{0, 1, 2, 200} {
			rotates := rotation("r", began)
			both := order.MarksOf(tags(event.Begun(), rotates.Begun()))
			ofEvent, _ := both.Turn(event)
			ofRotation, _ := both.Turn(rotates)
			if ofEvent != order.Wait || ofRotation != order.Stop {
				t.Errorf("%v and a rotation that began at %v: %v and %v", event, began, ofEvent, ofRotation)
			}
		}
	}
}

// A rotation that was killed leaves its mark. The event that follows takes it off,
// and so does the next rotation, which leaves those of events.
func TestTheMarksOfKilledRotationsGo(t *testing.T) {
	killed, update := rotation("a", 100), run("Update u", 200, 200)
	marked := tags(killed.Begun(), run("Update t", 50, 50).Ended(), update.Begun())
	if got := update.Outdated(marked); !slices.Equal(got, keys(killed.Begun())) {
		t.Errorf("the event takes off %v", got)
	}
	next := rotation("b", 300)
	marked = tags(killed.Begun(), run("Update t", 50, 50).Ended(), run("Update s", 40, 40).Ended(), next.Begun(), rotation("c", 400).Begun())
	if diff := cmp.Diff(keys(killed.Begun()), next.Outdated(marked)); diff != "" {
		t.Errorf("the next rotation takes off (-want +got):\n%s", diff)
	}
	if order.MarksOf(tags(killed.Begun())).Open() {
		t.Error("a rotation counts as an event that has not ended")
	}
}

func keys(marks map[string]string) (keys []string) {
	for key := range marks {
		keys = append(keys, key)
	}
	return keys
}
