package confinement

import (
	"encoding/xml"
	"fmt"
	"maps"
	"strings"
)

// ofUsers are the operations on a user that need the action of the same name
// on that user, and nothing else.
var ofUsers = map[string]bool{
	"CreateAccessKey": true, "DeleteAccessKey": true, "DeactivateMFADevice": true, "DeleteLoginProfile": true,
	"DeleteServiceSpecificCredential": true, "DeleteSigningCertificate": true, "DeleteSSHPublicKey": true,
	"DeleteUser": true, "DeleteUserPolicy": true, "DetachUserPolicy": true, "AttachUserPolicy": true, "GetAccessKeyLastUsed": true, "GetUser": true,
	"ListAccessKeys": true, "ListAttachedUserPolicies": true, "ListGroupsForUser": true, "ListMFADevices": true,
	"ListServiceSpecificCredentials": true, "ListSigningCertificates": true, "ListSSHPublicKeys": true,
	"ListUserPolicies": true, "TagUser": true, "UntagUser": true, "UpdateAccessKey": true,
}

// ofPolicies are such operations on a policy.
var ofPolicies = map[string]bool{
	"CreatePolicyVersion": true, "DeletePolicy": true, "DeletePolicyVersion": true, "GetPolicy": true,
	"GetPolicyVersion": true, "ListPolicyVersions": true, "TagPolicy": true, "UntagPolicy": true,
}

// withBoundary are the operations whose requests carry the boundary of their user.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
var withBoundary = map[string]bool{"AttachUserPolicy": true, "DetachUserPolicy": true, "DeleteUserPolicy": true}

func (w *wire) iam() {
	user, action := w.form.Get("UserName"), "iam:"+w.operation
	if w.operation == "GetAccessKeyLastUsed" {
		user = w.keys[w.form.Get("AccessKeyId")] // of whom IAM asks
	}
	switch {
	case w.operation == "CreateUser":
		w.createUser(user)
	case w.isDeleted(user):
	case w.operation == "CreatePolicy":
		w.createPolicy()
	case w.operation == "ListUsers", w.operation == "ListPolicies":
		w.needs(action, "*")
	case w.operation == "PutUserPermissionsBoundary":
		w.needs(action, w.userARN(user), with(map[string][]string{}, "iam:PermissionsBoundary", w.form.Get("PermissionsBoundary")), w.tagsOf(w.users[user]))
	case ofUsers[w.operation]:
		context := with(RequestTags(w.formTags()), "iam:PolicyARN", w.form.Get("PolicyArn"))
		if u := w.users[user]; u != nil && withBoundary[w.operation] {
			with(context, "iam:PermissionsBoundary", u.boundary)
		}
		w.needs(action, w.userARN(user), with(context, "aws:TagKeys", w.tagKeys()...), w.tagsOf(w.users[user]))
	case ofPolicies[w.operation]:
		policy := w.form.Get("PolicyArn")
		w.needs(action, policy, with(RequestTags(w.formTags()), "aws:TagKeys", w.tagKeys()...), w.tagsOf(w.policies[policy]))
	default:
		w.refuse("iam %s", w.operation)
	}
	if w.ok {
		w.learn(user)
	}
}

