package policy_test

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

// Over random valid properties: what they allow is a part of what the plain
// guide would on the same buckets, and the named KMS uses; and each optional
// property, KmsKeyArns aside, only ever takes away.
func TestPropertiesOnlyEverNarrow(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	allowed, narrowed := 0, 0
	for range 400 {
		properties := randomProperties(random)
		mine := accountOf(t, properties)
		plain := accountOf(t, plainly(properties))
		wider := map[string]iamtest.Account{}
		for _, property := range []string{"BucketOwner", "SourceIps", "ExpiresAt", "prefixes"} {
			wider[property] = accountOf(t, without(properties, property))
		}
		for _, request := range randomRequests(t, random, properties) {
			may := iamtest.Evaluate(mine, request).Outcome == iamtest.Allowed
			if !may {
				if iamtest.Evaluate(plain, request).Outcome == iamtest.Allowed {
					narrowed++
				}
				continue
			}
			allowed++
			if keys, _ := properties["KmsKeyArns"].([]any); strings.HasPrefix(request.Action, "kms:") {
				if !named(keys, request.Resource) || !strings.HasPrefix(request.Context["kms:ViaService"][0], "s3.") {
					t.Fatalf("%v allow %+v", properties, request)
				}
			} else if iamtest.Evaluate(plain, request).Outcome != iamtest.Allowed {
				t.Fatalf("%v allow %+v, which the guide does not", properties, request)
			}
			for property, account := range wider {
				if iamtest.Evaluate(account, request).Outcome != iamtest.Allowed {
					t.Fatalf("%v allow %+v, and without %s they do not", properties, request, property)
				}
			}
		}
	}
	if allowed < 2000 || narrowed < 2000 {
		t.Errorf("%d allowed, %d narrowed: the test tests nothing", allowed, narrowed)
	}
}

func named(keys []any, arn string) bool {
	for _, key := range keys {
		if key == arn {
			return true
		}
	}
	return false
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.Intn(len(from))] }

var (
	someBuckets  = []string{"data", "data-2", "logs", "logs.example.com"}
	somePrefixes = []string{"", "", "in/", "in", "in/x/", "in-other/", "*", "a?", "$", "${*}", "é/"}
	someOwners   = []string{"123456789012", "210987654321"}
	someIPs      = []string{"203.0.113.7", "203.0.113.8", "198.51.100.9", "2001:db8::1"}
	someKeys     = []string{keyEurope, keyOther, keyVirginia}
	someTimes    = []time.Time{time.Date(2029, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}
)

func randomProperties(random *rand.Rand) map[string]any {
	properties := map[string]any{"Access": pick[any](random, "Source", "Destination", []any{"Source", "Destination"})}
	var buckets []any
	for range 1 + random.Intn(4) {
		buckets = append(buckets, pick(random, someBuckets...)+"/"+pick(random, somePrefixes...))
	}
	properties["Buckets"] = buckets
	if random.Intn(2) == 0 {
		properties["KmsKeyArns"] = []any{pick(random, someKeys...), pick(random, someKeys...)}
	}
	if random.Intn(3) == 0 {
		properties["BucketOwner"] = pick(random, someOwners...)
	}
	if random.Intn(3) == 0 {
		properties["SourceIps"] = []any{pick(random, "203.0.113.7", "203.0.113.0/24", "198.51.100.8/30", "2001:db8::/32")}
	}
	if random.Intn(3) == 0 {
		properties["ExpiresAt"] = pick(random, someTimes...).Format(time.RFC3339)
	}
	return properties
}

// plainly returns the roles on the buckets alone.
func plainly(properties map[string]any) map[string]any {
	whole := without(properties, "prefixes")
	return map[string]any{"Access": whole["Access"], "Buckets": whole["Buckets"]}
}

func without(properties map[string]any, property string) map[string]any {
	fewer := map[string]any{}
	for key, value := range properties {
		if key != property {
			fewer[key] = value
		}
	}
	if property == "prefixes" {
		var buckets []any
		for _, entry := range properties["Buckets"].([]any) {
			buckets = append(buckets, access.Place(entry.(string)).Bucket())
		}
		fewer["Buckets"] = buckets
	}
	return fewer
}

func accountOf(t *testing.T, properties map[string]any) (account iamtest.Account) {
	t.Helper()
	rules := rulesOf(t, "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1")
	parsed, err := spec.Parse(properties, rules)
	if err != nil {
		t.Fatal(err)
	}
	documents, err := policy.Documents(name.MaxPolicies, parsed.Scope, "aws", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents {
		account.Identity = append(account.Identity, iamtest.MustParse(d.Text))
	}
	return account
}

// randomRequests are near what the properties are about, so that many of them
// are allowed, and many just not.
func randomRequests(t *testing.T, random *rand.Rand, properties map[string]any) (requests []iamtest.Request) {
	objects, buckets := strings.Fields(both+" s3:DeleteObject s3:GetObjectAcl"), strings.Fields(bucket+" s3:ListBucketVersions s3:ListBucketMultipartUploads")
	for range 100 {
		context := map[string][]string{
			"aws:SourceIp": {pick(random, someIPs...)}, "aws:ResourceAccount": {pick(random, someOwners...)},
			"aws:CurrentTime": {pick(random, someTimes...).Format(time.RFC3339)}, "aws:SecureTransport": {fmt.Sprint(random.Intn(2) == 0)},
		}
		// Half of them where access is given, half in any place.
		entry := pick(random, properties["Buckets"].([]any)...).(string)
		if random.Intn(2) == 0 {
			entry = pick(random, someBuckets...) + "/" + pick(random, somePrefixes...)
		}
		place := access.Place(entry)
		key := place.Prefix() + pick(random, "", "key", "x/", "-other/key")
		request := iamtest.Request{Action: pick(random, objects...), Resource: "arn:aws:s3:::" + place.Bucket() + "/" + key, Context: context}
		switch random.Intn(4) {
		case 0:
			request.Action, request.Resource = pick(random, buckets...), "arn:aws:s3:::"+place.Bucket()
			if strings.HasPrefix(request.Action, "s3:ListBucket") && request.Action != "s3:ListBucketMultipartUploads" && random.Intn(4) > 0 {
				context["s3:prefix"] = []string{key}
			}
		case 1:
			request.Action, request.Resource = pick(random, kmsActions(t)...), pick(random, someKeys...)
			if random.Intn(2) == 0 {
				request.Action = pick(random, strings.Fields(encrypt)...)
			}
			context["kms:ViaService"] = []string{pick(random, "s3", "s3", "s3", "secretsmanager") + "." + pick(random, "eu-west-1", "us-east-1") + ".amazonaws.com"}
		}
		requests = append(requests, request)
	}
	return requests
}
