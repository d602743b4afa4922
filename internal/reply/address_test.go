package reply_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/reply"
)

// signed is the path and query of a ResponseURL, as CloudFormation writes them.
const signed = "/arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3Astack/m/51af%7CSource%7C0c8e?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=5167a7"

func stack(t testing.TB, partition, region string) name.Stack {
	t.Helper()
	stack, err := name.ParseStackID("arn:" + partition + ":cloudformation:" + region + ":123456789012:stack/m/51af")
	if err != nil {
		t.Fatal(err)
	}
	return stack
}

const bucket = "https://cloudformation-custom-resource-response-"

func TestCloudFormationsOwnHosts(t *testing.T) {
	for _, c := range []struct{ partition, region, host string }{
		// Seen in real events.
		{"aws", "us-east-1", "useast1.s3.amazonaws.com"},
		{"aws", "us-west-1", "uswest1.s3-us-west-1.amazonaws.com"},
		{"aws", "eu-central-1", "eucentral1.s3.eu-central-1.amazonaws.com"},
		{"aws-cn", "cn-north-1", "cnnorth1.s3.cn-north-1.amazonaws.com.cn"},
		// The same forms where none was seen.
		{"aws", "us-east-1", "useast1.s3.us-east-1.amazonaws.com"},
		{"aws", "eu-west-1", "euwest1.s3-eu-west-1.amazonaws.com"},
		{"aws", "ap-southeast-3", "apsoutheast3.s3.ap-southeast-3.amazonaws.com"},
		{"aws-cn", "cn-northwest-1", "cnnorthwest1.s3.cn-northwest-1.amazonaws.com.cn"},
		{"aws-us-gov", "us-gov-west-1", "usgovwest1.s3.us-gov-west-1.amazonaws.com"},
		{"aws-us-gov", "us-gov-west-1", "usgovwest1.s3-us-gov-west-1.amazonaws.com"},
		{"aws-eusc", "eusc-de-east-1", "euscdeeast1.s3.eusc-de-east-1.amazonaws.eu"},
		{"aws-iso", "us-iso-east-1", "usisoeast1.s3.us-iso-east-1.c2s.ic.gov"},
		{"aws-iso-b", "us-isob-east-1", "usisobeast1.s3.us-isob-east-1.sc2s.sgov.gov"},
		{"aws-iso-e", "eu-isoe-west-1", "euisoewest1.s3.eu-isoe-west-1.cloud.adc-e.uk"},
		{"aws-iso-f", "us-isof-south-1", "usisofsouth1.s3.us-isof-south-1.csp.hci.ic.gov"},
	} {
		if _, err := reply.ParseAddress(bucket+c.host+signed, stack(t, c.partition, c.region), nil); err != nil {
			t.Errorf("%s is refused", c.host)
		}
	}
}

