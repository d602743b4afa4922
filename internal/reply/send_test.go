package reply_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/reply"
)

func address(t *testing.T, url, host string) reply.Address {
	t.Helper()
	to, err := reply.ParseAddress(url, name.Stack{}, []string{host})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// put is one request that arrived.
type put struct {
	method, uri, body string
	header            http.Header
	length            int64
}

// bucketOf is a response bucket that answers with the statuses in turn, the
// last one for ever; 0 drops the connection. Its connections are in memory, so
// that time may be made up, and none of it passes while an attempt is under way.
func bucketOf(t *testing.T, statuses ...int) (to reply.Address, received func() []put) {
	t.Helper()
	var mu sync.Mutex
	var puts []put
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		puts = append(puts, put{r.Method, r.RequestURI, string(body), r.Header, r.ContentLength})
		status := statuses[min(len(puts), len(statuses))-1]
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		if status >= 300 && status < 400 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	})}
	listener := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	former := http.DefaultTransport
	own := &http.Transport{DialContext: listener.dial}
	http.DefaultTransport = own
	t.Cleanup(func() {
		http.DefaultTransport = former
		own.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
	return address(t, "http://responses.test"+signed, "responses.test"), func() []put {
		mu.Lock()
		defer mu.Unlock()
		return puts
	}
}

// pipes is a network of connections in memory.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.accepted <- there
	return here, nil
}

// Accept, Close and Addr are net.Listener's.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case connection := <-p.accepted:
		return connection, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestOneBodyArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, received := bucketOf(t, 200)
		if err := reply.New().Send(t.Context(), to, failed("x")); err != nil {
			t.Fatal(err)
		}
		puts := received()
		if len(puts) != 1 {
			t.Fatalf("%d requests", len(puts))
		}
		got := puts[0]
		// S3 refuses a signature over another path, query or Content-Type.
		if got.method != http.MethodPut || got.uri != signed || got.body != string(failed("x").Encode()) || got.length != int64(len(got.body)) {
			t.Errorf("%+v", got)
		}
		for _, header := range []string{"Content-Type", "Transfer-Encoding", "Authorization", "Referer"} {
			if _, sent := got.header[header]; sent {
				t.Errorf("%s: %q", header, got.header[header])
			}
		}
	})
}

func TestARefusalIsFinal(t *testing.T) {
	for _, status := range []int{400, 403, 404, 204, 301, 302, 303, 307, 308} {
		synctest.Test(t, func(t *testing.T) {
			to, received := bucketOf(t, status, 200)
			err := reply.New().Send(t.Context(), to, failed("x"))
			if puts := received(); err == nil || len(puts) != 1 {
				t.Errorf("%d: %v after %d requests", status, err, len(puts))
			} else if strings.Contains(err.Error(), "5167a7") || strings.Contains(err.Error(), "elsewhere") {
				t.Errorf("%d: %v", status, err)
			}
		})
	}
}

func TestADroppedConnectionIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, received := bucketOf(t, 0, 200)
		if err := reply.New().Send(t.Context(), to, failed("x")); err != nil {
			t.Error(err)
		}
		if puts := received(); len(puts) < 2 || puts[len(puts)-1].body != string(failed("x").Encode()) || puts[len(puts)-1].uri != signed {
			t.Errorf("%+v", puts)
		}
	})
}

func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := httptest.NewServer(nil)
		server.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := reply.New().Send(ctx, address(t, server.URL+signed, strings.TrimPrefix(server.URL, "http://")), failed("x"))
		if err == nil || strings.Contains(err.Error(), "5167a7") || strings.Contains(err.Error(), "X-Amz") {
			t.Errorf("%v", err)
		}
	})
}

// transport stands for the network where time is made up: every Sender uses
// the default transport.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func network(t *testing.T, f transport) reply.Address {
	t.Helper()
	former := http.DefaultTransport
	http.DefaultTransport = f
	t.Cleanup(func() { http.DefaultTransport = former })
	return address(t, "https://responses.test"+signed, "responses.test")
}

func answer(status int) (*http.Response, error) {
	return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(nil)), Header: http.Header{}}, nil
}

// S3 may be away for a minute: the same body is sent until it is taken, ever
// less often.
func TestAFailingBucketIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		var bodies []string
		started := time.Now()
		to := network(t, func(r *http.Request) (*http.Response, error) {
			at = append(at, time.Since(started))
			body, err := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			switch {
			case len(at) > 8:
				return answer(200)
			case len(at)%2 == 0:
				return nil, errors.New("connection reset by peer")
			}
			_ = err
			return answer(500 + len(at)%4)
		})
		if err := reply.New().Send(t.Context(), to, failed("x")); err != nil {
			t.Error(err)
		}
		ms := func(n time.Duration) time.Duration { return n * time.Millisecond }
		want := []time.Duration{0, ms(250), ms(750), ms(1750), ms(3750), ms(7750), ms(11750), ms(15750), ms(19750)}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Error(diff)
		}
		for i, body := range bodies {
			if body != string(failed("x").Encode()) {
				t.Errorf("attempt %d sent %q", i, body)
			}
		}
	})
}

// S3 gave up waiting for the body: a refusal by its status, but a passing one.
// Anything else that says so is not S3's code.
func TestATimeoutOfS3IsRepeated(t *testing.T) {
	for body, again := range map[string]bool{
		"<?xml version=\"1.0\"?>\n<Error><Code>RequestTimeout</Code><Message>x</Message></Error>":          true,
		"<Error><Code>RequestTimeTooSkewed</Code><Message>RequestTimeout</Message></Error>":                false,
		"<Error><Message>" + strings.Repeat("x", 64<<10) + "</Message><Code>RequestTimeout</Code></Error>": false,
		"<Error><Code>AccessDenied</Code></Error>":                                                         false,
	} {
		synctest.Test(t, func(t *testing.T) {
			attempts := 0
			to := network(t, func(*http.Request) (*http.Response, error) {
				if attempts++; attempts > 1 {
					return answer(200)
				}
				return &http.Response{StatusCode: 400, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
			})
			if err := reply.New().Send(t.Context(), to, failed("x")); (err == nil) != again || (attempts == 2) != again {
				t.Errorf("%.80s: %v after %d attempts", body, err, attempts)
			}
		})
	}
}

// An attempt that hangs does not eat the time of the others.
func TestABucketThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		to := network(t, func(r *http.Request) (*http.Response, error) {
			if attempts++; attempts < 3 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return answer(200)
		})
		if err := reply.New().Send(t.Context(), to, failed("x")); err != nil || attempts != 3 {
			t.Errorf("%v after %d attempts", err, attempts)
		}
	})
}

func TestSendingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := network(t, func(*http.Request) (*http.Response, error) { return answer(503) })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		started := time.Now()
		err := reply.New().Send(ctx, to, failed("x"))
		if took := time.Since(started); err == nil || took > 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}
