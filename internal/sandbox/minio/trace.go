package minio

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"sync"
)

// Trace is a proxy before a server that records the requests of a client. It uses TLS like
// AWS, because without TLS some clients sign and send requests in another way.
type Trace struct {
	URL    string
	server *httptest.Server

	mu       sync.Mutex
	requests []Request
}

// Request is a request of a client, with the status of the answer.
type Request struct {
	Method string
	Path   string // bucket and key, decoded
	Query  url.Values
	Status int
}

// Trace starts a trace. Close it.
func (s *Server) Trace() (*Trace, error) {
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, err
	}
	t := &Trace{}
	t.server = httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: t.note,
	})
	t.URL = t.server.URL
	return t, nil
}

func (t *Trace) note(answer *http.Response) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked := answer.Request
	t.requests = append(t.requests, Request{asked.Method, asked.URL.Path, asked.URL.Query(), answer.StatusCode})
	return nil
}

// Requests since the last call.
func (t *Trace) Requests() []Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	requests := slices.Clone(t.requests)
	t.requests = nil
	return requests
}

// WriteCertificate writes the certificate that a client must trust.
func (t *Trace) WriteCertificate(file string) error {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: t.server.Certificate().Raw})
	return os.WriteFile(file, text, 0o600)
}

// Close ends the trace.
func (t *Trace) Close() { t.server.Close() }