func TestNearMissesAreRefused(t *testing.T) {
	const host = "euwest1.s3.eu-west-1.amazonaws.com"
	ours := stack(t, "aws", "eu-west-1")
	if _, err := reply.ParseAddress(bucket+host+signed, ours, nil); err != nil {
		t.Fatal(err)
	}
	for label, url := range map[string]string{
		"empty":                   "",
		"not a url":               "://",
		"no scheme":               strings.TrimPrefix(bucket, "https:") + host + signed,
		"http":                    strings.Replace(bucket, "https", "http", 1) + host + signed,
		"ftp":                     strings.Replace(bucket, "https", "ftp", 1) + host + signed,
		"file":                    "file:///etc/hosts",
		"opaque":                  strings.Replace(bucket, "//", "", 1) + host + signed,
		"three slashes":           strings.Replace(bucket, "//", "///", 1) + host + signed,
		"another region":          bucket + "uswest2.s3.us-west-2.amazonaws.com" + signed,
		"a region's bucket there": bucket + "euwest1.s3.us-west-2.amazonaws.com" + signed,
		"another region's bucket": bucket + "uswest2.s3.eu-west-1.amazonaws.com" + signed,
		"region with hyphens":     bucket + "eu-west-1.s3.eu-west-1.amazonaws.com" + signed,
		"global, elsewhere":       bucket + "euwest1.s3.amazonaws.com" + signed,
		"another partition":       bucket + host + ".cn" + signed,
		"another bucket":          "https://my-bucket.s3.eu-west-1.amazonaws.com" + signed,
		"path style":              "https://s3.eu-west-1.amazonaws.com/cloudformation-custom-resource-response-euwest1" + signed,
		"bucket of another name":  "https://x-cloudformation-custom-resource-response-" + host + signed,
		"subdomain":               "https://x.cloudformation-custom-resource-response-" + host + signed,
		"longer bucket":           bucket + "euwest1x.s3.eu-west-1.amazonaws.com" + signed,
		"dot in the bucket":       bucket + "euwest1.x.s3.eu-west-1.amazonaws.com" + signed,
		"look-alike end":          bucket + host + ".evil.example" + signed,
		"look-alike domain":       bucket + "euwest1.s3.eu-west-1.amazonaws.com-evil.example" + signed,
		"look-alike service":      bucket + "euwest1.s3xeu-west-1.amazonaws.com" + signed,
		"dualstack":               bucket + "euwest1.s3.dualstack.eu-west-1.amazonaws.com" + signed,
		"website":                 bucket + "euwest1.s3-website-eu-west-1.amazonaws.com" + signed,
		"user":                    strings.Replace(bucket, "//", "//user@", 1) + host + signed,
		"user and password":       strings.Replace(bucket, "//", "//user:pass@", 1) + host + signed,
		"host as user":            bucket + host + "@evil.example" + signed,
		"host and port as user":   bucket + host + ":443@evil.example" + signed,
		"port":                    bucket + host + ":8443" + signed,
		"the usual port":          bucket + host + ":443" + signed,
		"empty port":              bucket + host + ":" + signed,
		"upper case":              bucket + strings.ToUpper(host) + signed,
		"trailing dot":            bucket + host + "." + signed,
		"fragment":                bucket + host + signed + "#x",
		"fragment for a path":     bucket + host + "#" + signed,
		"backslash":               bucket + host + `\@evil.example` + signed,
		"backslash first":         `https:\\evil.example/` + host + signed,
		"escaped host":            bucket + "euwest1%2es3.eu-west-1.amazonaws.com" + signed,
		"escaped slash":           "https://evil.example%2f." + host + signed,
		"empty path":              bucket + host,
		"query alone":             bucket + host + "?X-Amz-Signature=5167a7",
		"space":                   " " + bucket + host + signed,
		"newline":                 bucket + host + signed + "\n",
		"nul":                     bucket + host + "\x00" + signed,
		"metadata":                "http://169.254.169.254/latest/meta-data",
		"localhost":               "https://localhost/x",
	} {
		_, err := reply.ParseAddress(url, ours, nil)
		if !errors.Is(err, reply.ErrAddress) {
			t.Errorf("%s: %v: %s", label, err, url)
		} else if strings.Contains(err.Error(), "5167a7") || strings.Contains(err.Error(), "evil") {
			t.Errorf("%s: the error says %v", label, err)
		}
	}
	// Without a stack, and in a partition that nobody knows, there is no host.
	for label, other := range map[string]name.Stack{"no stack": {}, "no region": {Partition: "aws"}, "new partition": {Partition: "aws-moon", Region: "eu-west-1"}} {
		if _, err := reply.ParseAddress(bucket+host+signed, other, nil); err == nil {
			t.Errorf("%s: accepted", label)
		}
	}
}

