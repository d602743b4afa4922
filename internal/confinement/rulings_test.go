package confinement_test

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// The accounts of the tables below, and their organization.
const (
	management   = "999900001111"
	hub          = "444455556666"
	member       = "111122223333"
	outsider     = "777788889999"
	organization = "o-a1b2c3d4e5"
	elsewhereOrg = "o-z9y8x7w6v5"
)

var stackSets = sync.OnceValues(func() (map[string]*confinement.Template, error) { return confinement.ReadStackSets(root) })

// caller is a principal, and what its own account lets it do.
type caller struct {
	arn, organization string
	may               string // policy of its own; empty: none
}

// row is one request, and whether it must be allowed.
type row struct {
	what             string
	by               caller
	action, resource string
	owner            string // account of the resource; empty: the caller's
	context          map[string][]string
	may              bool
	resourcePolicy   string // where a policy of another kind is judged; empty: none
}

// ruling is a policy of the roll-out, with a table of the rights that it gives.
type ruling struct {
	name     string
	place    confinement.Place
	layer    iamtest.Layer // where the policy stands
	document map[string]any
	rows     []row
}

// request returns the row's request, with the condition keys that AWS always adds.
func (r row) request() iamtest.Request {
	context := confinement.Wire(key("aws:PrincipalArn", r.by.arn))
	if r.by.organization != "" {
		context["aws:PrincipalOrgID"] = []string{r.by.organization}
	}
	maps.Copy(context, r.context)
	return iamtest.Request{Action: r.action, Resource: r.resource, Context: context}
}

// question returns the row as a question for either evaluator, with another text for the
// ruling's policy.
func (r ruling) question(asked row, text json.RawMessage) confinement.Question {
	q := confinement.Question{Principal: asked.by.arn, Owner: asked.owner, Identity: []json.RawMessage{}}
	if asked.by.may != "" {
		q.Identity = append(q.Identity, json.RawMessage(asked.by.may))
	}
	if asked.resourcePolicy != "" {
		q.Resource = json.RawMessage(asked.resourcePolicy)
	}
	switch r.layer {
	case iamtest.Identity:
		q.Identity = append(q.Identity, text)
	case iamtest.Resource:
		q.Resource = text
	case iamtest.Control:
		q.Control = text
	}
	return q.About(asked.request())
}

// text returns a document with what AWS adds to it: a role's trust policy is about that
// role, and next to a service control policy there is the one that allows everything,
// unless somebody has removed it.
func (r ruling) text(document map[string]any) json.RawMessage {
	return json.RawMessage(confinement.Text(mutated(document, func(statements []any) []any {
		for _, s := range statements {
			if statement := s.(map[string]any); statement["Resource"] == nil {
				statement["Resource"] = "*"
			}
		}
		if r.layer == iamtest.Control {
			return append(statements, map[string]any{"Sid": "FullAWSAccess", "Effect": "Allow", "Action": "*", "Resource": "*"})
		}
		return statements
	})))
}

// readOnce caches the policies, because many rows share one.
var readOnce sync.Map

func read(text json.RawMessage) *iamtest.Policy {
	if text == nil {
		return nil
	}
	found, known := readOnce.Load(string(text))
	if !known {
		found, _ = readOnce.LoadOrStore(string(text), iamtest.MustParse(string(text)))
	}
	return found.(*iamtest.Policy)
}

// decide is our own evaluator's answer.
func decide(q confinement.Question) iamtest.Outcome {
	account := iamtest.Account{Control: read(q.Control), Resource: read(q.Resource), Principal: q.Principal, Owner: q.Owner}
	for _, text := range q.Identity {
		account.Identity = append(account.Identity, read(text))
	}
	return iamtest.Evaluate(account, iamtest.Request{Action: q.Action, Resource: q.ARN, Context: q.Context}).Outcome
}

// rulings are all tables, in every partition.
func rulings(t *testing.T) (all []ruling) {
	t.Helper()
	for _, p := range []confinement.Place{ireland, beijing, oregon, potsdam} {
		all = append(all, codeBucket(t, p), hubKey(t, p), replicaKey(t, p), readersTrust(t, p), readersRole(t, p), secretsPolicy(t, p), controlPolicy(t, p))
	}
	// One text serves all partitions.
	for _, p := range []confinement.Place{ireland, potsdam} {
		all = append(all, pastedPolicies(t, p)...)
	}
	return append(all, invocation(t, ireland, ""), invocation(t, ireland, member), invocation(t, potsdam, member))
}

