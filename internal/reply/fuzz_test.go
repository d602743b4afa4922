package reply_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/reply"
)

// FuzzParseAddress: whatever the event says, what is accepted begins, letter
// for letter, with the address of a bucket of CloudFormation in the stack's
// own partition and region, or with a host of a local run.
func FuzzParseAddress(f *testing.F) {
	const id = "arn:aws:cloudformation:eu-west-1:123456789012:stack/m/51af"
	for _, url := range []string{
		bucket + "euwest1.s3.eu-west-1.amazonaws.com" + signed,
		bucket + "euwest1.s3-eu-west-1.amazonaws.com" + signed,
		bucket + "euwest1.s3.eu-west-1.amazonaws.com/x?X-Amz-Date=20261124T130509Z", bucket + "euwest1.s3.eu-west-1.amazonaws.com/x?Expires=1795532709",
		bucket + "euwest1.s3.eu-west-1.amazonaws.com.evil.example" + signed,
		bucket + "euwest1.s3.eu-west-1.amazonaws.com@evil.example" + signed,
		bucket + "euwest1.s3.eu-west-1.amazonaws.com\\@evil.example" + signed,
		bucket + "euwest1%2es3.eu-west-1.amazonaws.com" + signed,
		"HTTPS" + strings.TrimPrefix(bucket, "https") + "euwest1.s3.eu-west-1.amazonaws.com/?#",
		"http://127.0.0.1:4599/x", "http://responses:80/x", "https://[fd00::1]/x", "http://[::1%25x]:8080/x", "http://user@responses/x", "//responses/x",
	} {
		f.Add(url, id)
	}
	f.Add(bucket+"useast1.s3.amazonaws.com"+signed, strings.Replace(id, "eu-west", "us-east", 1))
	f.Add(bucket+"cnnorth1.s3.cn-north-1.amazonaws.com.cn"+signed, strings.NewReplacer("arn:aws", "arn:aws-cn", "eu-west", "cn-north").Replace(id))
	f.Fuzz(func(t *testing.T, url, stackID string) {
		// The zero stack of an id that is none is what the handler passes on.
		stack, _ := name.ParseStackID(stackID)
		to, err := reply.ParseAddress(url, stack, nil)
		if err == nil && !addresses(url, cloudFormations(stack)) {
			t.Errorf("of stack %q: %q is accepted", stackID, url)
		}
		_, errLocal := reply.ParseAddress(url, stack, []string{"127.0.0.1:4599", "responses", "[::1]:8080", "fd00::1"})
		if errLocal == nil && err != nil && !addresses(url, locals) {
			t.Errorf("in a local run: %q is accepted", url)
		}
		if err == nil && errLocal != nil {
			t.Errorf("a local run refuses %q", url)
		}
		if at, ok := to.Signed(); ok && (at.Year() < 0 || at.Year() > 9999) || !ok && !at.IsZero() {
			t.Errorf("%q was signed at %v, %v", url, at, ok)
		}
		for _, err := range []error{err, errLocal} {
			if err != nil && !errors.Is(err, reply.ErrAddress) {
				t.Errorf("%q: the error says %v", url, err)
			}
		}
	})
}

// The local hosts above, as a URL can write them.
var locals = []string{
	"http://127.0.0.1:4599", "https://127.0.0.1:4599", "http://[::1]:8080", "https://[::1]:8080",
	"http://responses", "http://responses:80", "https://responses", "https://responses:443",
	"http://[fd00::1]", "http://[fd00::1]:80", "https://[fd00::1]", "https://[fd00::1]:443",
}

// cloudFormations are the beginnings of the URLs that CloudFormation gives a
// stack, spelt out once more.
func cloudFormations(stack name.Stack) []string {
	suffix := map[string]string{
		"aws": ".amazonaws.com", "aws-us-gov": ".amazonaws.com", "aws-cn": ".amazonaws.com.cn", "aws-eusc": ".amazonaws.eu",
		"aws-iso": ".c2s.ic.gov", "aws-iso-b": ".sc2s.sgov.gov", "aws-iso-e": ".cloud.adc-e.uk", "aws-iso-f": ".csp.hci.ic.gov",
	}[stack.Partition]
	if suffix == "" {
		return nil
	}
	start := bucket + strings.ReplaceAll(stack.Region, "-", "") + ".s3"
	urls := []string{start + "." + stack.Region + suffix, start + "-" + stack.Region + suffix}
	if stack.Region == "us-east-1" {
		urls = append(urls, start+suffix)
	}
	return urls
}

// addresses reports whether the URL's scheme and authority, up to the slash
// that ends them in anyone's reading, are one of these. No parser is asked.
func addresses(url string, these []string) bool {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return false
	}
	authority, _, slash := strings.Cut(rest, "/")
	return slash && slices.Contains(these, strings.ToLower(scheme)+"://"+authority)
}
