package main

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/release/published"
)

const (
	irish    = "cloney-code-111122223333-eu-west-1-an/cloney-s3-credentials/"
	american = "cloney-code-111122223333-us-east-1-an/cloney-s3-credentials/"
)

// zipOf is what is published of a function's code.
func zipOf(code published.Code) string { return code.Function + " for " + code.Architecture }

// one is one of them.
var one = published.Code{Function: "ProviderFunction", Architecture: "x86_64"}

// zipName is the name of a zip in a code bucket.
func zipName(zip string) string {
	return strings.TrimPrefix(published.Checksum(sha256.Sum256([]byte(zip))).Key(), "cloney-s3-credentials/")
}

func TestEveryRegionGetsTheRelease(t *testing.T) {
	aws := newAWS("eu-west-1", "us-east-1")
	r := aws.publish(t, nil)
	if r.err != nil {
		t.Fatal(r.err)
	}
	template, err := os.ReadFile(filepath.Join(r.dir, "provider-1.0.0.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for path, object := range aws.objects {
		got[path] = object.body
	}
	want := map[string]string{}
	for _, bucket := range []string{irish, american} {
		for _, code := range published.Codes() {
			want[bucket+zipName(zipOf(code))] = zipOf(code)
		}
		want[bucket+"provider-1.0.0.yaml"] = string(template)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(r.out, "uploaded"); n != 10 || !strings.Contains(r.out, "wrote ") {
		t.Errorf("%d objects are said to be uploaded:\n%s", n, r.out)
	}
}

// S3 itself has to refuse what would write over an object, what arrives changed,
// and what would go to somebody else's bucket.
func TestEachRequestIsGuarded(t *testing.T) {
	aws := newAWS("eu-west-1", "us-east-1")
	if r := aws.publish(t, nil); r.err != nil {
		t.Fatal(r.err)
	}
	puts := aws.requests(http.MethodPut)
	if len(puts) != 10 {
		t.Errorf("%d PUTs", len(puts))
	}
	for _, r := range puts {
		sum := sha256.Sum256([]byte(aws.objects[strings.TrimPrefix(r.URL.Path, "/")].body))
		if r.Header.Get("If-None-Match") != "*" || r.Header.Get("X-Amz-Checksum-Sha256") != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("%s: %v", r.URL, r.Header)
		}
	}
	heads := aws.requests(http.MethodHead)
	if len(heads) != 12 {
		t.Errorf("%d HEADs: 2 are of buckets, 10 of objects", len(heads))
	}
	for _, r := range append(puts, heads...) {
		if r.Header.Get("X-Amz-Expected-Bucket-Owner") != account {
			t.Errorf("%s %s does not say whose the bucket is", r.Method, r.URL)
		}
	}
	// A template never names a zip that is not there yet, in any region.
	for n, r := range puts {
		if template := strings.HasSuffix(r.URL.Path, ".yaml"); template != (n >= 8) {
			t.Errorf("the PUT %d is of %s", n+1, r.URL.Path)
		}
	}
}

func TestTheSameAgainWritesNothing(t *testing.T) {
	aws := newAWS("eu-west-1", "us-east-1")
	first, again := aws.publish(t, nil), run{}
	if again = aws.publish(t, nil); first.err != nil || again.err != nil {
		t.Fatal(first.err, again.err)
	}
	if puts := aws.requests(http.MethodPut); len(puts) != 0 || strings.Count(again.out, "there already") != 10 {
		t.Errorf("%d PUTs:\n%s", len(puts), again.out)
	}
}

// A crash, or one more region: the same command adds what is missing.
func TestWhatIsMissingIsAdded(t *testing.T) {
	aws := newAWS("eu-west-1", "us-east-1")
	if r := aws.publish(t, nil); r.err != nil {
		t.Fatal(r.err)
	}
	delete(aws.objects, american+zipName(zipOf(one)))
	delete(aws.objects, american+"provider-1.0.0.yaml")
	if r := aws.publish(t, nil); r.err != nil {
		t.Fatal(r.err)
	}
	if puts := aws.requests(http.MethodPut); len(puts) != 2 || len(aws.objects) != 10 {
		t.Errorf("%d PUTs, %d objects", len(puts), len(aws.objects))
	}
}

func TestOtherCodeHasAnotherKey(t *testing.T) {
	aws := newAWS("eu-west-1", "us-east-1")
	if r := aws.publish(t, nil); r.err != nil {
		t.Fatal(r.err)
	}
	before := maps.Clone(aws.objects)
	if r := aws.publish(t, func(p *plan) { p.version, p.zips[one] = "1.0.1", []byte("other") }); r.err != nil {
		t.Fatal(r.err)
	}
	var added []string
	for path, object := range aws.objects {
		if old, there := before[path]; !there {
			added = append(added, path)
		} else if old != object {
			t.Errorf("%s was written over", path)
		}
	}
	slices.Sort(added)
	want := []string{irish + zipName("other"), irish + "provider-1.0.1.yaml", american + zipName("other"), american + "provider-1.0.1.yaml"}
	slices.Sort(want)
	if diff := cmp.Diff(want, added); diff != "" {
		t.Error(diff)
	}
}

func TestADryRunWritesNothing(t *testing.T) {
	aws := newAWS("eu-west-1", "us-east-1")
	r := aws.publish(t, func(p *plan) { p.dryRun = true })
	if r.err != nil {
		t.Fatal(r.err)
	}
	files, err := os.ReadDir(r.dir)
	if err != nil || len(files) != 0 || len(aws.requests(http.MethodPut)) != 0 || len(aws.objects) != 0 {
		t.Errorf("files %v (%v), objects %v", files, err, aws.objects)
	}
	if strings.Count(r.out, "would upload") != 10 || !strings.Contains(r.out, "would write ") {
		t.Errorf("it says:\n%s", r.out)
	}
}

// Whatever is wrong in one region, nothing is written in any, and no file.
func TestWhatIsRefused(t *testing.T) {
	for what, test := range map[string]struct {
		change func(*fakeAWS)
		says   string
	}{
		"no bucket": {
			func(f *fakeAWS) { delete(f.owners, "cloney-code-111122223333-us-east-1-an") },
			"there is no bucket cloney-code-111122223333-us-east-1-an: deploy stacksets/code-bucket.yaml in us-east-1 first",
		},
		"somebody else's": {
			func(f *fakeAWS) { f.owners["cloney-code-111122223333-us-east-1-an"] = "444455556666" },
			"the bucket cloney-code-111122223333-us-east-1-an does not belong to account 111122223333, or you may not list it",
		},
		"in another region": {
			func(f *fakeAWS) { f.regions["cloney-code-111122223333-us-east-1-an"] = "eu-west-1" },
			`the bucket cloney-code-111122223333-us-east-1-an is in region "eu-west-1", and Lambda in us-east-1 cannot take code from it`,
		},
		"a version that was published with other bytes": {
			func(f *fakeAWS) { f.objects[american+"provider-1.0.0.yaml"] = stored{"b3RoZXI=", "other"} },
			"s3://" + american + "provider-1.0.0.yaml has other content than this release: version 1.0.0 was published with other bytes. Publish under a new version",
		},
		"a zip that somebody changed": {
			func(f *fakeAWS) { f.objects[american+zipName(zipOf(one))] = stored{"b3RoZXI=", "other"} },
			"somebody else wrote it",
		},
		"a zip that cannot be compared": {
			func(f *fakeAWS) { f.objects[american+zipName(zipOf(one))] = stored{"", zipOf(one)} },
			"has no SHA-256 checksum",
		},
	} {
		aws := newAWS("eu-west-1", "us-east-1")
		test.change(aws)
		r := aws.publish(t, nil)
		if r.err == nil || !strings.Contains(r.err.Error(), test.says) || strings.Contains(r.err.Error(), "\n") {
			t.Errorf("%s: %v", what, r.err)
		}
		files, err := os.ReadDir(r.dir)
		if puts := aws.requests(http.MethodPut); len(puts) != 0 || err != nil || len(files) != 0 {
			t.Errorf("%s: %d PUTs, files %v (%v)", what, len(puts), files, err)
		}
	}
}

// The SDK repeats a PUT whose answer was lost, and meets its own object.
func TestALostAnswerIsNoFailure(t *testing.T) {
	aws := newAWS("eu-west-1", "us-east-1")
	aws.lost = true
	if r := aws.publish(t, nil); r.err != nil || len(aws.objects) != 10 {
		t.Error(r.err, aws.objects)
	}
}