// resolved are the properties of a resource in one of the templates.
func resolved(t *testing.T, template, resource string, p confinement.Place, parameters, made map[string]string) map[string]any {
	t.Helper()
	templates, err := stackSets()
	if err != nil {
		t.Fatal(err)
	}
	properties, err := templates[template].Resolved(resource, p, parameters, made)
	if err != nil {
		t.Fatal(err)
	}
	return properties
}

// Both evaluators, our own and an independent one, judge every table of the roll-out's
// policies.
func TestRulings(t *testing.T) {
	all := rulings(t)
	var questions []confinement.Question
	for _, r := range all {
		text := r.text(r.document)
		for _, asked := range r.rows {
			questions = append(questions, r.question(asked, text))
		}
	}
	verdicts, err := confinement.Ask(root, questions)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range all {
		for _, asked := range r.rows {
			q, theirs := questions[n], verdicts[n]
			n++
			ours := decide(q)
			if (ours == iamtest.Allowed) != asked.may {
				t.Errorf("%s %s: %s: %s on %s: %v", r.place.Partition, r.name, asked.what, q.Action, q.ARN, ours)
			}
			if theirs.Outcome != outcomes[ours] {
				t.Errorf("%s %s: %s: %s on %s: we say %v, the oracle %s", r.place.Partition, r.name, asked.what, q.Action, q.ARN, ours, theirs.Outcome)
			}
			if asked.may && len(theirs.Ignored) > 0 {
				t.Errorf("%s: %s on %s: AWS knows no %v for it", r.name, q.Action, q.ARN, theirs.Ignored)
			}
		}
	}
	t.Logf("%d rows in %d tables", n, len(all))
}

// Every part of these policies is needed: if it is removed or widened, a row of the table
// changes. Otherwise the part is superfluous, or a row is missing.
func TestMutationsOfRulings(t *testing.T) {
	made := 0
	for _, r := range rulings(t) {
		for what, document := range r.mutations() {
			made++
			text := r.text(document)
			if !slices.ContainsFunc(r.rows, func(asked row) bool {
				return (decide(r.question(asked, text)) == iamtest.Allowed) != asked.may
			}) {
				t.Errorf("%s %s: %s: no row changes", r.place.Partition, r.name, what)
			}
		}
	}
	t.Logf("%d mutations", made)
}

// mutations returns the policy with one part removed or widened, by the change.
func (r ruling) mutations() map[string]map[string]any {
	all := map[string]map[string]any{}
	for i, s := range r.document["Statement"].([]any) {
		change := func(what string, do func(statement map[string]any)) {
			all[sid(s)+" "+what] = mutated(r.document, func(statements []any) []any {
				do(statements[i].(map[string]any))
				return statements
			})
		}
		// For the other kinds, a policy without statements is not a policy.
		if r.layer == iamtest.Control || len(r.document["Statement"].([]any)) > 1 {
			all[sid(s)+" away"] = mutated(r.document, func(statements []any) []any { return slices.Delete(statements, i, i+1) })
		}
		statement := s.(map[string]any)
		for _, element := range []string{"Action", "NotAction", "Resource"} {
			values := list(statement[element])
			for n, value := range values {
				if len(values) > 1 {
					change(element+" "+value+" away", func(s map[string]any) { s[element] = slices.Delete(s[element].([]any), n, n+1) })
				}
			}
		}
		for _, c := range conditions(statement) {
			change(c.operator+" "+c.key+" away", func(s map[string]any) { drop(s, c) })
			values := list(statement["Condition"].(map[string]any)[c.operator].(map[string]any)[c.key])
			for n, value := range values {
				if len(values) > 1 {
					change(c.operator+" "+c.key+" "+value+" away", func(s map[string]any) {
						keys := s["Condition"].(map[string]any)[c.operator].(map[string]any)
						keys[c.key] = slices.Delete(keys[c.key].([]any), n, n+1)
					})
				}
			}
		}
		if denies(s) {
			continue
		}
		change("for all actions", func(s map[string]any) { s["Action"] = "*" })
		if where := list(statement["Resource"]); len(where) > 0 && where[0] != "*" && !allOfItsType.MatchString(where[0]) {
			change("on everything", func(s map[string]any) { s["Resource"] = "*" })
		}
		if principal := statement["Principal"]; principal != nil && !anyone(principal) {
			change("for everyone", func(s map[string]any) { s["Principal"] = "*" })
		}
	}
	return all
}

// anyone reports whether a Principal is everybody, so that the conditions decide.
func anyone(principal any) bool {
	if named, ok := principal.(map[string]any); ok {
		principal = named["AWS"]
	}
	return slices.Equal(list(principal), []string{"*"})
}
