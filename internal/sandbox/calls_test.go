package sandbox_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/sandbox"
)

// where is where the provider's stack would be.
var where = confinement.Place{Partition: "aws", Region: sandbox.Region, Account: sandbox.Account}

// recorders hold what the bootstraps of each sandbox have asked of AWS.
var (
	recorders []*confinement.Recorder
	recording sync.Mutex
)

// record is told the calls of one more sandbox.
func record() func(string, *http.Request, []byte, *sandbox.Reply) {
	recorder := confinement.NewRecorder(where)
	recording.Lock()
	defer recording.Unlock()
	recorders = append(recorders, recorder)
	return func(function string, r *http.Request, body []byte, reply *sandbox.Reply) {
		recorder.Saw(confinement.Function(function), r, body, reply.Status, reply.Body)
	}
}

// names are what differs from one life to the next and decides on nothing: the
// names of stacks, users and secrets, the marks of events, and what is made up.
var names = regexp.MustCompile(`(wire|play)-[a-z0-9]+[\w.-]*|cloney-verification-\w+|("aws:\w+Tag/cloney:event:[^]]+\],?)+|cloney:event:[\w:]+|cloney:secret:\w+|\b[0-9a-f]{16}\b|(verified-|"v1-?)\w+|-\w{6}"|\d{4}-\d\d-\d\dT[\d:.]+Z`)

// shape is a call without those names.
func shape(c confinement.Call) string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return names.ReplaceAllString(string(text), "x")
}

// judge puts every call of the whole run to two evaluators, with the policies
// of the real template: moto itself does not enforce what is scoped by ARN. The
// other one, which is slow, is asked once of all calls of a shape.
func judge() error {
	template, err := confinement.ReadTemplate("../..")
	if err != nil {
		return err
	}
	documents, err := template.At(where, map[string]string{"AllowedBuckets": "*", "AlarmTopicArn": sandbox.Topic})
	if err != nil {
		return err
	}
	judge := confinement.NewJudge(documents)
	var questions []confinement.Question
	var failed []error
	decisions, shapes := 0, map[string]bool{}
	for _, recorder := range recorders {
		calls, err := recorder.Calls()
		failed = append(failed, err)
		for _, c := range calls {
			if decisions++; !shapes[shape(c)] {
				shapes[shape(c)] = true
				questions = append(questions, judge.Question(where, c))
			}
			if d := iamtest.Evaluate(judge.Account(c), c.Request); d.Outcome != iamtest.Allowed {
				failed = append(failed, fmt.Errorf("%s: %s on %s %v: %v", c.Operation, c.Request.Action, c.Request.Resource, c.Request.Context, d))
			}
		}
	}
	verdicts, err := confinement.Ask("../..", questions)
	failed = append(failed, err)
	for i, v := range verdicts {
		if v.Outcome != "Allowed" || len(v.Ignored) > 0 {
			failed = append(failed, fmt.Errorf("%s on %s %v: the oracle says %s, ignoring %v", questions[i].Action, questions[i].ARN, questions[i].Context, v.Outcome, v.Ignored))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	fmt.Printf("%d different decisions on what the function asked of AWS are allowed; those of %d shapes by the oracle too\n", decisions, len(questions))
	return nil
}
