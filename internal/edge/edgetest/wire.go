package edgetest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"cloney-s3-credentials/internal/edge"
)

const roundTrip = 20 * time.Millisecond

// Wire is connections in memory between the functions' own HTTP client and a
// server, so that both keep and close them as they do on a network, in made-up
// time alone. It counts them.
type Wire struct {
	accepted chan net.Conn
	closed   chan struct{}

	mu           sync.Mutex
	opened, open int
}

// OverWire is Config, but with the functions' own HTTP client, whose every
// connection ends at the handler. A nil handler stands for a itself.
func (a *AWS) OverWire(t *testing.T, handler http.Handler) (aws.Config, *Wire) {
	t.Helper()
	cfg := a.Config(t)
	own := edge.Config()
	w := &Wire{accepted: make(chan net.Conn), closed: make(chan struct{})}
	client, ok := own.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		t.Fatalf("the functions use a %T", own.HTTPClient)
	}
	cfg.HTTPClient = client.WithTransportOptions(func(transport *http.Transport) { transport.DialContext = w.dial })
	cfg.BaseEndpoint = aws.String("http://aws.test")
	if handler == nil {
		handler = http.HandlerFunc(a.serve)
	}
	server := &http.Server{ConnState: w.count, Handler: http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		// As far away as AWS is. To an answer that comes before the client has
		// looked whether its request's body ends there, the SDK loses the connection.
		time.Sleep(roundTrip)
		handler.ServeHTTP(to, r)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(w)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	return cfg, w
}

// Connections are those ever opened, and those that are open.
func (w *Wire) Connections() (opened, open int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opened, w.open
}

func (w *Wire) count(_ net.Conn, state http.ConnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch state {
	case http.StateNew:
		w.opened++
		w.open++
	case http.StateClosed:
		w.open--
	}
}

func (w *Wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.accepted <- there:
		return here, nil
	case <-w.closed:
	case <-ctx.Done():
	}
	return nil, net.ErrClosed
}

// Accept, Close and Addr are net.Listener's.
func (w *Wire) Accept() (net.Conn, error) {
	select {
	case connection := <-w.accepted:
		return connection, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

// Close ends the wire.
func (w *Wire) Close() error {
	close(w.closed)
	return nil
}

// Addr is nowhere.
func (w *Wire) Addr() net.Addr { return &net.TCPAddr{} }

// serve answers a request as Do does; an answer that is none closes the
// connection.
func (a *AWS) serve(to http.ResponseWriter, r *http.Request) {
	response, err := a.Do(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	to.WriteHeader(response.StatusCode)
	_, _ = io.Copy(to, response.Body)
}
