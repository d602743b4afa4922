package confinement_test

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/policy"
)

const root = "../.."

// The stacks of the provider that are judged.
var (
	ireland = confinement.Place{Partition: "aws", Region: "eu-west-1", Account: "123456789012"}
	beijing = confinement.Place{Partition: "aws-cn", Region: "cn-north-1", Account: "123456789012"}
	oregon  = confinement.Place{Partition: "aws-us-gov", Region: "us-gov-west-1", Account: "123456789012"}
	potsdam = confinement.Place{Partition: "aws-eusc", Region: "eusc-de-east-1", Account: "123456789012"}
	setups  = append(everyPlace(ireland, beijing, oregon, potsdam),
		setup{Place: ireland, allowedBuckets: named, inVPC: true, notifies: true},
		setup{Place: ireland, allowedBuckets: named, userBoundary: ireland.ARN("policy/org/users")})
)

func everyPlace(places ...confinement.Place) (all []setup) {
	for _, p := range places {
		all = append(all, setup{Place: p, allowedBuckets: "*"}, setup{Place: p, allowedBuckets: named})
	}
	return all
}

// named are AllowedBuckets that leave some out.
const named = "data-*,archive"

type setup struct {
	confinement.Place
	allowedBuckets string
	userBoundary   string // UserPermissionsBoundary
	inVPC          bool
	notifies       bool // AlarmTopicArn
}

func (s setup) String() string {
	return fmt.Sprintf("%s %s %s, in a VPC: %t, with a topic: %t", s.Region, s.allowedBuckets, s.userBoundary, s.inVPC, s.notifies)
}

// parameters are those of the stack.
func (s setup) parameters() map[string]string {
	given := map[string]string{"AllowedBuckets": s.allowedBuckets, "UserPermissionsBoundary": s.userBoundary}
	if s.inVPC {
		given["SubnetIds"], given["SecurityGroupIds"] = "subnet-1,subnet-2", "sg-1"
	}
	if s.notifies {
		given["AlarmTopicArn"] = s.Topic()
	}
	return given
}

// bound is the ARN of the boundary that users get.
func (s setup) bound() string { return cmp.Or(s.userBoundary, s.BoundaryARN()) }

var template = sync.OnceValues(func() (*confinement.Template, error) { return confinement.ReadTemplate(root) })

// model is a stack's policies, and what its function and keys ask.
type model struct {
	setup
	confinement.Judge
	calls   []confinement.Call
	attacks []attack
}

// of returns the model of a stack.
func of(t *testing.T, s setup) *model {
	t.Helper()
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	documents, err := template.At(s.Place, s.parameters())
	if err != nil {
		t.Fatal(err)
	}
	m := &model{setup: s, calls: append(recorded(t, s), guide(t, s.Place)...), attacks: attacks(s)}
	return m.with(documents)
}

// with is the model with other policies.
func (m model) with(d confinement.Documents) *model {
	m.Judge = confinement.NewJudge(d)
	return &m
}

// guide is what Cloney does with an issued key, each action of the guide's
// table, beside what the function's verification of the key already asks.
func guide(t *testing.T, p confinement.Place) (calls []confinement.Call) {
	t.Helper()
	documents, err := policy.Documents(scope(p), p.Partition, nil)
	if err != nil {
		t.Fatal(err)
	}
	add := func(r iamtest.Request) {
		calls = append(calls, confinement.Call{Operation: "Cloney", Request: r, User: user, Documents: []string{documents[0].Text}})
	}
	for _, place := range scope(p).Places {
		arn := "arn:" + p.Partition + ":s3:::" + place.Bucket()
		for _, action := range []string{"ListBucket", "GetBucketLocation"} {
			add(request("s3:"+action, arn))
		}
		for _, action := range []string{"GetObject", "GetObjectVersion", "PutObject", "PutObjectAcl", "AbortMultipartUpload", "ListMultipartUploadParts"} {
			add(request("s3:"+action, arn+"/a/key"))
		}
	}
	for _, action := range []string{"Decrypt", "GenerateDataKey"} {
		add(request("kms:"+action, p.KeyARN(), confinement.ViaService("s3", p)))
	}
	return calls
}

// Every call that the code makes is allowed by the function's role, or, with an issued
// key, by the user's policies within the boundary.
func TestEveryCallIsAllowed(t *testing.T) {
	for _, s := range setups {
		m := of(t, s)
		if c, d, found := m.Refused(m.calls); found {
			t.Errorf("%v: %s: %s on %s %v: %v", s, c.Operation, c.Request.Action, c.Request.Resource, c.Request.Context, d)
		}
		of := map[confinement.Function]int{}
		for _, c := range m.calls {
			of[c.Function]++
		}
		t.Logf("%v: %d calls of the provider, %d of the rotator and %d with an issued key are allowed", s, of[confinement.Provider], of[confinement.Rotator], of[""])
	}
}

func request(action, resource string, context ...map[string][]string) iamtest.Request {
	return iamtest.Request{Action: action, Resource: resource, Context: confinement.Wire(context...)}
}

func key(name string, values ...string) map[string][]string { return map[string][]string{name: values} }

func tags(kind string, of map[string]string) map[string][]string {
	if kind == "aws:RequestTag" {
		return confinement.RequestTags(of)
	}
	return confinement.ResourceTags(of)
}

// elsewhere is the same account in another region.
func elsewhere(p confinement.Place) confinement.Place {
	p.Region = map[string]string{"aws": "us-east-1", "aws-cn": "cn-northwest-1", "aws-us-gov": "us-gov-east-1", "aws-eusc": "eusc-de-west-1"}[p.Partition]
	return p
}

// mutated is a document with one thing changed: a copy.
func mutated(document map[string]any, change func(statements []any) []any) map[string]any {
	out := clone(document).(map[string]any)
	out["Statement"] = change(out["Statement"].([]any))
	return out
}

func clone(tree any) any {
	switch tree := tree.(type) {
	case map[string]any:
		out := maps.Clone(tree)
		for key, value := range out {
			out[key] = clone(value)
		}
		return out
	case []any:
		out := make([]any, len(tree))
		for i, value := range tree {
			out[i] = clone(value)
		}
		return out
	}
	return tree
}

// list is an element's values, be it one or many.
func list(tree any) []string {
	if one, ok := tree.(string); ok {
		return []string{one}
	}
	var out []string
	if many, ok := tree.([]any); ok {
		for _, value := range many {
			out = append(out, fmt.Sprint(value))
		}
	}
	return out
}

func sid(statement any) string { return statement.(map[string]any)["Sid"].(string) }

func denies(statement any) bool { return statement.(map[string]any)["Effect"] == "Deny" }

// names reports whether a list of actions covers one.
func names(actions []string, action string) bool {
	for _, a := range actions {
		if a == action || strings.HasSuffix(a, "*") && strings.HasPrefix(action, strings.TrimSuffix(a, "*")) {
			return true
		}
	}
	return false
}
