package confinement_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// trailed is an event of EventBridge about a call, from CloudTrail, with the fields that
// the patterns read.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
func trailed(service, name, by, parameters string) string {
	return fmt.Sprintf(`{"source": "aws.%[1]s", "detail-type": "AWS API Call via CloudTrail", "detail": {
		"eventSource": "%[1]s.amazonaws.com", "eventName": "%[2]s", "eventCategory": "Management", "userIdentity": %[3]s, "requestParameters": %[4]s}}`,
		service, name, by, parameters)
}

// These are callers as CloudTrail records them.
const (
	byProvider = `{"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/cloney-s3-credentials-ProviderRole-1A2B/cloney-s3-credentials",
		"sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/cloney-provider/cloney-s3-credentials-ProviderRole-1A2B"}}}`
	byRotator = `{"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/cloney-s3-credentials-RotatorRole-1A2B/cloney-s3-credentials-rotator",
		"sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/cloney-provider/cloney-s3-credentials-RotatorRole-1A2B"}}}`
	byAdmin = `{"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/Admin/ann",
		"sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/Admin"}}}`
	byUser = `{"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/bob", "userName": "bob"}`
	byRoot = `{"type": "Root", "arn": "arn:aws:iam::111122223333:root"}`
	byKey  = `{"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/cloney/eu-west-1/data-Source-b2ksdj3mxq4a", "userName": "data-Source-b2ksdj3mxq4a", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}`
	// A deployer's stack.
	byStack = `{"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/Deployer/ci", "invokedBy": "cloudformation.amazonaws.com",
		"sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/Deployer"}}}`
	byTopic = `{"type": "AWSService", "invokedBy": "sns.amazonaws.com"}`
)

const (
	ofOurUser = `{"userName": "data-Source-b2ksdj3mxq4a"}`
	ofSecret  = `{"secretId": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:cloney/data-Source-b2ksdj3mxq4a-AbCdEf"}`
	byItsName = `{"secretId": "cloney/data-Source-b2ksdj3mxq4a"}`
	another   = `{"secretId": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:payroll/cloney/x-AbCdEf"}`
)

// invoked is a data event of Lambda.
func invoked(function, by string) string {
	return strings.TrimSuffix(strings.Replace(trailed("lambda", "Invoke", by, `{"invocationType": "Event"}`), `"Management"`, `"Data"`, 1), "}}") +
		`, "resources": [{"type": "AWS::Lambda::Function", "accountId": "111122223333", "ARN": "arn:aws:lambda:eu-west-1:111122223333:function:` + function + `"}]}}`
}

