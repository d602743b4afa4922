package accesstest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/iamtest"
)

// This is the guide's table, with the uses of a KMS key that the same calls need.
var (
	onBucket = []string{"s3:ListBucket", "s3:GetBucketLocation"}
	onSource = []string{"s3:GetObject", "s3:GetObjectVersion"}
	onTarget = []string{"s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}
	toRead   = []string{"kms:Decrypt"}
	toWrite  = []string{"kms:Decrypt", "kms:GenerateDataKey"}
)

// missing returns a request that the scope's roles need and the user's policies
// do not allow; empty: none.
func (a *Account) missing(user string, scope access.Scope) string {
	texts := a.attached(user)
	question := fmt.Sprintf("%v\n%s", scope, strings.Join(texts, "\n"))
	if answer, ok := judged.Load(question); ok {
		return answer.(string)
	}
	answer := judge(texts, scope)
	judged.Store(question, answer)
	return answer
}

// judged caches results by policies and scope, because many thousand cases ask for the same
// few.
var judged sync.Map

func judge(texts []string, scope access.Scope) (missing string) {
	account := holding(texts)
	for _, request := range needed(scope) {
		if iamtest.Evaluate(account, request).Outcome != iamtest.Allowed {
			return fmt.Sprintf("%s on %s with %v", request.Action, request.Resource, request.Context)
		}
	}
	return ""
}

func holding(texts []string) (account iamtest.Account) {
	for _, text := range texts {
		if policy, err := iamtest.Parse(text); err == nil {
			account.Identity = append(account.Identity, policy)
		}
	}
	return account
}

// excess returns a request on one of the account's buckets that the policies
// allow and the scope has no need of; empty: none.
func (a *Account) excess(user string, scope access.Scope) string {
	texts := a.attached(user)
	question := fmt.Sprintf("%d %v\n%s", len(a.buckets), scope, strings.Join(texts, "\n"))
	if answer, ok := exceeded.Load(question); ok {
		return answer.(string)
	}
	everywhere := access.Scope{Source: true, Destination: true}
	for _, bucket := range slices.Sorted(maps.Keys(a.buckets)) {
		everywhere.Places = append(everywhere.Places, access.Place(bucket))
	}
	wanted := map[string]bool{}
	for _, request := range needed(scope) {
		wanted[request.Action+" "+request.Resource] = true
	}
	account, answer := holding(texts), ""
	for _, request := range needed(everywhere) {
		asked := request.Action + " " + request.Resource
		if !wanted[asked] && iamtest.Evaluate(account, request).Outcome == iamtest.Allowed {
			answer = asked
			break
		}
	}
	exceeded.Store(question, answer)
	return answer
}

// exceeded caches the results of excess.
var exceeded sync.Map

// needed returns requests that represent everything that the scope allows.
func needed(scope access.Scope) (requests []iamtest.Request) {
	usual := usually(scope)
	ask := func(resource string, context map[string][]string, actions ...string) {
		for _, action := range actions {
			requests = append(requests, iamtest.Request{Action: action, Resource: resource, Context: context})
		}
	}
	for _, place := range scope.Places {
		arn := "arn:aws:s3:::" + place.Bucket()
		ask(arn, with(usual, "s3:prefix", place.Prefix()), onBucket[0])
		ask(arn, usual, onBucket[1])
		if scope.Source {
			ask(arn+"/"+place.Prefix()+"key", usual, onSource...)
		}
		if scope.Destination {
			ask(arn+"/"+place.Prefix()+"key", usual, onTarget...)
		}
	}
	for _, key := range scope.KMSKeys {
		through := with(usual, "kms:ViaService", "s3."+strings.Split(key, ":")[3]+".amazonaws.com")
		if scope.Source {
			ask(key, through, toRead...)
		}
		if scope.Destination {
			ask(key, through, toWrite...)
		}
	}
	return requests
}

// usually returns the context of each request for which the scope is meant.
func usually(scope access.Scope) map[string][]string {
	context := map[string][]string{
		"aws:CurrentTime": {"2000-01-01T00:00:00Z"}, "aws:SourceIp": {"203.0.113.7"}, "aws:ResourceAccount": {ID},
		"aws:SecureTransport": {"true"}, "aws:ViaAWSService": {"false"},
	}
	if !scope.ExpiresAt.IsZero() {
		context["aws:CurrentTime"] = []string{scope.ExpiresAt.Add(-time.Second).Format(time.RFC3339)}
	}
	if scope.Owner != "" {
		context["aws:ResourceAccount"] = []string{scope.Owner}
	}
	if len(scope.SourceIPs) > 0 {
		first := scope.SourceIPs[0]
		if prefix, err := netip.ParsePrefix(first); err == nil {
			first = prefix.Addr().String()
		}
		context["aws:SourceIp"] = []string{first}
	}
	return context
}

func with(context map[string][]string, key, value string) map[string][]string {
	extended := map[string][]string{key: {value}}
	for k, v := range context {
		extended[k] = v
	}
	return extended
}

// attached returns the texts of the policies that are attached to the user.
func (a *Account) attached(name string) (texts []string) {
	u := a.users[strings.ToLower(name)]
	if u == nil {
		return nil
	}
	for _, attached := range u.attached {
		if p := a.policies[strings.ToLower(attached)]; p != nil {
			texts = append(texts, p.text())
		}
	}
	return texts
}
