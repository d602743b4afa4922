//go:build !linux

package bridge

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// listen opens nothing where a socket cannot be bound to a device.
func listen(context.Context, string, netip.AddrPort) (net.Listener, error) {
	return nil, errors.New("only Linux binds a socket to a device")
}
