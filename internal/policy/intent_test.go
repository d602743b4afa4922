package policy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/iamtest"
)

// What a role may do: the guide's table, and the KMS uses of the same calls.
const (
	locate  = "s3:GetBucketLocation"
	list    = "s3:ListBucket"
	read    = "s3:GetObject s3:GetObjectVersion"
	write   = "s3:PutObject s3:PutObjectAcl s3:AbortMultipartUpload s3:ListMultipartUploadParts"
	decrypt = "kms:Decrypt"
	encrypt = "kms:Decrypt kms:GenerateDataKey"
	nothing = ""
)

const (
	bucket = locate + " " + list
	both   = read + " " + write
)

// intent is what a golden policy is meant to allow, written by hand. Rows are
// buckets, "bucket?prefix" for a list with that prefix, objects, and key ARNs.
// Every action of S3 and KMS that a row does not name is meant to be denied.
type intent struct {
	rows map[string]string
	// What is withheld from a request that is not the usual one, beside what
	// always is: nothing, "s3" or "s3 kms".
	withheld map[string]string
}

// A request that is not the usual one, by what is different. What a policy
// with conditions should stop, one without them lets through.
var unusual = map[string]map[string]string{
	"from another address":           {"aws:SourceIp": "192.0.2.1"},
	"from a neighbouring address":    {"aws:SourceIp": "203.0.113.8"},
	"from an IPv6 address":           {"aws:SourceIp": "2001:db8::17"},
	"through a VPC endpoint":         {"aws:SourceIp": ""},
	"a second before the end":        {"aws:CurrentTime": "2030-01-31T16:59:59Z"},
	"at the end":                     {"aws:CurrentTime": "2030-01-31T17:00:00Z"},
	"on a bucket that changed hands": {"aws:ResourceAccount": "999999999999"},
	// The boundary stops this one, and whatever else a policy might allow.
	"over plain HTTP": {"aws:SecureTransport": "false"},

	"of KMS itself":           {"kms:ViaService": ""},
	"through another service": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"},
	"through another region":  {"kms:ViaService": "s3.eu-west-2.amazonaws.com"},
	"through a service alike": {"kms:ViaService": "s3.eu-west-1.amazonaws.com.example.org"},
}

// KMS keys are for S3 alone, in whatever case.
var alwaysWithheld = map[string]string{"of KMS itself": "kms", "through another service": "kms", "through another region": "kms", "through a service alike": "kms"}

const (
	keyEurope   = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	keyOther    = "arn:aws:kms:eu-west-1:123456789012:key/00000000-12ab-34cd-56ef-1234567890ab"
	keyVirginia = "arn:aws:kms:us-east-1:210987654321:key/mrk-1234abcd12ab34cd56ef1234567890ab"
)

// within are rows of a bucket of which only keys that begin with in/ are meant.
func within(objects string) map[string]string {
	return map[string]string{
		"data-lake":                locate,
		"data-lake?":               nothing,
		"data-lake?i":              nothing,
		"data-lake?in":             nothing,
		"data-lake?in/":            list,
		"data-lake?in/deep/":       list,
		"data-lake?in-other/":      nothing,
		"data-lake?In/":            nothing,
		"data-lake/in/key":         objects,
		"data-lake/in/deep/*?$key": objects,
		"data-lake/in/":            objects,
		"data-lake/in":             nothing,
		"data-lake/in-other/key":   nothing,
		"data-lake/x/in/key":       nothing,
		"data-lake/*":              nothing,
		"data-lake-2":              nothing,
		"data-lake-2?in/":          nothing,
		"data-lake-2/in/key":       nothing,
		"other":                    nothing,
		"other/in/key":             nothing,
	}
}

// wholly are rows of whole buckets.
func wholly(objects string, buckets ...string) map[string]string {
	rows := map[string]string{"other": nothing, "other?": nothing, "other/key": nothing, keyEurope: nothing}
	for _, name := range buckets {
		maps.Copy(rows, map[string]string{
			name:                bucket,
			name + "?":          list,
			name + "?in/":       list,
			name + "/key":       objects,
			name + "/*?$":       objects,
			name + "/in/a/b":    objects,
			name + "-2":         nothing,
			name + "-2/key":     nothing,
			"x" + name + "/key": nothing,
		})
	}
	return rows
}

func and(rows ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, some := range rows {
		maps.Copy(all, some)
	}
	return all
}

var (
	noAddress = map[string]string{"from another address": "s3", "from a neighbouring address": "s3", "from an IPv6 address": "s3", "through a VPC endpoint": "s3"}
	noOwner   = map[string]string{"on a bucket that changed hands": "s3"}
	noEnd     = map[string]string{"at the end": "s3 kms"}
)

