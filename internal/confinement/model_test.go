package confinement_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
)

const root = "../.."

// These are the places of the stacks that are judged.
var (
	ireland = confinement.Place{Partition: "aws", Region: "eu-west-1", Account: "123456789012"}
	beijing = confinement.Place{Partition: "aws-cn", Region: "cn-north-1", Account: "123456789012"}
	oregon  = confinement.Place{Partition: "aws-us-gov", Region: "us-gov-west-1", Account: "123456789012"}
	potsdam = confinement.Place{Partition: "aws-eusc", Region: "eusc-de-east-1", Account: "123456789012"}
)

// options are the parameters that the owner of a stack may set. A setup says which of them
// are set.
type options struct {
	named        bool // AllowedBuckets is a list; otherwise *
	open         bool // ClosedBuckets is none
	addresses    bool // SourceCidrs
	accounts     bool // BucketAccounts
	organization bool // BucketOrganizationId
	otherKeys    bool // SecretKmsKeys
	ownFunction  bool // RoleUse
	inVPC        bool // SubnetIds
	notifies     bool // AlarmTopicArn
	ownBoundary  bool // UserPermissionsBoundary
	direct       bool // Invocation is CloudFormationOnly
}

// switches are the options one by one.
var switches = []func(*options) *bool{
	func(o *options) *bool { return &o.named }, func(o *options) *bool { return &o.open }, func(o *options) *bool { return &o.addresses },
	func(o *options) *bool { return &o.accounts }, func(o *options) *bool { return &o.organization }, func(o *options) *bool { return &o.otherKeys },
	func(o *options) *bool { return &o.ownFunction }, func(o *options) *bool { return &o.inVPC }, func(o *options) *bool { return &o.notifies },
	func(o *options) *bool { return &o.ownBoundary }, func(o *options) *bool { return &o.direct },
}

// from returns the options whose bits are set in n. The first switch is the lowest bit.
func from(n int, which []func(*options) *bool) (o options) {
	for i, option := range which {
		*option(&o) = n>>i&1 == 1
	}
	return o
}

// together returns setups in which every document of the template has each of its forms.
// Options that change the boundary do not change a role, so one setup shows a form of each.
// TestEveryFormIsJudged checks that no form is missing.
func together(p confinement.Place) (all []setup) {
	boundary, roles := switches[:5], switches[5:9]
	for n := range 1 << len(boundary) {
		o := from(n, boundary)
		for i, option := range roles {
			*option(&o) = n>>i&1 == 1
		}
		o.direct = n&1 == 1
		all = append(all, setup{p, o})
	}
	for n := range 1 << 3 { // the boundary does not change the rotator's role
		o := from(n, roles[:3])
		o.ownBoundary = true
		all = append(all, setup{p, o})
	}
	return all
}

// onePerOption returns setups with each option alone, with none, and with all.
func onePerOption(p confinement.Place) []setup {
	none, all := setup{Place: p}, setup{p, from(1<<len(switches)-1, switches)}
	all.ownBoundary = false // then the users' boundary is not ours
	setups := []setup{none, all}
	for i := range switches {
		setups = append(setups, setup{p, from(1<<i, switches)})
	}
	return setups
}

// setups are all setups that our evaluator judges: every form in one partition, and the
// differences in the others.
var setups = slices.Concat(together(ireland), onePerOption(beijing)[:2], onePerOption(oregon)[:2], onePerOption(potsdam)[:2])

// named is a list of AllowedBuckets without some buckets.
const named = "data-*,archive"

// These are the other values of parameters.
const (
	cidrs     = "203.0.113.0/24,2001:db8:1::/48"
	hubsKey   = "key/mrk-0f1d2c3b4a5948689776a5b4c3d2e1f0"
	hubsOwner = "444455556666"
)

// setup is a stack of the provider.
type setup struct {
	confinement.Place
	options
}

func (s setup) String() string { return fmt.Sprintf("%s %+v", s.Region, s.options) }

