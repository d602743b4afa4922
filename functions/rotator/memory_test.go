package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloney-s3-credentials/internal/edge/edgetest"
)

// madeUp are secrets that are made when they are asked for, so that the test itself
// holds none.
func madeUp(of string) func() string {
	return func() string {
		sum := sha256.Sum256([]byte(of))
		return hex.EncodeToString(sum[:])[:40]
	}
}

var half, rotationToken = madeUp("a secret access key"), madeUp("a rotation token")

const (
	version = "0f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0"
	ofStack = "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/51af3dc0-da77-11e4-872e-1234567db123"
	itsARN  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cloney/u-AbCdEf"
)

// owner are the tags of what belongs to the stack.
var owner = map[string]string{"cloney:stack-id": ofStack, "cloney:logical-id": "L", "cloney:physical-id": "u"}

// account is as much of AWS as createSecret asks for. It forgets the key.
type account struct {
	mu       sync.Mutex
	userTags map[string]string
	labels   []string // of the rotation's version
	seen     map[string]int
}

func (a *account) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var answer edgetest.Answer
	if operation != "" {
		answer = a.secrets(operation, body)
	} else {
		form, _ := url.ParseQuery(string(body))
		operation = form.Get("Action")
		answer = a.iam(operation, form)
	}
	a.seen[operation] = answer.Status
	to.WriteHeader(answer.Status)
	fmt.Fprint(to, answer.Body)
}

func (a *account) iam(operation string, form url.Values) edgetest.Answer {
	switch operation {
	case "GetUser":
		tags := ""
		for key, value := range a.userTags {
			tags += "<member><Key>" + key + "</Key><Value>" + value + "</Value></member>"
		}
		return edgetest.Query(operation, `<User><UserId>AIDAU</UserId><UserName>u</UserName><Arn>arn:aws:iam::123456789012:user/cloney/eu-west-1/u</Arn>
			<PermissionsBoundary><PermissionsBoundaryArn>arn:aws:iam::123456789012:policy/boundary</PermissionsBoundaryArn></PermissionsBoundary><Tags>`+tags+"</Tags></User>")
	case "TagUser":
		a.userTags[form.Get("Tags.member.1.Key")] = form.Get("Tags.member.1.Value")
	case "UntagUser":
		delete(a.userTags, form.Get("TagKeys.member.1"))
	case "ListAccessKeys":
		return edgetest.Query(operation, "<AccessKeyMetadata><member><AccessKeyId>AKIAFORMER0000000001</AccessKeyId><Status>Active</Status><CreateDate>2026-01-01T00:00:00Z</CreateDate></member></AccessKeyMetadata>")
	case "CreateAccessKey":
		// Far behind, where no later answer writes over it in the buffer.
		return edgetest.Query(operation, strings.Repeat(" ", 2000)+"<AccessKey><UserName>u</UserName><AccessKeyId>AKIANEW0000000000001</AccessKeyId><Status>Active</Status><SecretAccessKey>"+half()+"</SecretAccessKey></AccessKey>")
	}
	return edgetest.Query(operation, "")
}

func (a *account) secrets(operation string, body []byte) edgetest.Answer {
	switch operation {
	case "DescribeSecret":
		var tags []map[string]string
		for key, value := range owner {
			tags = append(tags, map[string]string{"Key": key, "Value": value})
		}
		described, _ := json.Marshal(map[string]any{
			"Name": "cloney/u", "ARN": itsARN, "Tags": tags, "RotationEnabled": true, "RotationLambdaARN": own,
			"VersionIdsToStages": map[string]any{"former": []string{"AWSCURRENT", "cloney:serial:1:AKIAFORMER0000000001"}, version: a.labels},
		})
		return edgetest.JSON(string(described))
	case "GetSecretValue":
		return edgetest.JSONError(400, "ResourceNotFoundException", "x")
	case "PutSecretValue":
		var asked struct {
			VersionStages               []string
			RotationToken, SecretString string
		}
		if _ = json.Unmarshal(body, &asked); asked.RotationToken != rotationToken() || !strings.Contains(asked.SecretString, half()) {
			return edgetest.JSONError(400, "InvalidParameterException", "x")
		}
		a.labels = asked.VersionStages
	}
	return edgetest.JSON(`{"Name": "cloney/u", "ARN": "` + itsARN + `"}`)
}

// After a step that made a key, nothing that the warm process can still reach holds its
// secret half, nor the rotation's token. Neither is in the log.
func TestNothingHoldsAKeyAfterTheStep(t *testing.T) {
	tags := maps.Clone(owner)
	tags["cloney:completed"] = "x"
	aws := &account{userTags: tags, labels: []string{"AWSPENDING"}, seen: map[string]int{}}
	// A connection to each service, as on AWS.
	t.Setenv("AWS_ENDPOINT_URL_IAM", "http://iam.test")
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secrets.test")
	cfg, _ := new(edgetest.AWS).OverWire(t, aws)
	var log bytes.Buffer
	handle := serve(cfg, told(t), slog.New(slog.NewTextHandler(&log, nil)))
	event := func() json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"Step": "createSecret", "SecretId": %q, "ClientRequestToken": %q, "RotationToken": %q}`, itsARN, version, rotationToken()))
	}
	if err := handle(t.Context(), event()); err != nil || aws.seen["CreateAccessKey"] != 200 || aws.seen["PutSecretValue"] != 200 {
		t.Fatalf("%v, %v", err, aws.seen)
	}
	for what, secret := range map[string]func() string{"key": half, "token": rotationToken} {
		if strings.Contains(log.String(), secret()) {
			t.Fatalf("the log holds the %s", what)
		}
		edgetest.Forgotten(t, secret)
	}
	if !slices.Contains(aws.labels, "cloney:serial:1:AKIANEW0000000000001") {
		t.Errorf("the key was stored with %v", aws.labels)
	}
	runtime.KeepAlive(handle)
}