// patterns are those of SECURITY.md, with events that each must match and must not match.
var patterns = map[string]struct{ hits, misses []string }{
	"Somebody else changes users, policies or roles": {
		hits: []string{
			trailed("iam", "CreateAccessKey", byAdmin, ofOurUser),
			trailed("iam", "UpdateAccessKey", byUser, ofOurUser),
			trailed("iam", "DeleteUserPermissionsBoundary", byRoot, ofOurUser),
			trailed("iam", "PutUserPermissionsBoundary", byStack, ofOurUser),
			trailed("iam", "PutUserPolicy", byAdmin, ofOurUser),
			trailed("iam", "TagUser", byAdmin, ofOurUser),
			trailed("iam", "UntagUser", byAdmin, ofOurUser),
			trailed("iam", "UpdateUser", byAdmin, `{"userName": "data-Source-b2ksdj3mxq4a", "newPath": "/people/"}`),
			trailed("iam", "AttachUserPolicy", byAdmin, `{"userName": "x", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}`),
			trailed("iam", "AddUserToGroup", byAdmin, `{"userName": "x", "groupName": "admins"}`),
			trailed("iam", "CreateLoginProfile", byAdmin, ofOurUser),
			trailed("iam", "CreateUser", byStack, `{"userName": "x", "path": "/cloney/eu-west-1/"}`),
			trailed("iam", "CreatePolicyVersion", byAdmin, `{"policyArn": "arn:aws:iam::111122223333:policy/cloney/eu-west-1/x-1"}`),
			trailed("iam", "SetDefaultPolicyVersion", byAdmin, `{"policyArn": "arn:aws:iam::111122223333:policy/cloney-boundary/cloney-s3-credentials-UserBoundary-1A2B"}`),
			trailed("iam", "DeletePolicy", byAdmin, `{"policyArn": "arn:aws:iam::111122223333:policy/cloney/eu-west-1/x-1"}`),
			trailed("iam", "DeletePolicyVersion", byAdmin, `{"policyArn": "arn:aws:iam::111122223333:policy/cloney/eu-west-1/x-1"}`),
			trailed("iam", "CreateRole", byAdmin, `{"roleName": "x", "path": "/cloney-provider/"}`),
			trailed("iam", "UpdateAssumeRolePolicy", byAdmin, `{"roleName": "cloney-s3-credentials-ProviderRole-1A2B"}`),
			trailed("iam", "AttachRolePolicy", byAdmin, `{"roleName": "cloney-s3-credentials-RotatorRole-1A2B"}`),
			trailed("iam", "PutRolePolicy", byAdmin, `{"roleName": "cloney-s3-credentials-RotatorRole-1A2B"}`),
			trailed("iam", "DeleteRolePolicy", byAdmin, `{"roleName": "cloney-s3-credentials-ProviderRole-1A2B", "policyName": "provider"}`),
			trailed("iam", "DetachRolePolicy", byAdmin, `{"roleName": "cloney-s3-credentials-ProviderRole-1A2B"}`),
			trailed("iam", "PutRolePermissionsBoundary", byAdmin, `{"roleName": "cloney-s3-credentials-ProviderRole-1A2B"}`),
			trailed("iam", "DeleteRolePermissionsBoundary", byAdmin, `{"roleName": "cloney-s3-credentials-ProviderRole-1A2B"}`),
		},
		misses: []string{
			trailed("iam", "CreateAccessKey", byProvider, ofOurUser),
			trailed("iam", "UpdateAccessKey", byRotator, ofOurUser),
			trailed("iam", "TagUser", byProvider, ofOurUser),
			trailed("iam", "CreateUser", byProvider, `{"userName": "x", "path": "/cloney/eu-west-1/"}`),
			trailed("iam", "CreateUser", byAdmin, `{"userName": "x", "path": "/people/"}`),
			trailed("iam", "CreateUser", byAdmin, `{"userName": "x"}`),
			trailed("iam", "CreatePolicyVersion", byAdmin, `{"policyArn": "arn:aws:iam::111122223333:policy/payroll"}`),
			trailed("iam", "CreateRole", byAdmin, `{"roleName": "x", "path": "/service-role/"}`),
			trailed("iam", "GetPolicyVersion", byAdmin, `{"policyArn": "arn:aws:iam::111122223333:policy/cloney/eu-west-1/x-1"}`),
			trailed("iam", "GetRolePolicy", byAdmin, `{"roleName": "cloney-s3-credentials-ProviderRole-1A2B"}`),
			trailed("iam", "PutRolePolicy", byAdmin, `{"roleName": "payroll"}`),
			trailed("iam", "GetUser", byAdmin, ofOurUser),
		},
	},
	"Somebody changes a function": {
		hits: []string{
			trailed("lambda", "UpdateFunctionCode20150331v2", byAdmin, `{"functionName": "cloney-s3-credentials"}`),
			trailed("lambda", "UpdateFunctionConfiguration20150331v2", byAdmin, `{"functionName": "arn:aws:lambda:eu-west-1:111122223333:function:cloney-s3-credentials-rotator"}`),
			trailed("lambda", "AddPermission20150331v2", byAdmin, `{"functionName": "cloney-s3-credentials"}`),
			trailed("lambda", "RemovePermission20150331v2", byAdmin, `{"functionName": "cloney-s3-credentials"}`),
			trailed("lambda", "PutFunctionConcurrency20171031", byAdmin, `{"functionName": "cloney-s3-credentials"}`),
			trailed("lambda", "CreateFunctionUrlConfig", byAdmin, `{"functionName": "cloney-s3-credentials"}`),
			trailed("lambda", "DeleteFunction20150331", byAdmin, `{"functionName": "cloney-s3-credentials"}`),
			trailed("lambda", "PublishVersion20150331", byAdmin, `{"functionName": "cloney-s3-credentials"}`),
			trailed("lambda", "PutResourcePolicy", byStack, `{"resourceArn": "arn:aws:lambda:eu-west-1:111122223333:function:cloney-s3-credentials"}`),
			trailed("lambda", "DeleteResourcePolicy", byAdmin, `{"resourceArn": "arn:aws:lambda:eu-west-1:111122223333:function:cloney-s3-credentials"}`),
		},
		misses: []string{
			trailed("lambda", "UpdateFunctionCode20150331v2", byAdmin, `{"functionName": "billing"}`),
			trailed("lambda", "GetFunction20150331v2", byAdmin, `{"functionName": "cloney-s3-credentials"}`),
			trailed("lambda", "Invoke", byStack, `{"functionName": "cloney-s3-credentials"}`),
		},
	},
	"A function gets the role of the provider or of the rotator": {
		hits: []string{
			trailed("lambda", "CreateFunction20150331", byAdmin, `{"functionName": "billing", "role": "arn:aws:iam::111122223333:role/cloney-provider/cloney-s3-credentials-ProviderRole-1A2B"}`),
			trailed("lambda", "UpdateFunctionConfiguration20150331v2", byAdmin, `{"functionName": "billing", "role": "arn:aws:iam::111122223333:role/cloney-provider/cloney-s3-credentials-RotatorRole-1A2B"}`),
		},
		misses: []string{
			trailed("lambda", "CreateFunction20150331", byAdmin, `{"functionName": "billing", "role": "arn:aws:iam::111122223333:role/billing"}`),
			trailed("lambda", "UpdateFunctionConfiguration20150331v2", byAdmin, `{"functionName": "billing"}`),
			trailed("lambda", "GetFunction20150331v2", byAdmin, `{"functionName": "billing", "role": "arn:aws:iam::111122223333:role/cloney-provider/x"}`),
		},
	},
	"Somebody stops or changes the daily sweep": {
		hits: slices.Concat(
			trailedEach("events", byAdmin, `{"name": "cloney-s3-credentials-SweepSchedule-1A2B"}`, "DeleteRule", "DisableRule", "PutRule"),
			trailedEach("events", byAdmin, `{"rule": "cloney-s3-credentials-SweepSchedule-1A2B"}`, "PutTargets", "RemoveTargets")),
		misses: slices.Concat(
			trailedEach("events", byAdmin, `{"name": "payroll"}`, "DeleteRule", "DisableRule", "PutRule"),
			trailedEach("events", byAdmin, `{"name": "cloney-s3-credentials-SweepSchedule-1A2B"}`, "DescribeRule", "EnableRule")),
	},
	"The provider is invoked directly": {
		hits: []string{
			invoked("cloney-s3-credentials", byAdmin), invoked("cloney-s3-credentials:$LATEST", byAdmin), invoked("cloney-s3-credentials", byUser), invoked("cloney-s3-credentials", byTopic),
		},
		misses: []string{
			invoked("cloney-s3-credentials", byStack), invoked("cloney-s3-credentials-rotator", byAdmin), invoked("billing", byAdmin),
			strings.Replace(invoked("cloney-s3-credentials", byAdmin), `"Invoke"`, `"GetFunction20150331v2"`, 1),
		},
	},
	"Somebody reads or changes a secret": {
		hits: append(trailedEach("secretsmanager", byAdmin, ofSecret, "CancelRotateSecret", "DeleteResourcePolicy", "DeleteSecret", "GetSecretValue", "PutResourcePolicy",
			"PutSecretValue", "ReplicateSecretToRegions", "RestoreSecret", "RotateSecret", "TagResource", "UntagResource", "UpdateSecret", "UpdateSecretVersionStage"),
			trailed("secretsmanager", "GetSecretValue", byUser, byItsName), trailed("secretsmanager", "GetSecretValue", byRoot, ofSecret)),
		misses: []string{
			trailed("secretsmanager", "GetSecretValue", byProvider, ofSecret), trailed("secretsmanager", "PutSecretValue", byRotator, byItsName),
			trailed("secretsmanager", "GetSecretValue", byAdmin, another), trailed("secretsmanager", "DescribeSecret", byAdmin, ofSecret),
		},
	},
	"The provider lets somebody read a secret": {
		hits:   []string{trailed("secretsmanager", "PutResourcePolicy", byProvider, ofSecret), trailed("secretsmanager", "PutResourcePolicy", byProvider, byItsName)},
		misses: []string{trailed("secretsmanager", "PutResourcePolicy", byAdmin, ofSecret), trailed("secretsmanager", "GetSecretValue", byProvider, ofSecret), trailed("secretsmanager", "PutResourcePolicy", byProvider, another)},
	},
	"A key is used for calls that Cloney does not make": {
		hits: []string{
			trailed("sts", "GetSessionToken", byKey, `{}`), trailed("iam", "ListUsers", byKey, `{}`), trailed("s3", "ListBuckets", byKey, `{}`),
			trailed("secretsmanager", "GetSecretValue", byKey, ofSecret),
		},
		misses: []string{
			trailed("sts", "GetCallerIdentity", byKey, `{}`), trailed("s3", "GetBucketLocation", byKey, `{"bucketName": "data"}`), trailed("sts", "GetSessionToken", byUser, `{}`),
			strings.Replace(trailed("s3", "GetObject", byKey, `{"bucketName": "data"}`), `"Management"`, `"Data"`, 1),
		},
	},
}

