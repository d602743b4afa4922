package sandbox_test

import (
	"errors"
	"fmt"
	"net/http"
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
func record() func(*http.Request, []byte, *sandbox.Reply) {
	recorder := confinement.NewRecorder(where)
	recording.Lock()
	defer recording.Unlock()
	recorders = append(recorders, recorder)
	return func(r *http.Request, body []byte, reply *sandbox.Reply) {
		recorder.Saw(r, body, reply.Status, reply.Body)
	}
}

// judge puts every call of the whole run to two evaluators, with the policies
// of the real template: moto itself does not enforce what is scoped by ARN.
func judge() error {
	template, err := confinement.ReadTemplate("../..")
	if err != nil {
		return err
	}
	documents, err := template.At(where, "*")
	if err != nil {
		return err
	}
	judge := confinement.NewJudge(documents)
	var questions []confinement.Question
	var failed []error
	for _, recorder := range recorders {
		calls, err := recorder.Calls()
		failed = append(failed, err)
		for _, c := range calls {
			questions = append(questions, judge.Question(where, c))
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
	fmt.Printf("%d different decisions on what the function asked of AWS: all allowed by both evaluators\n", len(questions))
	return nil
}
