package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Addresses from which no request on the internet comes. aws:SourceIp is the public
// address that AWS sees.
// https://www.iana.org/assignments/iana-ipv4-special-registry/
// https://www.iana.org/assignments/iana-ipv6-special-registry/
var notPublic = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("224.0.0.0/3"), "multicast or reserved"},
	{netip.MustParsePrefix("::/96"), "unspecified or loopback"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "mapped IPv4"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// sourceIPs returns addresses and CIDRs as a policy takes them, sorted: single
// ones without a length, host bits cleared.
func (r *reader) sourceIPs() []string {
	var ranges []string
	items := r.list("SourceIps")
	// A property that narrows is never ignored: an empty list is a mistake.
	if list, ok := r.properties["SourceIps"].([]any); ok && len(list) == 0 {
		r.refuse("SourceIps", "is an empty list; name the addresses that the requests come from, or leave the property out")
	}
	for _, item := range items {
		prefix, ok := parseRange(item.text)
		if !ok {
			r.wrong(item.property, item.text, "is not an IPv4 or IPv6 address or CIDR; write it like 203.0.113.7 or 203.0.113.0/24")
			continue
		}
		if what := nonPublic(prefix); what != "" {
			r.wrong(item.property, item.text, "%s; write the public addresses that the requests come from", what)
			continue
		}
		if !r.limitAddresses(item, prefix) {
			ranges = append(ranges, written(prefix))
		}
	}
	slices.Sort(ranges)
	return slices.Compact(ranges)
}

// Ranges reads SOURCE_CIDRS: public addresses and CIDRs, comma-separated. A key would
// never work from any other address.
func Ranges(list string) (ranges []netip.Prefix, err error) {
	for _, text := range Patterns(list) {
		prefix, ok := parseRange(text)
		if !ok {
			return nil, fmt.Errorf("%s is not an IPv4 or IPv6 address or CIDR", quote(text))
		}
		if what := nonPublic(prefix); what != "" {
			return nil, fmt.Errorf("%s %s", quote(text), what)
		}
		ranges = append(ranges, prefix)
	}
	return ranges, nil
}

func parseRange(s string) (netip.Prefix, bool) {
	if strings.Contains(s, "/") {
		prefix, err := netip.ParsePrefix(s)
		return prefix.Masked(), err == nil
	}
	address, err := netip.ParseAddr(s)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(address, address.BitLen()), true
}

func nonPublic(prefix netip.Prefix) string {
	if prefix.Bits() == 0 {
		return "is every address, which narrows nothing"
	}
	for _, special := range notPublic {
		if special.prefix.Overlaps(prefix) {
			return "contains " + special.what + " addresses (" + special.prefix.String() + "), which AWS never sees as the source of a request"
		}
	}
	return ""
}

func written(prefix netip.Prefix) string {
	if prefix.IsSingleIP() {
		return prefix.Addr().String()
	}
	return prefix.String()
}
