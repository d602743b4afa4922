package confinement_test

import (
	"net/http"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/confinement"
)

// saw gives a recorder one request, signed with the function's key.
func saw(t *testing.T, r *confinement.Recorder, service, method, url, target, body string, status int, answer string) {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAFUNCTION/20261125/eu-west-1/"+service+"/aws4_request, x")
	request.Header.Set("X-Amz-Target", target)
	r.Saw(confinement.Provider, request, []byte(body), status, []byte(answer))
}

// The model reports what it does not know, so that nothing new stays unjudged.
func TestUnknownOperationsAreRefused(t *testing.T) {
	for label, c := range map[string]struct{ service, method, url, target, body string }{
		"iam ListRoles":                      {"iam", "POST", "https://aws.test/", "", "Action=ListRoles"},
		"secretsmanager BatchGetSecretValue": {"secretsmanager", "POST", "https://aws.test/", "secretsmanager.BatchGetSecretValue", "{}"},
		"cloudformation DescribeStacks":      {"cloudformation", "POST", "https://aws.test/", "", "Action=DescribeStacks"},
		"sns Subscribe":                      {"sns", "POST", "https://aws.test/", "", "Action=Subscribe"},
		"events PutRule":                     {"events", "POST", "https://aws.test/", "AWSEvents.PutRule", "{}"},
		"events to other":                    {"events", "POST", "https://aws.test/", "AWSEvents.PutEvents", `{"Entries": [{"EventBusName": "other"}]}`},
		"s3 DELETE":                          {"s3", "DELETE", "https://aws.test/bucket/key", "", ""},
		"Action=AssumeRole&Version=1 to sts": {"sts", "POST", "https://aws.test/", "", "Action=AssumeRole&Version=1"},
		"service dynamodb":                   {"dynamodb", "POST", "https://aws.test/", "DynamoDB.GetItem", "{}"},
	} {
		r := confinement.NewRecorder(ireland)
		saw(t, r, c.service, c.method, c.url, c.target, c.body, 200, "{}")
		if _, err := r.Calls(); err == nil || !strings.Contains(err.Error(), label) {
			t.Errorf("%s: %v", label, err)
		}
	}
}

// A secret that is deleted twice is judged once: the second time there is nothing for IAM
// to decide. If it is created again, it is judged again.
func TestWhatIsGoneIsNotJudged(t *testing.T) {
	r := confinement.NewRecorder(ireland)
	named := `{"SecretId": "cloney/x"}`
	tagged := `{"Name": "cloney/x", "Tags": [{"Key": "cloney:stack-id", "Value": "` + stack(ireland) + `"}]}`
	of := func(operation, body string) {
		t.Helper()
		saw(t, r, "secretsmanager", "POST", "https://aws.test/", "secretsmanager."+operation, body, 200, "{}")
	}
	count := func() int {
		t.Helper()
		calls, err := r.Calls()
		if err != nil {
			t.Fatal(err)
		}
		return len(calls)
	}
	of("CreateSecret", tagged)
	of("DeleteSecret", named)
	before := count()
	of("DeleteSecret", named)
	if count() != before {
		t.Errorf("%d calls, and %d after the secret was gone", before, count())
	}
	of("CreateSecret", tagged)
	of("GetSecretValue", named)
	if count() != before+1 {
		t.Error("the secret that was made anew is not judged")
	}
}
