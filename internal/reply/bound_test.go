package reply_test

import (
	"net/url"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/reply"
)

const (
	ofStack   = "arn:aws:cloudformation:eu-west-1:123456789012:stack/m/51af3dc0-da77-11e4-872e-1234567db123"
	ofLogical = "Source"
	ofRequest = "0c8ec1a3-1d8b-4a8a-b5c1-51f8c3a40cf5"
	ofRegion  = bucket + "euwest1.s3.eu-west-1.amazonaws.com"
)

// The forms in which a path can be written that CloudFormation signs: what it escapes
// is its own affair.
func TestAResponseURLOfItsEvent(t *testing.T) {
	plain := "/" + ofStack + "|" + ofLogical + "|" + ofRequest
	for _, path := range []string{
		"/arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3Astack/m/51af3dc0-da77-11e4-872e-1234567db123%7CSource%7C" + ofRequest, // as seen
		"/arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3Astack%2Fm%2F51af3dc0-da77-11e4-872e-1234567db123%7CSource%7C" + ofRequest,
		"/arn%3aaws%3acloudformation%3aeu-west-1%3a123456789012%3astack%2fm%2f51af3dc0-da77-11e4-872e-1234567db123%7cSource%7c" + ofRequest,
		strings.ReplaceAll(plain, "|", "%7C"),
		plain,
	} {
		if !its(t, ofRegion+path+"?X-Amz-Signature=1").Bound(ofStack, ofLogical, ofRequest) {
			t.Errorf("%s is another event's", path)
		}
	}
	// What a request's id may hold.
	if !its(t, ofRegion+"/"+url.PathEscape(ofStack+"|L|a+b:c/d=e")).Bound(ofStack, "L", "a+b:c/d=e") {
		t.Error("a plus is taken for a space")
	}
	for what, path := range map[string]string{
		"another stack":    strings.Replace(plain, "/m/", "/n/", 1),
		"another account":  strings.Replace(plain, "123456789012", "210987654321", 1),
		"another resource": strings.Replace(plain, "|Source", "|Source2", 1),
		"another request":  plain[:len(plain)-1] + "6",
		"more behind":      plain + "/x",
		"more before":      "/x" + plain,
		"two slashes":      "/" + plain,
		"escaped twice":    strings.ReplaceAll(plain, "|", "%257C"),
		"other order":      "/" + ofStack + "|" + ofRequest + "|" + ofLogical,
		"no ids":           "/||",
		"in the query":     "/?" + plain,
		"other case":       strings.Replace(plain, "Source", "source", 1),
		"none":             "/",
	} {
		if its(t, ofRegion+path).Bound(ofStack, ofLogical, ofRequest) {
			t.Errorf("%s: %s is the event's", what, path)
		}
	}
}

// its is an address of CloudFormation's.
func its(t *testing.T, url string) reply.Address {
	t.Helper()
	to, err := reply.ParseAddress(url, stack(t, "aws", "eu-west-1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestLocalAddresses(t *testing.T) {
	if its(t, ofRegion+"/x").Local() || !address(t, "http://responses/x", "responses").Local() {
		t.Error("a local run's address is not told from CloudFormation's")
	}
}

// FuzzBound: of two events, each of other ids, no ResponseURL is both's, however one
// writes it.
func FuzzBound(f *testing.F) {
	f.Add(ofStack, ofLogical, ofRequest, ofLogical+"2", ofRequest)
	f.Add(ofStack, "L", "a+b:c/d=e", "L", "a b:c/d=e")
	f.Add(ofStack, "L", "%7C", "L", "|")
	f.Add(ofStack, "L", "..", "L", "x/../..")
	f.Fuzz(func(t *testing.T, stackID, logical, request, otherLogical, otherRequest string) {
		if _, err := name.ParseStackID(stackID); err != nil || strings.Contains(logical+otherLogical, "|") {
			return // no event that anything is done for
		}
		to, err := reply.ParseAddress("http://responses/"+url.PathEscape(stackID+"|"+logical+"|"+request), name.Stack{}, []string{"responses"})
		if err != nil {
			t.Fatal(err)
		}
		if !to.Bound(stackID, logical, request) {
			t.Errorf("%q, %q, %q: its own URL is another event's", stackID, logical, request)
		}
		same := logical == otherLogical && request == otherRequest
		if to.Bound(stackID, otherLogical, otherRequest) != same || to.Bound(strings.Replace(stackID, "stack/", "stack/x", 1), logical, request) {
			t.Errorf("%q, %q, %q: its URL is also that of %q, %q", stackID, logical, request, otherLogical, otherRequest)
		}
	})
}
