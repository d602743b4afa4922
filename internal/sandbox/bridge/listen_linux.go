package bridge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// listen takes only what arrives at the device. Linux lets everyone bind a
// socket so since 5.7, before that root; where it does not, nothing is opened.
func listen(ctx context.Context, device string, at netip.AddrPort) (net.Listener, error) {
	bound := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(socket uintptr) {
			failed = syscall.SetsockoptString(int(socket), syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, device)
		})
		return errors.Join(err, failed)
	}}
	return bound.Listen(ctx, "tcp4", at.String())
}
