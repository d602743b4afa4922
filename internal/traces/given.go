package traces

import (
	"fmt"
	"slices"
)

// Given holds the keys that CloudFormation has got in responses, and on which it may rely.
type Given struct {
	Keys map[string][]string // of each user that nobody has asked to take away
	Last string              // in the last answer
	was  string              // Last, before the Update that may be rolled back
}

// sends records an event that is sent.
func (g *Given) sends(e *Event) {
	switch e.Kind {
	case Update:
		g.was = g.Last
	case Delete, CleanUp:
		delete(g.Keys, e.Physical)
	}
}

// heard records the response that CloudFormation has taken, if any, and returns the promise
// that it breaks.
func (g *Given) heard(e *Event) error {
	switch answer := e.Heard; {
	case answer == nil:
		return nil
	case answer.RequestID != e.RequestID() || answer.StackID != e.stack.StackID || answer.LogicalResourceID != e.stack.Logical:
		return fmt.Errorf("answered for another request: %+v", answer)
	case !e.Succeeded() || e.Kind.Type() == string(Delete):
		return nil
	}
	return g.take(e, e.Heard.PhysicalResourceID, e.Heard.Data["AccessKeyId"])
}

func (g *Given) take(e *Event, user, key string) error {
	before := g.Last
	inPlace := e.Kind == Update && user == e.Physical && slices.Contains(g.Keys[user], before)
	g.Last = key
	if g.Keys == nil {
		g.Keys = map[string][]string{}
	}
	if !slices.Contains(g.Keys[user], key) {
		g.Keys[user] = append(g.Keys[user], key)
	}
	switch rotated := fmt.Sprint(e.Props["Serial"]) != fmt.Sprint(e.Old["Serial"]); {
	case e.Kind == RollBack && key != g.was:
		return fmt.Errorf("rolled back to key %s, not to %s", key, g.was)
	case inPlace && rotated == (key == before):
		return fmt.Errorf("the Update goes from key %s to %s", before, key)
	}
	return nil
}