func trailedEach(service, by, parameters string, names ...string) (events []string) {
	for _, name := range names {
		events = append(events, trailed(service, name, by, parameters))
	}
	return events
}

func TestPastedPatterns(t *testing.T) {
	blocks := pasted(t)
	for title, table := range patterns {
		pattern := readJSON(t, string(blocks[title]))
		for _, event := range table.hits {
			if !hit(t, pattern, readJSON(t, event)) {
				t.Errorf("%s: missed: %s", title, event)
			}
		}
		for _, event := range table.misses {
			if hit(t, pattern, readJSON(t, event)) {
				t.Errorf("%s: hit: %s", title, event)
			}
		}
	}
}

// If any part of a pattern is removed, an event shows it.
func TestMutationsOfPastedPatterns(t *testing.T) {
	blocks := pasted(t)
	for title, table := range patterns {
		for what, pattern := range lessOne(readJSON(t, string(blocks[title]))) {
			told := slices.ContainsFunc(table.hits, func(event string) bool { return !hit(t, pattern, readJSON(t, event)) }) ||
				slices.ContainsFunc(table.misses, func(event string) bool { return hit(t, pattern, readJSON(t, event)) })
			// Each of these names the service once more, which keeps the rule cheap.
			if !told && !strings.HasSuffix(what, "/source") && !strings.HasSuffix(what, "/detail-type") {
				t.Errorf("%s without %s: no event tells", title, what)
			}
		}
	}
}

