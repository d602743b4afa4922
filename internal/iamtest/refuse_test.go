package iamtest_test

import (
	"strings"
	"testing"

	"cloney-s3-credentials/internal/iamtest"
)

// Parse refuses what it does not know, and what AWS refuses or leaves open.
func TestPoliciesRefused(t *testing.T) {
	for what, text := range map[string]string{
		"no JSON":                     `{`,
		"more than a policy":          `{'Statement':STATEMENT}{}`,
		"a list":                      `[]`,
		"no statement":                `{'Version':'2012-10-17'}`,
		"no statements":               `{'Statement':[]}`,
		"another version":             `{'Version':'2012-10-18','Statement':STATEMENT}`,
		"an unknown element":          `{'Statement':STATEMENT,'Comment':''}`,
		"an element twice":            `{'Statement':STATEMENT,'Statement':STATEMENT}`,
		"an element in small letters": `{'Statement':{'effect':'Allow','Action':'*','Resource':'*'}}`,
		"an unknown effect":           `{'Statement':{'Effect':'allow','Action':'*','Resource':'*'}}`,
		"no action":                   `{'Statement':{'Effect':'Allow','Resource':'*'}}`,
		"no resource":                 `{'Statement':{'Effect':'Allow','Action':'*'}}`,
		"no values":                   `{'Statement':{'Effect':'Allow','Action':[],'Resource':'*'}}`,
		"both":                        `{'Statement':{'Effect':'Allow','Action':'*','NotAction':'*','Resource':'*'}}`,
		"NotPrincipal":                `{'Statement':{'Effect':'Allow','NotPrincipal':'*','Action':'*','Resource':'*'}}`,
		"a federated principal":       `{'Statement':{'Effect':'Allow','Principal':{'Federated':'x'},'Action':'*','Resource':'*'}}`,
		"a session as principal":      `{'Statement':{'Effect':'Allow','Principal':{'AWS':'arn:aws:sts::123456789012:assumed-role/r/s'},'Action':'*','Resource':'*'}}`,
		"a wildcard in a principal":   `{'Statement':{'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::123456789012:user/*'},'Action':'*','Resource':'*'}}`,
		"an action without service":   `{'Statement':{'Effect':'Allow','Action':'GetObject','Resource':'*'}}`,
		"a wildcard for a service":    `{'Statement':{'Effect':'Allow','Action':'s*:Get','Resource':'*'}}`,
		"a variable in an action":     `{'Version':'2012-10-17','Statement':{'Effect':'Allow','Action':'s3:${aws:username}','Resource':'*'}}`,
		"a Sid twice":                 `{'Statement':[{'Sid':'A','Effect':'Allow','Action':'*','Resource':'*'},{'Sid':'A','Effect':'Allow','Action':'*','Resource':'*'}]}`,
	} {
		text = strings.ReplaceAll(text, "STATEMENT", `{'Effect':'Allow','Action':'*','Resource':'*'}`)
		refused(t, what, text)
	}
	for what, resource := range map[string]string{
		"no ARN": "data", "a short ARN": "arn:aws:s3:*", "a wildcard for the service": "arn:aws:s?:::data", "a wildcard for the type": "arn:aws:iam::123456789012:u*",
		"a variable before the fifth colon": "arn:aws:iam::${aws:PrincipalAccount}:user/x", "an unknown variable": "arn:aws:s3:::${aws:user}",
		"a variable of many values": "arn:aws:s3:::${aws:TagKeys}", "a variable without an end": "arn:aws:s3:::${aws:username", "an empty one": "arn:aws:s3:::${}",
		"a default without quotes": "arn:aws:s3:::${aws:username, x}", "a default with a wildcard": "arn:aws:s3:::${aws:username, '*'}",
	} {
		refused(t, what, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"`+resource+`"}}`)
	}
	for what, condition := range map[string]string{
		"an unknown operator": `'StringMatches':{'s3:prefix':''}`, "in small letters": `'stringlike':{'s3:prefix':''}`, "BinaryEquals": `'BinaryEquals':{'s3:prefix':''}`,
		"an unknown set": `'ForSomeValues:StringLike':{'s3:prefix':''}`, "NullIfExists": `'NullIfExists':{'s3:prefix':'true'}`, "a set of Null": `'ForAllValues:Null':{'aws:TagKeys':'true'}`,
		"ForAnyValue with IfExists": `'ForAnyValue:StringLikeIfExists':{'aws:TagKeys':''}`, "many values without a set": `'StringLike':{'aws:TagKeys':''}`,
		"an unknown key": `'StringNotLike':{'s3:prefiks':''}`, "a tag without a key": `'StringLike':{'aws:RequestTag/':''}`, "a key twice": `'StringLike':{'s3:prefix':'','S3:Prefix':''}`,
		"no values": `'StringLike':{'s3:prefix':[]}`, "no keys' object": `'StringLike':'s3:prefix'`, "an object as value": `'StringLike':{'s3:prefix':{}}`,
		"no address": `'IpAddress':{'aws:SourceIp':'203.0.113'}`, "a mapped address": `'IpAddress':{'aws:SourceIp':'::ffff:203.0.113.7'}`, "a zone": `'IpAddress':{'aws:SourceIp':'fe80::1%eth0'}`,
		"no date": `'DateLessThan':{'aws:CurrentTime':'tomorrow'}`, "a date without zone": `'DateLessThan':{'aws:CurrentTime':'2026-11-25T00:00:00'}`, "a year or seconds": `'DateLessThan':{'aws:CurrentTime':'2026'}`,
		"no number": `'NumericLessThan':{'s3:max-keys':'ten'}`, "no boolean": `'Bool':{'aws:SecureTransport':'yes'}`, "no ARN": `'ArnLike':{'aws:SourceArn':'*'}`,
		"a variable for a boolean": `'Bool':{'aws:SecureTransport':'${aws:username}'}`,
	} {
		refused(t, what, strings.ReplaceAll(`{"Version":"2012-10-17","Statement":`+given(condition)+`}`, "'", `"`))
	}
}