var intents = map[string]intent{
	"source-one":        {rows: wholly(read, "data-lake")},
	"source-three":      {rows: wholly(read, "data-lake", "photos", "logs.example.com")},
	"destination-one":   {rows: wholly(write, "archive")},
	"destination-three": {rows: wholly(write, "archive", "photos-copy", "logs.example.com")},
	"both-one":          {rows: wholly(both, "data-lake")},
	"both-three":        {rows: wholly(both, "data-lake", "photos", "logs.example.com")},

	"prefix-source":      {rows: within(read)},
	"prefix-destination": {rows: within(write)},
	"prefix-without-slash": {rows: map[string]string{
		"data-lake": locate, "data-lake?": nothing, "data-lake?i": nothing,
		"data-lake?in": list, "data-lake?in/": list, "data-lake?in-other/": list, "data-lake?out": nothing,
		"data-lake/in": read, "data-lake/in/key": read, "data-lake/in-other/key": read, "data-lake/i": nothing, "data-lake/out/in": nothing,
	}},
	"prefix-of-wildcards": {rows: map[string]string{
		"data-lake": locate, "data-lake?": nothing,
		"data-lake?a*b?c${aws:username}/": list, "data-lake?a*b?c${aws:username}/x": list,
		"data-lake?axbxc${aws:username}/": nothing, "data-lake?a*b?canna/": nothing, "data-lake?a*b?c": nothing,
		"data-lake/a*b?c${aws:username}/key": both, "data-lake/a*b?c${aws:username}/*": both,
		"data-lake/axxb?c${aws:username}/key": nothing, "data-lake/a*bxc${aws:username}/key": nothing, "data-lake/a*b?canna/key": nothing, "data-lake/ab?c${aws:username}/key": nothing,
	}},
	"prefix-of-odd-characters": {rows: map[string]string{
		"data-lake": locate, "data-lake?": nothing, `data-lake?<ü> & "q" \/`: list, `data-lake?<u> & "q" \/`: nothing,
		`data-lake/<ü> & "q" \/key`: read, `data-lake/<ü> & "q" \`: nothing, `data-lake/<ü>`: nothing,
	}},
	"prefixes-of-one-bucket": {rows: and(within(read), map[string]string{
		"data-lake?archive/2025/": list, "data-lake?archive/": nothing, "data-lake?archive/2025": nothing,
		"data-lake/archive/2025/key": read, "data-lake/archive/2024/key": nothing, "data-lake/in/archive/2025/key": read,
	})},
	"prefix-of-many-buckets": {rows: and(within(write), map[string]string{
		"logs": locate, "logs?in/": list, "logs?out/": nothing, "logs/in/key": write, "logs/out/key": nothing,
		"media": locate, "media?out/": list, "media?in/": nothing, "media/out/key": write, "media/in/key": nothing, "data-lake?out/": nothing, "data-lake/out/key": nothing,
	})},
	"prefix-and-whole-bucket": {rows: and(wholly(both, "logs"), within(both))},
	"overlapping":             {rows: and(wholly(read, "logs"), within(read))},

	"legacy-names": {rows: and(wholly(read, "ABCD_Central_1"), map[string]string{"abcd_central_1": nothing, "abcd_central_1?": nothing, "abcd_central_1/key": nothing, "ABCD-Central-1/key": nothing})},

	"kms-source":      {rows: and(wholly(read, "data-lake"), map[string]string{keyEurope: decrypt, keyOther: nothing, keyVirginia: nothing})},
	"kms-destination": {rows: and(wholly(write, "data-lake"), map[string]string{keyEurope: encrypt, keyOther: nothing, keyVirginia: nothing})},
	"kms-two-regions": {rows: and(wholly(both, "data-lake"), map[string]string{keyEurope: encrypt, keyVirginia: encrypt, keyOther: nothing, strings.Replace(keyEurope, "eu-west-1", "us-east-1", 1): nothing})},

	"owner": {rows: wholly(read, "data-lake"), withheld: noOwner},
	"addresses": {rows: wholly(write, "data-lake"), withheld: map[string]string{
		"from another address": "s3", "from a neighbouring address": "s3", "through a VPC endpoint": "s3",
	}},
	"end": {rows: wholly(read, "data-lake"), withheld: noEnd},
	// S3 calls KMS from addresses of its own.
	"addresses-and-kms": {rows: and(within(read), map[string]string{keyEurope: decrypt}), withheld: noAddress},
	"everything": {rows: and(wholly(both, "logs"), within(both), map[string]string{keyEurope: encrypt, keyOther: nothing}),
		withheld: and(noOwner, noEnd, map[string]string{"from another address": "s3", "from an IPv6 address": "s3", "through a VPC endpoint": "s3"})},

	"partition-aws-cn":     {rows: and(within(read), map[string]string{"arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab": decrypt})},
	"partition-aws-us-gov": {rows: and(wholly(write, "data-lake"), map[string]string{"arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab": encrypt})},
	"partition-aws-eusc":   {rows: and(wholly(read, "data-lake"), map[string]string{"arn:aws-eusc:kms:eusc-de-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab": decrypt})},
	"partition-aws-iso":    {rows: and(wholly(read, "data-lake"), map[string]string{"arn:aws-iso:kms:us-iso-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab": decrypt})},
	"partition-aws-iso-b":  {rows: and(wholly(read, "data-lake"), map[string]string{"arn:aws-iso-b:kms:us-isob-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab": decrypt})},
	"partition-aws-iso-e":  {rows: and(wholly(read, "data-lake"), map[string]string{"arn:aws-iso-e:kms:eu-isoe-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab": decrypt})},
	"partition-aws-iso-f":  {rows: and(wholly(read, "data-lake"), map[string]string{"arn:aws-iso-f:kms:us-isof-south-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab": decrypt})},
}

// endpoints are the S3 that KMS sees as the caller, by region; written by hand.
var endpoints = map[string]string{
	"eu-west-1": "s3.eu-west-1.amazonaws.com", "us-east-1": "s3.us-east-1.amazonaws.com", "cn-north-1": "s3.cn-north-1.amazonaws.com.cn",
	"us-gov-west-1": "s3.us-gov-west-1.amazonaws.com", "eusc-de-east-1": "s3.eusc-de-east-1.amazonaws.eu",
	"us-iso-east-1": "s3.us-iso-east-1.c2s.ic.gov", "us-isob-east-1": "s3.us-isob-east-1.sc2s.sgov.gov",
	"eu-isoe-west-1": "s3.eu-isoe-west-1.cloud.adc-e.uk", "us-isof-south-1": "s3.us-isof-south-1.csp.hci.ic.gov",
}

// Each golden policy allows what its intent says: every action of S3 and KMS,
// on each row, in each kind of request.
func TestGoldenPoliciesAllowWhatTheyAreMeantTo(t *testing.T) {
	asked, allowed := 0, 0
	for _, name := range goldens(t) {
		intent, written := intents[name]
		if !written {
			t.Errorf("%s: no intent is written", name)
			continue
		}
		text, err := os.ReadFile(filepath.Join("testdata", name, "policy.json"))
		if err != nil {
			t.Fatal(err)
		}
		account := iamtest.Account{Identity: []*iamtest.Policy{iamtest.MustParse(string(text))}}
		for row, actions := range intent.rows {
			for kind := range requests() {
				for _, request := range asking(t, partitionOf(t, name), row, kind) {
					service, _, _ := strings.Cut(request.Action, ":")
					want := slices.Contains(strings.Fields(actions), request.Action) &&
						!strings.Contains(intent.withheld[kind]+alwaysWithheld[kind], service)
					asked++
					if want {
						allowed++
					}
					if got := iamtest.Evaluate(account, request); (got.Outcome == iamtest.Allowed) != want {
						t.Errorf("%s: %s on %s, %s: %v, meant to be allowed: %v", name, request.Action, row, kind, got, want)
					}
				}
			}
		}
	}
	for name := range intents {
		if !slices.Contains(goldens(t), name) {
			t.Errorf("no golden policy for the intent %s", name)
		}
	}
	t.Logf("%d requests, of which %d are meant to be allowed", asked, allowed)
}

func requests() map[string]map[string]string {
	return merged(unusual, map[string]map[string]string{"usual": nil})
}

func merged(a, b map[string]map[string]string) map[string]map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// asking are all requests of one row.
func asking(t *testing.T, partition, row, kind string) (requests []iamtest.Request) {
	context := map[string][]string{
		"aws:SourceIp": {"203.0.113.7"}, "aws:CurrentTime": {"2029-06-01T12:00:00Z"}, "aws:ResourceAccount": {"210987654321"}, "aws:SecureTransport": {"true"},
	}
	resource, actions := "arn:"+partition+":s3:::"+row, s3Actions(t)
	name, prefix, listed := strings.Cut(row, "?")
	switch {
	case strings.HasPrefix(row, "arn:"):
		resource, actions = row, kmsActions(t)
		context["kms:ViaService"] = []string{endpoints[strings.Split(row, ":")[3]]}
	case listed && !strings.Contains(name, "/"):
		// The only ones that S3 gives this key to.
		resource, actions = "arn:"+partition+":s3:::"+name, []string{"s3:ListBucket", "s3:ListBucketVersions"}
		context["s3:prefix"] = []string{prefix}
	}
	for key, value := range unusual[kind] {
		delete(context, key)
		// An action of S3 never comes with KMS's key.
		if value != "" && (key != "kms:ViaService" || strings.HasPrefix(row, "arn:")) {
			context[key] = []string{value}
		}
	}
	for _, action := range actions {
		requests = append(requests, iamtest.Request{Action: action, Resource: resource, Context: context})
	}
	return requests
}

// s3Actions and kmsActions are all actions there are.
func s3Actions(t *testing.T) []string  { return actions(t, "s3", 150) }
func kmsActions(t *testing.T) []string { return actions(t, "kms", 50) }

func actions(t *testing.T, service string, fewest int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("testdata/%s-actions.txt", service))
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(string(text))
	if len(all) < fewest {
		t.Fatalf("only %d actions", len(all))
	}
	return all
}
