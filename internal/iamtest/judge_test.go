package iamtest_test

import (
	"strings"
	"testing"

	"cloney-s3-credentials/internal/iamtest"
)

// always is the context of every request, so that rows name only what they are about.
func always(context map[string]string) map[string][]string {
	full := map[string][]string{
		"aws:CurrentTime": {"2026-11-25T00:00:00Z"}, "aws:SecureTransport": {"true"}, "aws:username": {"dana"},
		"aws:PrincipalArn": {principal}, "aws:PrincipalAccount": {"123456789012"},
	}
	for key, value := range context {
		full[key] = strings.Split(value, "|")
	}
	return full
}

// quoted replaces ' by " in JSON, unless the text has a " already.
func quoted(text string) string {
	if strings.Contains(text, `"`) {
		return text
	}
	return strings.ReplaceAll(text, "'", `"`)
}

// written returns a policy of these statements.
func written(t *testing.T, statements ...string) *iamtest.Policy {
	t.Helper()
	text := `{"Version":"2012-10-17","Statement":[` + quoted(strings.Join(statements, ",")) + `]}`
	policy, err := iamtest.Parse(text)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return policy
}

const (
	allowed  = iamtest.Allowed
	implicit = iamtest.ImplicitDeny
	explicit = iamtest.ExplicitDeny
)

// row is a case that a page of the IAM User Guide decides.
type row struct {
	page    string
	policy  string // a statement
	action  string
	arn     string
	context map[string]string
	want    iamtest.Outcome
}

const (
	object   = "arn:aws:s3:::data/in/a"
	bucket   = "arn:aws:s3:::data"
	allowGet = `{'Effect':'Allow','Action':'s3:GetObject','Resource':'*'}`
)

// given allows s3:ListBucket with a condition.
func given(condition string) string {
	return `{'Effect':'Allow','Action':'s3:ListBucket','Resource':'*','Condition':{` + condition + `}}`
}

