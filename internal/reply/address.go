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

// ErrAddress: the ResponseURL is none of CloudFormation's. The error says no
// more, because whoever made the event up reads it.
var ErrAddress = errors.New("the ResponseURL is not one of CloudFormation's response buckets for this stack's region; nothing was done and nothing is sent")

// ErrUnbound: the ResponseURL is of another event than the one that holds it.
var ErrUnbound = errors.New("the ResponseURL is not that of the event's StackId, LogicalResourceId and RequestId; nothing was done and nothing is sent")

// Address is a ResponseURL that may be answered. Like a secret it cannot print
// itself: who has its query can answer in our place.
type Address struct {
	url   url.URL
	local bool // of a local run
}

func (Address) String() string   { return "[response url]" }
func (Address) GoString() string { return "[response url]" }

// ParseAddress reads a ResponseURL. It must be https on the bucket that
// CloudFormation keeps for responses in the stack's region, or, for local
// runs, name a host of extra exactly.
func ParseAddress(responseURL string, stack name.Stack, extra []string) (Address, error) {
	parsed, err := url.Parse(responseURL)
	if err != nil || parsed.User != nil || parsed.Opaque != "" || parsed.Fragment != "" || parsed.Path == "" {
		return Address{}, ErrAddress
	}
	if local(parsed, extra) {
		return Address{*parsed, true}, nil
	}
	// Letter for letter, so that it does not matter how anyone reads a URL.
	for _, host := range hosts(stack) {
		if parsed.Host == host && strings.HasPrefix(responseURL, "https://"+host+"/") {
			return Address{*parsed, false}, nil
		}
	}
	return Address{}, ErrAddress
}

// Bound reports whether the ResponseURL is of this very event: CloudFormation
// names the object that it signs the URL for by the three ids. Who makes an event up
// for another's stack, or changes what one says it is of, has no such URL. AWS shows
// the form in its examples and promises it nowhere.
// https://docs.aws.amazon.com/lambda/latest/dg/services-cloudformation.html
func (a Address) Bound(stackID, logicalID, requestID string) bool {
	return a.url.Path == "/"+stackID+"|"+logicalID+"|"+requestID
}

// Local reports whether the ResponseURL is of a local run, which names its objects as
// it likes.
func (a Address) Local() bool { return a.local }

// validFor is how long CloudFormation signs a ResponseURL for.
const validFor = 2 * time.Hour

// Signed returns when CloudFormation signed the ResponseURL. That is the time
// of the event, however late it is delivered. The URL says it in X-Amz-Date; a
// URL of the older form says when it expires. ok is false when it says neither.
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

// hosts are the forms in which CloudFormation writes the host of the bucket,
// all seen in real events. The region stands in the bucket's name without its
// hyphens. A region under another partition's name is none: the caller knows its
// own region, and the partition follows from that.
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

// local reports whether the URL names one of the hosts exactly; a host without
// a port means its scheme's own.
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
