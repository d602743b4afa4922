package bridge

import "net/netip"

// At has the relay take its device to have that address.
func (r Relay) At(at netip.Prefix) Relay {
	r.find = func(string) (netip.Prefix, int, error) { return at, 1, nil }
	return r
}