// parameters are those of the stack.
func (s setup) parameters() map[string]string {
	given := map[string]string{"AllowedBuckets": "*"}
	give := func(is bool, name, value string) {
		if is {
			given[name] = value
		}
	}
	give(s.named, "AllowedBuckets", named)
	give(s.open, "ClosedBuckets", "none")
	give(s.addresses, "SourceCidrs", cidrs)
	give(s.accounts, "BucketAccounts", s.Account+","+hubsOwner)
	give(s.organization, "BucketOrganizationId", confinement.Organization)
	give(s.otherKeys, "SecretKmsKeys", s.hubsKey())
	give(s.ownFunction, "RoleUse", "OwnFunctionOnly")
	give(s.inVPC, "SubnetIds", "subnet-1,subnet-2")
	give(s.inVPC, "SecurityGroupIds", "sg-1")
	give(s.notifies, "AlarmTopicArn", s.Topic())
	give(s.ownBoundary, "UserPermissionsBoundary", s.bound())
	give(s.direct, "Invocation", "CloudFormationOnly")
	return given
}

// hubsKey is a KMS key of another account.
func (s setup) hubsKey() string {
	hub := s.Place
	hub.Account = hubsOwner
	return hub.RegionalARN("kms", hubsKey)
}

// bound returns the ARN of the users' boundary.
func (s setup) bound() string {
	if s.ownBoundary {
		return s.ARN("policy/org/users")
	}
	return s.BoundaryARN()
}

var template = sync.OnceValues(func() (*confinement.Template, error) { return confinement.ReadTemplate(root) })

// model is a stack's policies, with the calls of its functions and keys.
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

// with returns the model with other policies.
func (m model) with(d confinement.Documents) *model {
	m.Judge = confinement.NewJudge(d)
	return &m
}

// guide returns Cloney's calls with an issued key: each action of the guide's table,
// without those of the function's verification.
func guide(t *testing.T, p confinement.Place) (calls []confinement.Call) {
	t.Helper()
	documents, err := policy.Documents(name.MaxPolicies, scope(p), p.Partition, nil)
	if err != nil {
		t.Fatal(err)
	}
	add := func(r iamtest.Request) {
		calls = append(calls, confinement.Call{Operation: "Cloney", Request: r, User: user, Documents: []string{documents[0].Text}})
	}
	for _, place := range scope(p).Places {
		arn := "arn:" + p.Partition + ":s3:::" + place.Bucket()
		for _, action := range []string{"ListBucket", "GetBucketLocation"} {
			add(request("s3:"+action, arn, confinement.Bucket(p)))
		}
		for _, action := range []string{"GetObject", "GetObjectVersion", "PutObject", "PutObjectAcl", "AbortMultipartUpload", "ListMultipartUploadParts"} {
			add(request("s3:"+action, arn+"/a/key", confinement.Bucket(p)))
		}
	}
	// This is from another address, and in a bucket of another account.
	for _, differs := range []map[string][]string{key("aws:SourceIp", "2001:db8:1::7"), key("aws:ResourceAccount", hubsOwner)} {
		add(request("s3:GetObject", "arn:"+p.Partition+":s3:::"+bucket+"/a/key", confinement.Bucket(p), differs))
	}
	for _, action := range []string{"Decrypt", "GenerateDataKey"} {
		add(request("kms:"+action, p.KeyARN(), confinement.ViaService("s3", p)))
		add(request("kms:"+action, p.KeyARN(), confinement.ViaService("s3", p), key("aws:ResourceAccount", p.Account), key("aws:ResourceOrgID", confinement.Organization)))
		add(request("kms:"+action, p.KeyARN(), confinement.ViaService("s3", p), key("aws:ResourceAccount", hubsOwner)))
	}
	return calls
}

// The judged setups have every form of the documents that any options can cause.
func TestEveryFormIsJudged(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	forms := func(setups []setup) map[string]bool {
		found := map[string]bool{}
		for _, s := range setups {
			documents, err := template.At(s.Place, s.parameters())
			if err != nil {
				t.Fatal(err)
			}
			for f, role := range documents.Roles {
				found[string(f)+confinement.Text(role)] = true
			}
			if found["invocation"+confinement.Text(documents.Invocation)] = true; !s.ownBoundary {
				found["boundary"+confinement.Text(documents.Boundary)] = true
			}
		}
		return found
	}
	var all []setup
	for n := range 1 << len(switches) {
		all = append(all, setup{ireland, from(n, switches)})
	}
	possible, judged := forms(all), forms(setups)
	for form := range possible {
		if !judged[form] {
			t.Errorf("not judged: %s", form)
		}
	}
	t.Logf("%d forms of the documents in %d combinations of options, judged in %d setups", len(possible), len(all), len(setups))
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

// mutated returns a copy of a document with one change.
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

// list returns an element's values, one or many.
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
