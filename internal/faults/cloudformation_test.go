package faults_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/traces"
)

// cloudFormation owns one resource of a stack. It sends events and takes the responses.
// Only the first response to an event counts.
type cloudFormation struct {
	*world
	logical  string
	physical string     // the resource's id; empty: there is none
	props    properties // it was last made or updated with
	requests int
	key      string          // that its owner has been given last
	going    map[string]bool // users that may be deleted with a key in use

	// faults are the faults by the number of the event, from 1. Another field says whether
	// such an event is delivered once more; again is the fault of that second delivery.
	faults map[int]fault
	repeat bool
	again  fault

	undisturbed []life // what comes of the same events without a fault
	lives       []life // what was delivered, by number of event less one
}

// life is one event and the result of its first delivery.
type life struct {
	requestType string
	calls       []string
	status      string // empty: not answered
}

func (w *world) stack() *cloudFormation {
	return &cloudFormation{world: w, logical: logical, going: map[string]bool{}}
}

// mayGo records that the user may be deleted, until a response says that it stays.
func (c *cloudFormation) mayGo(user string) { c.going[user] = true }

// send delivers one event with its fault. It returns the response that CloudFormation uses,
// or nil if none came.
func (c *cloudFormation) send(requestType, physical string, props, old properties) *reply.Response {
	c.Helper()
	c.requests++
	event := map[string]any{
		"RequestType": requestType, "RequestId": fmt.Sprintf("request-%d", c.requests), "ResponseURL": traces.Sign(responseURL, time.Now()),
		"StackId": stackID, "LogicalResourceId": c.logical, "ResourceType": "Custom::CloneyS3Credentials",
		"ResourceProperties": props,
	}
	if physical != "" {
		event["PhysicalResourceId"] = physical
	}
	if old != nil {
		event["OldResourceProperties"] = old
	}
	raw, err := json.Marshal(event)
	if err != nil {
		c.Fatal(err)
	}
	f := c.faults[c.requests]
	c.heard("%s %s", requestType, physical)
	first := c.deliver(raw, f)
	c.lives = append(c.lives, life{requestType, first.calls, first.status()})
	answer := first.answer
	failed := answer != nil && answer.Status == reply.Failed
	if failed && requestType != "Delete" && f.kind < deaf && len(c.faults) < 2 {
		// A run that could still continue leaves nothing that only it knows of.
		c.Check()
	}
	if n := c.requests - 1; failed && f.kind == throttled && len(c.faults) == 1 && n < len(c.undisturbed) &&
		c.undisturbed[n].status == reply.Success && first.calls[f.call-1] != "Prove" {
		c.Errorf("gave up when it was throttled at %s: %s", first.calls[f.call-1], answer.Reason)
	}
	if f.call > 0 && c.repeat {
		c.heard("%s %s (again)", requestType, physical)
		// CloudFormation takes the first response that arrives.
		if second := c.deliver(raw, c.again); answer == nil {
			answer = second.answer
		}
	}
	if answer != nil && (answer.StackID != stackID || answer.RequestID != event["RequestId"] || answer.LogicalResourceID != c.logical) {
		c.Errorf("answered for another request: %+v", answer)
	}
	return answer
}

// deliver runs the function once.
func (c *cloudFormation) deliver(raw []byte, f fault) *process {
	c.Helper()
	c.ExpectRemoval(slices.Collect(maps.Keys(c.going))...)
	p := &process{fault: f, name: fmt.Sprintf("%d.%t", c.requests, f == c.again)}
	time.Sleep(time.Millisecond) // no two deliveries begin at the very same moment
	c.run(p, raw)
	for _, verb := range p.calls {
		if accesstest.IsWrite(verb) && verb != "answer" {
			c.heard("    %s", verb)
		}
	}
	if p.answer == nil {
		c.heard("  no answer")
	} else {
		c.heard("  %s %s %s", p.answer.Status, p.answer.PhysicalResourceID, p.answer.Reason)
	}
	return p
}

// create creates the resource, and deletes it again if that fails. It reports whether the
// resource exists.
func (c *cloudFormation) create(props properties) bool {
	c.Helper()
	c.props = props
	c.mayGo(userOf(props)) // by a Create that fails
	answer := c.send("Create", "", props, nil)
	if answer != nil {
		c.physical = answer.PhysicalResourceID
		if answer.Status == reply.Success {
			c.holds(answer)
			return true
		}
	} else {
		c.physical = traces.Invented
	}
	c.delete()
	return false
}

// update changes the resource, and rolls back if that fails. It reports whether the
// resource is as declared.
func (c *cloudFormation) update(props properties) bool {
	c.Helper()
	before, key := c.props, c.key
	if user := userOf(props); user != c.physical {
		c.mayGo(user) // by a replacement that fails
	}
	answer := c.send("Update", c.physical, props, before)
	if answer == nil || answer.Status != reply.Success {
		c.rollBack(c.physical, before, props, key)
		return false
	}
	c.props = props
	c.holds(answer)
	former := c.physical
	c.physical = answer.PhysicalResourceID
	if former != c.physical {
		c.cleanUp(former, before)
		c.holds(answer)
	}
	return true
}

// updateInVain changes the resource. Then another resource fails, and the stack rolls back.
func (c *cloudFormation) updateInVain(props properties) {
	c.Helper()
	before, key, former := c.props, c.key, c.physical
	if user := userOf(props); user != former {
		c.mayGo(user)
	}
	answer := c.send("Update", former, props, before)
	if answer == nil || answer.Status != reply.Success {
		c.rollBack(former, before, props, key)
		return
	}
	c.props = props
	c.holds(answer)
	c.rollBack(answer.PhysicalResourceID, before, props, key)
	if answer.PhysicalResourceID != c.physical {
		c.cleanUp(answer.PhysicalResourceID, props)
	}
	if c.physical != former {
		c.Errorf("rolled back to %s, not to %s", c.physical, former)
	}
}

// most is how often an owner sends a failed Delete or rollback again.
const most = 4

// rollBack sends the Update back to the previous properties, with the id that
// CloudFormation knows, until it succeeds.
func (c *cloudFormation) rollBack(physical string, to, from properties, key string) {
	c.Helper()
	if user := userOf(from); user != userOf(to) {
		c.mayGo(user)
	}
	for range most {
		answer := c.send("Update", physical, to, from)
		if answer == nil || answer.Status != reply.Success {
			continue
		}
		c.props, c.physical = to, answer.PhysicalResourceID
		c.holds(answer)
		if c.key != key && !c.lockedAway(userOf(to), key) {
			c.Errorf("rolled back to key %s, not to %s", c.key, key)
		}
		return
	}
	c.Errorf("the rollback fails again and again")
}

// lockedAway reports whether a key still works, but only in a secret that AWS did not let
// the rollback read. Then another key replaces it.
func (c *cloudFormation) lockedAway(user, key string) bool {
	locked := func(secret string) bool { return c.Tags(secret)[name.TagLocked] != "" }
	return slices.Contains(c.LiveKeys(user), key) && slices.ContainsFunc(c.Inventory().Secrets, locked)
}

// cleanUp deletes the user that was replaced.
func (c *cloudFormation) cleanUp(physical string, props properties) {
	c.Helper()
	c.mayGo(physical)
	for range most {
		if answer := c.send("Delete", physical, props, nil); answer != nil && answer.Status == reply.Success {
			return
		}
	}
	c.Errorf("the Delete of %s fails again and again", physical)
}

// delete deletes the resource.
func (c *cloudFormation) delete() {
	c.Helper()
	c.cleanUp(c.physical, c.props)
	c.physical, c.props, c.key = "", nil, ""
}
