package reply

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloney-s3-credentials/internal/name"
)

// ErrAddress: the ResponseURL is not one of CloudFormation's. The error says no more,
// because the sender of a forged event may read it.
var ErrAddress = errors.New("the ResponseURL is not at one of CloudFormation's response buckets for this stack's region; nothing was changed, and no response is sent")

// ErrUnbound: the ResponseURL belongs to another event than the one that holds it.
var ErrUnbound = errors.New("the ResponseURL does not belong to the event's StackId, LogicalResourceId and RequestId; nothing was changed, and no response is sent")

// Address is a ResponseURL to which a response may be sent. Like a secret, it does not
// print its value: anyone with its query can respond in the provider's place.
type Address struct {
	url   url.URL
	local bool // it belongs to a local run
}

func (Address) String() string   { return "[response url]" }
func (Address) GoString() string { return "[response url]" }

// ParseAddress reads a ResponseURL. It must be https on the bucket that CloudFormation has
// for responses in the stack's region; or, for local runs, have exactly one of the extra
// hosts.
func ParseAddress(responseURL string, stack name.Stack, extra []string) (Address, error) {
	parsed, err := url.Parse(responseURL)
	if err != nil || parsed.User != nil || parsed.Opaque != "" || parsed.Fragment != "" || parsed.Path == "" {
		return Address{}, ErrAddress
	}
	if local(parsed, extra) {
		return Address{*parsed, true}, nil
	}
	// Letter for letter, because programs differ in how they parse a URL.
	for _, host := range hosts(stack) {
		if parsed.Host == host && strings.HasPrefix(responseURL, "https://"+host+"/") {
			return Address{*parsed, false}, nil
		}
	}
	return Address{}, ErrAddress
}

// Bound reports whether the ResponseURL belongs to this very event: CloudFormation signs
// the URL for an object that it names by the three ids. A forged event for another stack,
// and an event whose ids were changed, has no such URL. AWS shows this form in its
// examples, and promises it nowhere.
// https://docs.aws.amazon.com/lambda/latest/dg/services-cloudformation.html
func (a Address) Bound(stackID, logicalID, requestID string) bool {
	return a.url.Path == "/"+stackID+"|"+logicalID+"|"+requestID
}

// Local reports whether the ResponseURL belongs to a local run, where its path may have any
// form.
func (a Address) Local() bool { return a.local }

// validFor is how long a ResponseURL is valid after CloudFormation has signed it.
const validFor = 2 * time.Hour

// Signed returns when CloudFormation signed the ResponseURL. That is the time of the
// event, even if it is delivered late. The URL has it as X-Amz-Date; a URL of the older
// form has the time at which it expires. ok is false if the URL has neither.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationQueryStringAuth
func (a Address) Signed() (at time.Time, ok bool) {
	query := a.url.Query()
	if at, err := time.Parse("20060102T150405Z", query.Get("X-Amz-Date")); err == nil {
		return at, true
	}
	expires, err := strconv.ParseUint(query.Get("Expires"), 10, 32)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(int64(expires), 0).Add(-validFor).UTC(), true
}

// hosts are the forms in which CloudFormation writes the host of the bucket. All were seen
// in real events. The bucket's name has the region without its hyphens. A region with the
// name of another partition has no hosts: the caller knows its own region, and the
// partition follows from that.
func hosts(stack name.Stack) []string {
	if stack.Region == "" || stack.Partition != name.Partition(stack.Region) {
		return nil
	}
	suffix := name.Suffix(stack.Partition)
	bucket := "cloudformation-custom-resource-response-" + strings.ReplaceAll(stack.Region, "-", "")
	forms := []string{
		bucket + ".s3." + stack.Region + "." + suffix,
		bucket + ".s3-" + stack.Region + "." + suffix,
	}
	if stack.Region == "us-east-1" {
		forms = append(forms, bucket+".s3."+suffix)
	}
	return forms
}

// local reports whether the URL has exactly one of the hosts. A host without a port has
// the default port of the scheme.
func local(u *url.URL, hosts []string) bool {
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if port == "" || u.Hostname() == "" {
		return false
	}
	withPort := func(host string) string {
		if _, _, err := net.SplitHostPort(host); err == nil {
			return host
		}
		return net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	return slices.ContainsFunc(hosts, func(host string) bool { return withPort(host) == withPort(u.Host) })
}