// CloudFormation signs for two hours, in the older form with the end of them.
func TestWhenAnAddressWasSigned(t *testing.T) {
	at := time.Date(2026, 11, 24, 13, 5, 9, 0, time.UTC)
	for query, want := range map[string]time.Time{
		"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261124T130509Z&X-Amz-Expires=7200": at,
		"?X-Amz-Date=20261124T130509%5A":                      at,
		"?AWSAccessKeyId=AKIA&Expires=1795532709&Signature=x": at,
		"?X-Amz-Date=20261124T130509Z&Expires=1":              at,
		"?X-Amz-Date=24.11.2026&Expires=1795532709":           at,
		"?Expires=7200":                    time.Unix(0, 0).UTC(),
		"":                                 {},
		"?":                                {},
		"?X-Amz-Signature=5167a7":          {},
		"?X-Amz-Date=":                     {},
		"?X-Amz-Date=20261124T130509":      {},
		"?X-Amz-Date=20261124T130509+0100": {},
		"?X-Amz-Date=20261324T130509Z":     {},
		"?X-Amz-Date=2026-11-24T13:05:09Z": {},
		"?x-amz-date=20261124T130509Z":     {},
		"?Expires=":                        {},
		"?Expires=1795532709.5":            {},
		"?Expires=-1795532709":             {},
		"?Expires=+1795532709":             {},
		"?Expires=9223372036854775807":     {},
		"?Expires=0x6b054b05":              {},
		"?Expires=99999999999999999999":    {},
		"?Expires=1795532709;X-Amz-Date=20261124T130509Z": {},
		"?X-Amz-Date=%zz": {},
	} {
		got, ok := address(t, "https://responses.test/x"+query, "responses.test").Signed()
		if ok == want.IsZero() || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v", query, got, ok)
		}
	}
}

func TestHostsOfLocalRuns(t *testing.T) {
	hosts := []string{"127.0.0.1:4599", "responses", "[::1]:8080", "fd00::1"}
	for url, want := range map[string]bool{
		"http://127.0.0.1:4599/x":       true,
		"https://127.0.0.1:4599/x":      true,
		"http://127.0.0.1:4599/":        true,
		"http://responses/x":            true,
		"http://responses:80/x":         true,
		"https://responses/x":           true,
		"https://responses:443/x":       true,
		"http://[::1]:8080/x":           true,
		"http://[fd00::1]/x":            true,
		"https://[fd00::1]:443/x":       true,
		"http://127.0.0.1/x":            false,
		"http://127.0.0.1:45990/x":      false,
		"http://127.0.0.1:459/x":        false,
		"http://127.0.0.2:4599/x":       false,
		"http://responses:443/x":        false,
		"https://responses:80/x":        false,
		"http://responses:8080/x":       false,
		"http://responses:/x":           false,
		"http://responses./x":           false,
		"http://RESPONSES/x":            false,
		"http://xresponses/x":           false,
		"http://responses.evil/x":       false,
		"http://[::1]/x":                false,
		"http://[::1]:80/x":             false,
		"ftp://responses/x":             false,
		"ws://127.0.0.1:4599/x":         false,
		"http://user@responses/x":       false,
		"http://responses/x#y":          false,
		"http://responses":              false,
		"http:///x":                     false,
		"//responses/x":                 false,
		"http://127.0.0.1:4599@evil/x":  false,
		"http://127.0.0.1:4599%2f@ev/x": false,
	} {
		_, err := reply.ParseAddress(url, name.Stack{}, hosts)
		if (err == nil) != want {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, empty := range [][]string{nil, {""}, {":80"}, {":"}} {
		for _, url := range []string{"http:///x", "http://:80/x", "http://x/x"} {
			if _, err := reply.ParseAddress(url, name.Stack{}, empty); err == nil {
				t.Errorf("%q lets %s in", empty, url)
			}
		}
	}
}

func TestAnAddressCannotPrintItself(t *testing.T) {
	address, err := reply.ParseAddress(bucket+"euwest1.s3.eu-west-1.amazonaws.com"+signed, stack(t, "aws", "eu-west-1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+"\n", address)
		fmt.Fprintf(&out, verb+"\n", &address)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "address", address)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "address", address)
	if strings.Contains(out.String(), "5167a7") || strings.Contains(out.String(), fmt.Sprintf("%x", "5167a7")) {
		t.Errorf("the query was printed:\n%s", out.String())
	}
}