// lessOne returns the pattern without one of its values, for each value.
func lessOne(pattern map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	for key, value := range pattern {
		put := func(what string, changed any) {
			less := maps.Clone(pattern)
			less[key] = changed
			all["/"+key+what] = less
		}
		switch value := value.(type) {
		case map[string]any:
			for what, changed := range lessOne(value) {
				put(what, changed)
			}
		case []any:
			for i, one := range value {
				if len(value) > 1 {
					put(fmt.Sprintf("/%d", i), slices.Delete(slices.Clone(value), i, i+1))
				}
				if inner, nested := one.(map[string]any); nested && key == "$or" {
					for what, changed := range lessOne(inner) {
						put(fmt.Sprintf("/%d%s", i, what), slices.Concat(value[:i], []any{changed}, value[i+1:]))
					}
				}
			}
		}
		less := maps.Clone(pattern)
		delete(less, key)
		if len(less) > 0 {
			all["/"+key] = less
		}
	}
	return all
}

func readJSON(t *testing.T, text string) (value map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

// hit reports whether a pattern matches an event. It knows the operators that SECURITY.md
// uses, and refuses others.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
func hit(t *testing.T, pattern, event map[string]any) bool {
	t.Helper()
	for key, wanted := range pattern {
		switch wanted := wanted.(type) {
		case map[string]any:
			inner, _ := event[key].(map[string]any)
			if list, is := event[key].([]any); is && len(list) == 1 {
				inner, _ = list[0].(map[string]any)
			}
			if !hit(t, wanted, inner) {
				return false
			}
		case []any:
			if !slices.ContainsFunc(wanted, func(one any) bool {
				if key == "$or" {
					return hit(t, one.(map[string]any), event)
				}
				return matches(t, one, event[key])
			}) {
				return false
			}
		default:
			t.Fatalf("pattern: %s: %v", key, wanted)
		}
	}
	return true
}

// matches reports whether one value of a pattern matches a field, which is nil if it is
// missing.
func matches(t *testing.T, wanted, found any) bool {
	t.Helper()
	text, is := found.(string)
	operator, nested := wanted.(map[string]any)
	if !nested {
		return is && text == wanted.(string)
	}
	if len(operator) != 1 {
		t.Fatalf("pattern: %v", operator)
	}
	for name, value := range operator {
		switch name {
		case "exists":
			return value.(bool) == (found != nil)
		case "prefix":
			return is && strings.HasPrefix(text, value.(string))
		case "wildcard":
			return is && regexp.MustCompile("^"+strings.ReplaceAll(regexp.QuoteMeta(value.(string)), `\*`, ".*")+"$").MatchString(text)
		case "anything-but":
			values, several := value.([]any)
			if !several {
				values = []any{value}
			}
			return is && !slices.ContainsFunc(values, func(one any) bool { return matches(t, one, found) })
		default:
			t.Fatalf("pattern: operator %s is not known", name)
		}
	}
	return false
}