// createUser also needs the right to tag a user without tags.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags_users.html
func (w *wire) createUser(user string) {
	arn, tags := w.Place.ARN("user"+w.form.Get("Path")+user), w.formTags()
	w.needs("iam:CreateUser", arn, with(RequestTags(tags), "iam:PermissionsBoundary", w.form.Get("PermissionsBoundary")))
	if len(tags) > 0 {
		w.needs("iam:TagUser", arn, RequestTags(tags))
	}
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags_customer-managed-policies.html
func (w *wire) createPolicy() {
	arn, tags := w.Place.ARN("policy"+w.form.Get("Path")+w.form.Get("PolicyName")), w.formTags()
	w.needs("iam:CreatePolicy", arn, RequestTags(tags))
	if len(tags) > 0 {
		w.needs("iam:TagPolicy", arn, RequestTags(tags))
	}
}

// userARN is the ARN on which IAM decides: for a user that does not exist, an ARN without a
// path.
func (w *wire) userARN(name string) string {
	if u := w.users[name]; u != nil {
		return u.arn
	}
	return w.Place.ARN("user/" + name)
}

func (w *wire) tagsOf(e *entity) map[string][]string {
	if e == nil {
		return nil
	}
	return ResourceTags(e.tags)
}

func (w *wire) formTags() map[string]string {
	tags := map[string]string{}
	for i := 1; ; i++ {
		member := fmt.Sprintf("Tags.member.%d.", i)
		if !w.form.Has(member + "Key") {
			return tags
		}
		tags[w.form.Get(member+"Key")] = w.form.Get(member + "Value")
	}
}

// tagKeys are the keys that a request sets or removes.
func (w *wire) tagKeys() []string {
	var keys []string
	for i := 1; ; i++ {
		key := w.form.Get(fmt.Sprintf("TagKeys.member.%d", i))
		if key == "" {
			return keys
		}
		keys = append(keys, key)
	}
}

// answers are the parts of IAM's answers that policies depend on.
type answers struct {
	User struct {
		UserName, Arn       string
		Tags                tagList
		PermissionsBoundary struct{ PermissionsBoundaryArn string }
	} `xml:"GetUserResult>User"`
	Policy struct {
		Arn  string
		Tags tagList
	} `xml:"GetPolicyResult>Policy"`
	Made string `xml:"CreatePolicyResult>Policy>Arn"`
	Key  struct {
		UserName, AccessKeyId string
	} `xml:"CreateAccessKeyResult>AccessKey"`
	Keys []struct {
		UserName, AccessKeyId string
	} `xml:"ListAccessKeysResult>AccessKeyMetadata>member"`
}

type tagList struct {
	Members []struct{ Key, Value string } `xml:"member"`
}

func (l tagList) tags() map[string]string {
	tags := map[string]string{}
	for _, m := range l.Members {
		tags[m.Key] = m.Value
	}
	return tags
}

// learn records what an accepted operation shows and changes.
func (w *wire) learn(user string) {
	var a answers
	if err := xml.Unmarshal(w.answer, &a); err != nil {
		w.refuse("an answer to %s: %v", w.operation, err)
	}
	policy := w.form.Get("PolicyArn")
	switch w.operation {
	case "CreateUser":
		delete(w.deleted, user)
		w.users[user] = &entity{
			arn: w.Place.ARN("user" + w.form.Get("Path") + user), tags: w.formTags(),
			boundary: w.form.Get("PermissionsBoundary"), attached: map[string]bool{},
		}
	case "GetUser":
		w.sawUser(a)
	case "DeleteUser":
		delete(w.users, user)
		w.deleted[user] = true
	case "CreatePolicy":
		w.policies[a.Made] = &entity{arn: a.Made, tags: w.formTags(), document: w.form.Get("PolicyDocument")}
	case "GetPolicy":
		w.policy(policy).tags = a.Policy.Tags.tags()
	case "CreatePolicyVersion":
		w.policy(policy).document = w.form.Get("PolicyDocument")
	case "DeletePolicy":
		delete(w.policies, policy)
	case "TagUser", "UntagUser":
		w.retag(w.users[user])
	case "TagPolicy", "UntagPolicy":
		w.retag(w.policies[policy])
	case "PutUserPermissionsBoundary":
		if u := w.users[user]; u != nil {
			u.boundary = w.form.Get("PermissionsBoundary")
		}
	case "AttachUserPolicy", "DetachUserPolicy":
		if u := w.users[user]; u != nil {
			u.attached[policy] = strings.HasPrefix(w.operation, "Attach")
			maps.DeleteFunc(u.attached, func(_ string, attached bool) bool { return !attached })
		}
	case "CreateAccessKey":
		w.keys[a.Key.AccessKeyId] = user
	case "ListAccessKeys":
		for _, key := range a.Keys {
			w.keys[key.AccessKeyId] = user
		}
	}
}

func (w *wire) sawUser(a answers) {
	u := w.users[a.User.UserName]
	delete(w.deleted, a.User.UserName)
	if u == nil {
		u = &entity{attached: map[string]bool{}}
		w.users[a.User.UserName] = u
	}
	u.arn, u.tags = a.User.Arn, a.User.Tags.tags()
	if boundary := a.User.PermissionsBoundary.PermissionsBoundaryArn; boundary != "" {
		u.boundary = boundary
	}
}

func (w *wire) policy(arn string) *entity {
	if w.policies[arn] == nil {
		w.policies[arn] = &entity{arn: arn}
	}
	return w.policies[arn]
}

func (w *wire) retag(e *entity) {
	if e == nil {
		return
	}
	e.tags = maps.Clone(e.tags)
	if e.tags == nil {
		e.tags = map[string]string{}
	}
	maps.Copy(e.tags, w.formTags())
	for _, key := range w.tagKeys() {
		delete(e.tags, key)
	}
}
