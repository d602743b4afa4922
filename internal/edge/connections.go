package edge

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Closing returns cfg, and a function that closes every connection that was opened with it.
// The buffers of a connection hold what was last sent and received, which can be a key. The
// SDK's own client hides its transport, so this wraps the dialer.
func Closing(cfg aws.Config) (aws.Config, func()) {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return cfg, func() {}
	}
	c := &connections{open: map[*connection]struct{}{}}
	cfg.HTTPClient = client.WithTransportOptions(func(transport *http.Transport) {
		c.dial, transport.DialContext = transport.DialContext, c.dialContext
	})
	return cfg, c.close
}

// connections are the open connections.
type connections struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	mu   sync.Mutex
	open map[*connection]struct{}
}

type connection struct {
	net.Conn
	of *connections
}

func (c *connections) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialled, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	opened := &connection{dialled, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[opened] = struct{}{}
	return opened, nil
}

// Close closes the connection, and removes it from the open ones.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

func (c *connections) close() {
	c.mu.Lock()
	var open []*connection
	for one := range c.open {
		open = append(open, one)
	}
	c.mu.Unlock()
	for _, one := range open {
		_ = one.Close()
	}
}
