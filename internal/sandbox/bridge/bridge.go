// Package bridge lets containers reach a port of 127.0.0.1, and nobody else.
//
// On Linux a container of Docker's default bridge knows this machine by the
// bridge's own address, and what listens on 127.0.0.1 is out of its reach. So
// the port is listened on there too, and what comes is passed on. An address
// alone keeps nobody out: Linux takes a packet for any of its addresses from
// any cable. The socket is therefore bound to the bridge as a device, and only
// peers of the bridge's network are let in.
//
// Docker Desktop needs none of it: its host.docker.internal is this machine's
// 127.0.0.1. There is no docker0 then, and nothing is listened on.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// Docker is the device of Docker's default bridge.
const Docker = "docker0"

// look is how often the device is looked for: an engine may start, or start
// again, after us.
const look = time.Second

// Relay passes on what comes from a bridge until the context ends.
type Relay struct {
	Device string
	Port   int                               // there and on 127.0.0.1
	Say    func(format string, about ...any) // is called when something changes

	find func(device string) (netip.Prefix, int, error) // nil: as the system says
}

// Run relays as long as the device is there, and waits for it while it is not.
func (r Relay) Run(ctx context.Context) {
	if r.find == nil {
		r.find = find
	}
	complained := ""
	for ctx.Err() == nil {
		at, index, err := r.find(r.Device)
		if err == nil {
			err = r.serve(ctx, at, index)
		}
		if err != nil && !errors.Is(err, errNoDevice) && err.Error() != complained && ctx.Err() == nil {
			complained = err.Error()
			r.Say("Containers cannot reach the sandbox: %v", err)
		}
		pause(ctx)
	}
}

// errNoDevice: there is no such device, or it is another one than before.
var errNoDevice = errors.New("no such device")

// serve relays on the bridge until the device does not exist any more.
func (r Relay) serve(ctx context.Context, at netip.Prefix, index int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listener, err := listen(ctx, r.Device, netip.AddrPortFrom(at.Addr(), uint16(r.Port)))
	if err != nil {
		return fmt.Errorf("listening on %s: %w", r.Device, err)
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	go func() {
		for ctx.Err() == nil {
			if now, i, err := r.find(r.Device); err != nil || now != at || i != index {
				cancel()
			}
			pause(ctx)
		}
	}()
	r.Say("Containers on %s reach it too, and no other machine does.", r.Device)
	for {
		connection, err := listener.Accept()
		if ctx.Err() != nil {
			return errNoDevice
		}
		if err != nil {
			return err
		}
		if peer, err := netip.ParseAddrPort(connection.RemoteAddr().String()); err != nil || !Admits(at, peer.Addr()) {
			_ = connection.Close()
			continue
		}
		go r.pass(ctx, connection)
	}
}

// Admits reports whether a peer may come in: one of the bridge's network, but
// not this machine itself, which needs no bridge.
func Admits(at netip.Prefix, peer netip.Addr) bool {
	peer = peer.Unmap()
	return at.Masked().Contains(peer) && peer != at.Addr()
}

// pass joins a container's connection with one to 127.0.0.1.
func (r Relay) pass(ctx context.Context, from net.Conn) {
	defer from.Close()
	defer context.AfterFunc(ctx, func() { _ = from.Close() })()
	var dialer net.Dialer
	to, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(r.Port)).String())
	if err != nil {
		return
	}
	defer to.Close()
	there := make(chan struct{})
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.(*net.TCPConn).CloseWrite()
		close(there)
	}()
	_, _ = io.Copy(from, to)
	// A peer that has the whole answer has nothing more to ask.
	_ = from.Close()
	<-there
}

// find returns the device's own address, with its network, and its number.
func find(device string) (netip.Prefix, int, error) {
	found, err := net.InterfaceByName(device)
	if err != nil {
		return netip.Prefix{}, 0, errNoDevice
	}
	addresses, err := found.Addrs()
	if err != nil {
		return netip.Prefix{}, 0, errNoDevice
	}
	for _, address := range addresses {
		if at, err := netip.ParsePrefix(address.String()); err == nil && at.Addr().Is4() {
			return at, found.Index, nil
		}
	}
	return netip.Prefix{}, 0, errNoDevice
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(look):
	}
}
