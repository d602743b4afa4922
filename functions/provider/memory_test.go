package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloney-s3-credentials/internal/edge/edgetest"
)

// half is the secret half of the key, made when it is asked for, so that the
// test itself holds none.
func half() string {
	sum := sha256.Sum256([]byte("a secret access key"))
	return hex.EncodeToString(sum[:])[:40]
}

// cloud is as much of AWS as a Create asks for. It forgets the key.
type cloud struct {
	mu                         sync.Mutex
	user, secret               bool
	userTags, secretTags, seen map[string]string
	version                    struct {
		ClientRequestToken string
		VersionStages      []string
	}
	answer string
}

func (c *cloud) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	var answer edgetest.Answer
	switch form, _ := url.ParseQuery(string(body)); {
	case operation != "":
		answer = c.secrets(operation, body)
	case form.Get("Action") != "":
		operation = form.Get("Action")
		answer = c.iam(operation, form)
	case r.URL.Query().Get("list-type") == "2":
		operation, answer = "ListObjectsV2", edgetest.Answer{Status: 200, Body: "<ListBucketResult></ListBucketResult>"}
	case r.URL.Query().Has("location"):
		operation, answer = "GetBucketLocation", edgetest.Answer{Status: 200, Body: `<?xml version="1.0"?><LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>`}
	default:
		operation, answer = "GetObject", edgetest.Answer{Status: 404, Body: "<Error><Code>NoSuchKey</Code></Error>"}
	}
	c.seen[operation] = fmt.Sprint(answer.Status)
	to.WriteHeader(answer.Status)
	fmt.Fprint(to, answer.Body)
}

func (c *cloud) iam(operation string, form url.Values) edgetest.Answer {
	result := ""
	switch operation {
	case "GetCallerIdentity":
		result = "<Arn>arn:aws:iam::123456789012:user/x</Arn>"
	case "CreateUser":
		c.user, c.userTags = true, map[string]string{}
		for n := 1; form.Get(fmt.Sprintf("Tags.member.%d.Key", n)) != ""; n++ {
			c.userTags[form.Get(fmt.Sprintf("Tags.member.%d.Key", n))] = form.Get(fmt.Sprintf("Tags.member.%d.Value", n))
		}
		fallthrough
	case "GetUser":
		if !c.user {
			return edgetest.QueryError(404, "NoSuchEntity", "none")
		}
		result = "<User><UserId>AIDAU</UserId><UserName>u</UserName><Arn>arn:aws:iam::123456789012:user/u</Arn><Tags>"
		for key, value := range c.userTags {
			result += "<member><Key>" + key + "</Key><Value>" + value + "</Value></member>"
		}
		result += "</Tags></User>"
	case "CreatePolicy":
		result = "<Policy><Arn>arn:aws:iam::123456789012:policy/u-1</Arn></Policy>"
	case "CreateAccessKey":
		// Far behind, where no later answer writes over it in the buffer.
		result = strings.Repeat(" ", 2000) + "<AccessKey><UserName>u</UserName><AccessKeyId>AKIAEXAMPLE</AccessKeyId><Status>Active</Status><SecretAccessKey>" + half() + "</SecretAccessKey></AccessKey>"
	case "ListAccessKeys":
		result = "<AccessKeyMetadata><member><AccessKeyId>AKIAEXAMPLE</AccessKeyId><Status>Active</Status><CreateDate>2026-01-01T00:00:00Z</CreateDate></member></AccessKeyMetadata>"
	}
	return edgetest.Query(operation, result)
}

const secretARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cloney/u-AbCdEf"

func (c *cloud) secrets(operation string, body []byte) edgetest.Answer {
	switch operation {
	case "CreateSecret":
		var asked struct{ Tags []struct{ Key, Value string } }
		_ = json.Unmarshal(body, &asked)
		c.secret, c.secretTags = true, map[string]string{}
		for _, tag := range asked.Tags {
			c.secretTags[tag.Key] = tag.Value
		}
	case "PutSecretValue":
		_ = json.Unmarshal(body, &c.version)
	case "DescribeSecret":
		if !c.secret {
			return edgetest.JSONError(400, "ResourceNotFoundException", "none")
		}
		var tags []map[string]string
		for key, value := range c.secretTags {
			tags = append(tags, map[string]string{"Key": key, "Value": value})
		}
		described, _ := json.Marshal(map[string]any{
			"Name": "cloney/u", "ARN": secretARN, "Tags": tags,
			"VersionIdsToStages": map[string]any{c.version.ClientRequestToken: c.version.VersionStages},
		})
		return edgetest.JSON(string(described))
	}
	return edgetest.JSON(`{"Name": "cloney/u", "ARN": "` + secretARN + `"}`)
}

// After a Create that made and proved a key, nothing that the warm process can
// still reach holds its secret half.
func TestNothingHoldsAKeyAfterTheCall(t *testing.T) {
	aws := &cloud{seen: map[string]string{}}
	cloudFormation := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		aws.answer = string(text)
	}))
	defer cloudFormation.Close()
	t.Setenv("RESPONSE_HOSTS", strings.TrimPrefix(cloudFormation.URL, "http://"))
	// A connection to each service, as on AWS.
	t.Setenv("AWS_ENDPOINT_URL_IAM", "http://iam.test")
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secrets.test")
	cfg, _ := new(edgetest.AWS).OverWire(t, aws)
	env, err := read(os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	handle := serve(cfg, env, slog.New(slog.DiscardHandler))
	event := fmt.Sprintf(`{"RequestType": "Create", "RequestId": "r", "ResponseURL": "%s/answer?X-Amz-Signature=1", "LogicalResourceId": "L",
		"StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/51af3dc0-da77-11e4-872e-1234567db123", "ResourceType": "Custom::CloneyS3Credentials",
		"ResourceProperties": {"Access": "Source", "Buckets": ["one"], "UserName": "u"}}`, cloudFormation.URL)
	if err := handle(t.Context(), json.RawMessage(event)); err != nil || !strings.Contains(aws.answer, "SUCCESS") {
		t.Fatalf("%v, %s", err, aws.answer)
	}
	for _, operation := range []string{"CreateAccessKey", "PutSecretValue", "GetCallerIdentity", "ListObjectsV2", "GetBucketLocation"} {
		if aws.seen[operation] != "200" {
			t.Fatalf("%s was not asked for: %v", operation, slices.Sorted(maps.Keys(aws.seen)))
		}
	}
	edgetest.Forgotten(t, half)
	runtime.KeepAlive(handle)
}