var actionsAndResources = []row{
	{"reference_policies_elements_action.html", `{'Effect':'Allow','Action':'s3:*','Resource':'*'}`, "s3:GetObject", object, nil, allowed},
	{"reference_policies_elements_action.html", `{'Effect':'Allow','Action':'s3:*','Resource':'*'}`, "s3-object-lambda:GetObject", object, nil, implicit},
	{"reference_policies_elements_action.html: the prefix and the action name are case insensitive", `{'Effect':'Allow','Action':'S3:getOBJECT','Resource':'*'}`, "s3:GetObject", object, nil, allowed},
	{"reference_policies_elements_action.html: iam:*AccessKey*", `{'Effect':'Allow','Action':'iam:*AccessKey*','Resource':'*'}`, "iam:GetAccessKeyLastUsed", principal, nil, allowed},
	{"reference_policies_elements_action.html: iam:*AccessKey*", `{'Effect':'Allow','Action':'iam:*AccessKey*','Resource':'*'}`, "iam:CreateUser", principal, nil, implicit},
	{"reference_policies_elements_notaction.html: not what is listed", `{'Effect':'Allow','NotAction':'iam:*','Resource':'*'}`, "iam:CreateUser", principal, nil, implicit},
	{"reference_policies_elements_notaction.html: all that is not listed", `{'Effect':'Allow','NotAction':['iam:*','kms:*'],'Resource':'*'}`, "s3:GetObject", object, nil, allowed},
	{"reference_policies_elements_notaction.html: with Deny", `{'Effect':'Deny','NotAction':['s3:GetObject'],'Resource':'*'}`, "s3:PutObject", object, nil, explicit},
	{"reference_policies_elements_notaction.html: with Deny it allows nothing", `{'Effect':'Deny','NotAction':['s3:GetObject'],'Resource':'*'}`, "s3:GetObject", object, nil, implicit},
	{"reference_policies_elements_resource.html: a path", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/*'}`, "s3:GetObject", object, nil, allowed},
	{"reference_policies_elements_resource.html: the bucket is none of its objects", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/*'}`, "s3:ListBucket", bucket, nil, implicit},
	{"reference_policies_elements_resource.html: ? is one character", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/in/?'}`, "s3:GetObject", object, nil, allowed},
	{"reference_policies_elements_resource.html: ? is one character", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/in/a?'}`, "s3:GetObject", object, nil, implicit},
	{"reference_policies_elements_resource.html: ARNs are case sensitive", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/IN/a'}`, "s3:GetObject", object, nil, implicit},
	{"reference_policies_elements_resource.html: within a segment", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:kms:*:123456789012:key/*'}`, "kms:Decrypt", "arn:aws:kms:us-east-1:123456789012:key/k", nil, allowed},
	{"reference_policies_elements_notresource.html", `{'Effect':'Deny','Action':'s3:*','NotResource':['arn:aws:s3:::data','arn:aws:s3:::data/*']}`, "s3:GetObject", "arn:aws:s3:::other/a", nil, explicit},
	{"reference_policies_elements_notresource.html", `{'Effect':'Deny','Action':'s3:*','NotResource':['arn:aws:s3:::data','arn:aws:s3:::data/*']}`, "s3:GetObject", object, nil, implicit},
	{"reference_policies_variables.html: Resource", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/${aws:username}/*'}`, "s3:GetObject", "arn:aws:s3:::data/dana/a", nil, allowed},
	{"reference_policies_variables.html: Resource", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/${aws:username}/*'}`, "s3:GetObject", "arn:aws:s3:::data/david/a", nil, implicit},
	{"reference_policies_variables.html: not present, so any attempt to match it fails", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/${aws:PrincipalTag/team}'}`, "s3:GetObject", object, nil, implicit},
	{"reference_policies_variables.html: default values", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::data/${aws:PrincipalTag/team, 'in'}/a"}`, "s3:GetObject", object, nil, allowed},
	{"reference_policies_variables.html: default values", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::data/${aws:PrincipalTag/team, 'in'}/a"}`, "s3:GetObject", object, map[string]string{"aws:PrincipalTag/team": "out"}, implicit},
	{"reference_policies_variables.html: special characters", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/in${*}/*'}`, "s3:GetObject", "arn:aws:s3:::data/in*/a", nil, allowed},
	{"reference_policies_variables.html: special characters", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/in${*}/*'}`, "s3:GetObject", "arn:aws:s3:::data/in-other/a", nil, implicit},
	{"reference_policies_variables.html: special characters", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/in${?}'}`, "s3:GetObject", "arn:aws:s3:::data/inn", nil, implicit},
	{"reference_policies_variables.html: special characters", `{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/${$}{aws:username}'}`, "s3:GetObject", "arn:aws:s3:::data/${aws:username}", nil, allowed},
}

const operators = "reference_policies_elements_condition_operators.html: "

var conditions = []row{
	{operators + "exact, case sensitive", given(`'StringEquals':{'s3:prefix':'in/'}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "In/"}, implicit},
	{operators + "no wildcard", given(`'StringEquals':{'s3:prefix':'in*'}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "in/"}, implicit},
	{operators + "ignoring case", given(`'StringEqualsIgnoreCase':{'s3:prefix':'in/'}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "In/"}, allowed},
	{operators + "the home directory", given(`'StringLike':{'s3:prefix':['','home/','home/${aws:username}/']}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "home/dana/"}, allowed},
	{operators + "the home directory", given(`'StringLike':{'s3:prefix':['','home/','home/${aws:username}/']}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": ""}, allowed},
	{operators + "the home directory", given(`'StringLike':{'s3:prefix':['','home/','home/${aws:username}/']}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "home/dana/x"}, implicit},
	{operators + "the home directory, listed whole", given(`'StringLike':{'s3:prefix':['','home/','home/${aws:username}/']}`), "s3:ListBucket", bucket, nil, implicit},
	{operators + "a missing key is not matched", given(`'StringLike':{'s3:prefix':'*'}`), "s3:ListBucket", bucket, nil, implicit},
	{operators + "and Not is true of it", given(`'StringNotLike':{'s3:prefix':'*'}`), "s3:ListBucket", bucket, nil, allowed},
	{operators + "and ArnNotLike", given(`'ArnNotLike':{'aws:SourceArn':'arn:aws:sns:*:*:*'}`), "s3:ListBucket", bucket, nil, allowed},
	{operators + "max-keys", given(`'NumericLessThanEquals':{'s3:max-keys':'10'}`), "s3:ListBucket", bucket, map[string]string{"s3:max-keys": "10"}, allowed},
	{operators + "numbers, not texts", given(`'NumericLessThanEquals':{'s3:max-keys':10}`), "s3:ListBucket", bucket, map[string]string{"s3:max-keys": "9"}, allowed},
	{operators + "max-keys", given(`'NumericLessThan':{'s3:max-keys':'10'}`), "s3:ListBucket", bucket, map[string]string{"s3:max-keys": "10"}, implicit},
	{operators + "a date", given(`'DateLessThan':{'aws:CurrentTime':'2026-11-25T00:00:00Z'}`), "s3:ListBucket", bucket, nil, implicit},
	{operators + "a date in another zone", given(`'DateLessThanEquals':{'aws:CurrentTime':'2026-11-25T01:00:00+01:00'}`), "s3:ListBucket", bucket, nil, allowed},
	{operators + "seconds since 1970", given(`'DateLessThan':{'aws:CurrentTime':'1795564801'}`), "s3:ListBucket", bucket, nil, allowed},
	{operators + "not over SSL", `{'Effect':'Deny','Action':'s3:*','Resource':'*','Condition':{'Bool':{'aws:SecureTransport':'false'}}}`, "s3:GetObject", object, map[string]string{"aws:SecureTransport": "false"}, explicit},
	{operators + "a range", given(`'IpAddress':{'aws:SourceIp':'203.0.113.0/24'}`), "s3:ListBucket", bucket, map[string]string{"aws:SourceIp": "203.0.113.255"}, allowed},
	{operators + "a range", given(`'IpAddress':{'aws:SourceIp':'203.0.113.0/24'}`), "s3:ListBucket", bucket, map[string]string{"aws:SourceIp": "203.0.114.0"}, implicit},
	{operators + "through a VPC endpoint there is no SourceIp", given(`'IpAddress':{'aws:SourceIp':'203.0.113.0/24'}`), "s3:ListBucket", bucket, nil, implicit},
	{operators + "both families", given(`'IpAddress':{'aws:SourceIp':['203.0.113.0/24','2001:DB8:1234:5678::/64']}`), "s3:ListBucket", bucket, map[string]string{"aws:SourceIp": "2001:db8:1234:5678::9"}, allowed},
	{operators + "without a prefix /32 is meant", given(`'NotIpAddress':{'aws:SourceIp':'203.0.113.7'}`), "s3:ListBucket", bucket, map[string]string{"aws:SourceIp": "203.0.113.8"}, allowed},
	{operators + "each of the six components is checked separately", given(`'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::*:user/cloney/*'}`), "s3:ListBucket", bucket, nil, allowed},
	{operators + "ArnEquals and ArnLike behave identically", given(`'ArnEquals':{'aws:PrincipalArn':'arn:aws:iam::*:user/cloney/*'}`), "s3:ListBucket", bucket, nil, allowed},
	{operators + "IfExists: true if it is not", given(`'StringLikeIfExists':{'s3:prefix':'in/*'}`), "s3:ListBucket", bucket, nil, allowed},
	{operators + "IfExists: as usual if it is", given(`'StringLikeIfExists':{'s3:prefix':'in/*'}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "out/"}, implicit},
	{operators + "Null true: not there", given(`'Null':{'aws:TokenIssueTime':'true'}`), "s3:ListBucket", bucket, nil, allowed},
	{operators + "Null false: there", given(`'Null':{'aws:TokenIssueTime':'false'}`), "s3:ListBucket", bucket, nil, implicit},
	{"reference_policies_condition-keys.html: key names are not case-sensitive", given(`'StringEquals':{'AWS:resourceaccount':'123456789012'}`), "s3:ListBucket", bucket, map[string]string{"aws:ResourceAccount": "123456789012"}, allowed},
}

const several = "reference_policies_condition-logic-multiple-context-keys-or-values.html: "
const sets = "reference_policies_condition-single-vs-multi-valued-context-keys.html: "

var manyValues = []row{
	{several + "values of a key are or", given(`'StringEquals':{'s3:prefix':['a','b']}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "b"}, allowed},
	{several + "values of a negated key are nor", given(`'StringNotEquals':{'s3:prefix':['a','b']}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "b"}, implicit},
	{several + "keys are and", given(`'StringEquals':{'s3:prefix':'a','aws:ResourceAccount':'1'}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "a", "aws:ResourceAccount": "2"}, implicit},
	{several + "operators are and", given(`'StringEquals':{'s3:prefix':'a'},'Bool':{'aws:SecureTransport':'false'}`), "s3:ListBucket", bucket, map[string]string{"s3:prefix": "a"}, implicit},
	{sets + "every one matches", given(`'ForAllValues:StringEquals':{'aws:TagKeys':['a','b']}`), "s3:ListBucket", bucket, map[string]string{"aws:TagKeys": "b|a"}, allowed},
	{sets + "not every one", given(`'ForAllValues:StringEquals':{'aws:TagKeys':['a','b']}`), "s3:ListBucket", bucket, map[string]string{"aws:TagKeys": "a|c"}, implicit},
	{sets + "ForAllValues is true of none", given(`'ForAllValues:StringEquals':{'aws:TagKeys':['a','b']}`), "s3:ListBucket", bucket, nil, allowed},
	{sets + "and of an empty string", given(`'ForAllValues:StringEquals':{'aws:TagKeys':['a','b']}`), "s3:ListBucket", bucket, map[string]string{"aws:TagKeys": ""}, allowed},
	{sets + "so Null is put beside it", given(`'ForAllValues:StringEquals':{'aws:TagKeys':'a'},'Null':{'aws:TagKeys':'false'}`), "s3:ListBucket", bucket, nil, implicit},
	{sets + "any one matches", given(`'ForAnyValue:StringEquals':{'aws:TagKeys':['a','b']}`), "s3:ListBucket", bucket, map[string]string{"aws:TagKeys": "c|a"}, allowed},
	{sets + "ForAnyValue is false of none", given(`'ForAnyValue:StringEquals':{'aws:TagKeys':['a','b']}`), "s3:ListBucket", bucket, nil, implicit},
	{sets + "also where it is negated", given(`'ForAnyValue:StringNotEquals':{'aws:TagKeys':['a','b']}`), "s3:ListBucket", bucket, nil, implicit},
	{sets + "any one does not match", given(`'ForAnyValue:StringNotEquals':{'aws:TagKeys':['a','b']}`), "s3:ListBucket", bucket, map[string]string{"aws:TagKeys": "a|c"}, allowed},
}

// One statement each.
func TestStatementsAsDocumented(t *testing.T) {
	for _, rows := range [][]row{actionsAndResources, conditions, manyValues} {
		for _, r := range rows {
			policy, err := iamtest.Parse(`{"Version":"2012-10-17","Statement":` + quoted(r.policy) + `}`)
			if err != nil {
				t.Errorf("%s: %v", r.page, err)
				continue
			}
			account := iamtest.Account{Identity: []*iamtest.Policy{policy}}
			request := iamtest.Request{Action: r.action, Resource: r.arn, Context: always(r.context)}
			if got := iamtest.Evaluate(account, request); got.Outcome != r.want {
				t.Errorf("%s%s: %s of %s, %v: %v, want %v by %s", iamGuide, r.page, r.action, r.arn, r.context, got, r.want, r.policy)
			}
		}
	}
}
