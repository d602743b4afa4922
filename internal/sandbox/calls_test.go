package sandbox_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// optional are the parameters of the provider that change what its roles or its users
// may do, with values that allow what the run asks for.
var optional = map[string]string{
	"BucketAccounts":          sandbox.Account,
	"BucketOrganizationId":    confinement.Organization,
	"RoleUse":                 "OwnFunctionOnly",
	"SecretKmsKeys":           "arn:aws:kms:*:444455556666:key/*",
	"SourceCidrs":             confinement.Address + "/32",
	"SubnetIds":               "subnet-1a2b3c4d",
	"UserPermissionsBoundary": sandbox.Boundary,
}

// judgeOf is the judge of a stack with these parameters, besides what the run needs.
func judgeOf(template *confinement.Template, more map[string]string) (confinement.Judge, error) {
	parameters := map[string]string{"AllowedBuckets": "*", "AlarmTopicArn": sandbox.Topic}
	maps.Copy(parameters, more)
	documents, err := template.At(where, parameters)
	if err != nil {
		return confinement.Judge{}, err
	}
	return confinement.NewJudge(documents), nil
}

// judge puts every call of the whole run to two evaluators, with the policies
// of the real template: moto itself does not enforce what is scoped by ARN. Ours is
// asked with each optional parameter alone, with none and with all. The other one,
// which is slow, is asked with all, and once of all calls of a shape.
func judge() error {
	template, err := confinement.ReadTemplate("../..")
	if err != nil {
		return err
	}
	judges, err := judges(template)
	if err != nil {
		return err
	}
	var questions []confinement.Question
	var failed []error
	decisions, shapes := 0, map[string]bool{}
	for _, recorder := range recorders {
		calls, err := recorder.Calls()
		failed = append(failed, err)
		for _, c := range calls {
			if decisions++; !shapes[shape(c)] {
				shapes[shape(c)] = true
				questions = append(questions, judges[everyOption].Question(where, c))
			}
			for with, judge := range judges {
				if d := iamtest.Evaluate(judge.Account(c), c.Request); d.Outcome != iamtest.Allowed {
					failed = append(failed, fmt.Errorf("with %s: %s: %s on %s %v: %v", with, c.Operation, c.Request.Action, c.Request.Resource, c.Request.Context, d))
				}
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
	fmt.Printf("%d different decisions on what the function asked of AWS are allowed, in %d deployments; those of %d shapes by the oracle too\n", decisions, len(judges), len(questions))
	return nil
}

const everyOption = "every option"

// judges are those of all deployments that are judged, by what is on.
func judges(template *confinement.Template) (map[string]confinement.Judge, error) {
	given := map[string]map[string]string{"no option": nil, everyOption: optional}
	for name, value := range optional {
		given[name] = map[string]string{name: value}
	}
	judges := map[string]confinement.Judge{}
	for with, parameters := range given {
		judge, err := judgeOf(template, parameters)
		if err != nil {
			return nil, err
		}
		judges[with] = judge
	}
	return judges, nil
}
