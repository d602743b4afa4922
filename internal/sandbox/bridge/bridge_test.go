package bridge_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"cloney-s3-credentials/internal/sandbox/bridge"
)

func TestAdmits(t *testing.T) {
	docker := netip.MustParsePrefix("172.17.0.1/16")
	for _, c := range []struct {
		peer string
		want bool
	}{
		{"172.17.0.2", true},
		{"172.17.255.254", true},
		{"::ffff:172.17.0.2", true},
		{"172.17.0.1", false}, // this machine
		{"172.18.0.2", false}, // another bridge
		{"172.16.255.255", false},
		{"192.168.1.7", false},
		{"127.0.0.1", false},
		{"::1", false},
		{"fe80::1", false},
	} {
		if got := bridge.Admits(docker, netip.MustParseAddr(c.peer)); got != c.want {
			t.Errorf("%s: %v", c.peer, got)
		}
	}
}

// The loopback device plays the bridge: 127.0.0.9 is this machine's address on
// it, and what comes from 127.0.0.2 a container.
func TestRelay(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux binds a socket to a device")
	}
	said := make(chan string, 16)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	sandbox, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sandbox.Close()
	go echo(sandbox)
	port := sandbox.Addr().(*net.TCPAddr).Port
	gate := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), uint16(port))
	relay := bridge.Relay{Device: "lo", Port: port, Say: func(format string, _ ...any) { said <- format }}
	go func() {
		relay.At(netip.PrefixFrom(gate.Addr(), 8)).Run(ctx)
		close(ended)
	}()
	<-said

	if got := ask(t, "127.0.0.2", gate); got != "hello" {
		t.Errorf("a peer of the network gets %q", got)
	}
	if got := ask(t, "127.0.0.9", gate); got != "" {
		t.Errorf("the machine itself gets %q", got)
	}
	cancel()
	<-ended
	if connection, err := net.DialTimeout("tcp4", gate.String(), time.Minute); err == nil {
		connection.Close()
		t.Error("it listens on after its end")
	}
}

func echo(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			_, _ = io.Copy(connection, connection)
		}()
	}
}

// ask says hello from an address and returns what comes back.
func ask(t *testing.T, from string, to netip.AddrPort) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Minute}
	connection, err := dialer.Dial("tcp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, _ = io.WriteString(connection, "hello")
	_ = connection.(*net.TCPConn).CloseWrite()
	back, _ := io.ReadAll(connection)
	return string(back)
}