func refused(t *testing.T, what, text string) {
	t.Helper()
	policy, err := iamtest.Parse(quoted(text))
	if _, ok := err.(iamtest.Refusal); !ok || policy != nil {
		t.Errorf("%s: %v, %v: %s", what, policy, err, text)
	}
}

// Requests that AWS's pages leave open, or that cannot exist, are not judged.
func TestRequestsRefused(t *testing.T) {
	const get = "s3:GetObject"
	everyone := iamtest.Account{Boundary: written(t, allowPut), Resource: written(t, to(`'*'`)), Principal: principal}
	of := func(statements ...string) iamtest.Account {
		return iamtest.Account{Identity: []*iamtest.Policy{written(t, statements...)}}
	}
	for what, asked := range map[string]struct {
		account iamtest.Account
		request iamtest.Request
	}{
		"a wildcard as action":                {of(allowGet), iamtest.Request{Action: "s3:*", Resource: object}},
		"no ARN":                              {of(allowGet), iamtest.Request{Action: get, Resource: "data/in/a"}},
		"an unknown key":                      {of(allowGet), iamtest.Request{Action: get, Resource: object, Context: map[string][]string{"aws:SourceIP4": {"203.0.113.7"}}}},
		"a key twice":                         {of(given(`'Null':{'s3:prefix':'true'}`)), iamtest.Request{Action: "s3:ListBucket", Resource: bucket, Context: map[string][]string{"s3:prefix": {""}, "S3:prefix": {""}}}},
		"two values of a key of one":          {of(given(`'Null':{'s3:prefix':'true'}`)), iamtest.Request{Action: "s3:ListBucket", Resource: bucket, Context: map[string][]string{"s3:prefix": {"", "a"}}}},
		"no time":                             {of(given(`'DateLessThan':{'aws:CurrentTime':'2026-11-25'}`)), iamtest.Request{Action: "s3:ListBucket", Resource: bucket}},
		"no address as SourceIp":              {of(given(`'IpAddress':{'aws:SourceIp':'203.0.113.7'}`)), iamtest.Request{Action: "s3:ListBucket", Resource: bucket, Context: map[string][]string{"aws:SourceIp": {"vpc"}}}},
		"no ARN by an ARN operator":           {of(given(`'ArnLike':{'aws:SourceArn':'arn:aws:s3:::*'}`)), iamtest.Request{Action: "s3:ListBucket", Resource: bucket, Context: map[string][]string{"aws:SourceArn": {"x"}}}},
		"a variable with a wildcard":          {of(`{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::data/${s3:prefix}'}`), iamtest.Request{Action: get, Resource: object, Context: map[string][]string{"s3:prefix": {"*"}}}},
		"a variable without value, negated":   {of(given(`'StringNotEquals':{'aws:ResourceAccount':'${aws:PrincipalTag/x}'}`)), iamtest.Request{Action: "s3:ListBucket", Resource: bucket}},
		"a variable without value beside one": {of(`{'Effect':'Deny','Action':'*','Resource':['arn:aws:s3:::${aws:username}','*']}`), iamtest.Request{Action: get, Resource: object}},
		"a wildcard beyond its segment":       {of(`{'Effect':'Allow','Action':'*','Resource':'arn:aws:kms:us-*:1:key/k'}`), iamtest.Request{Action: "kms:Decrypt", Resource: "arn:aws:kms:us-east-1:2:x:1:key/k"}},
		"everyone, beyond the boundary":       {everyone, iamtest.Request{Action: get, Resource: object}},
		"a Principal in an identity's policy": {of(to(`'*'`)), iamtest.Request{Action: get, Resource: object}},
		"none in a resource's policy":         {iamtest.Account{Resource: written(t, allowGet), Principal: principal}, iamtest.Request{Action: get, Resource: object}},
		"a role and a resource's policy":      {iamtest.Account{Boundary: written(t, allowGet), Resource: written(t, to(`'*'`)), Principal: role}, iamtest.Request{Action: get, Resource: object}},
		"a session and a resource's policy":   {iamtest.Account{Resource: written(t, to(`'*'`)), Principal: "arn:aws:sts::123456789012:assumed-role/r/s"}, iamtest.Request{Action: get, Resource: object}},
		"a role's policy for another action":  {iamtest.Account{Resource: written(t, to(`'*'`)), Principal: principal}, iamtest.Request{Action: "iam:GetRole", Resource: role}},
		"an owner that is no account":         {iamtest.Account{Principal: principal, Owner: "me"}, iamtest.Request{Action: get, Resource: object}},
		"an owner and nobody who asks":        {iamtest.Account{Owner: "123456789013"}, iamtest.Request{Action: get, Resource: object}},
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if _, ok := recover().(iamtest.Refusal); !ok {
					t.Error("it was judged")
				}
			}()
			iamtest.Evaluate(asked.account, asked.request)
		})
	}
}
