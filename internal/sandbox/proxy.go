package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"cloney-s3-credentials/internal/traces"
)

// Proxy stands between a bootstrap and moto, and between the bootstrap and
// CloudFormation's response bucket. It counts the calls, and does to each what
// a Fault says.
type Proxy struct {
	URL    string // for AWS_ENDPOINT_URL, and the beginning of a ResponseURL
	moto   string
	one    *sync.Mutex
	seen   func(*http.Request, []byte, *Reply) // nil: nobody looks
	server *httptest.Server
	flying sync.RWMutex // held for reading by every call that is on its way

	mu      sync.Mutex
	fault   Fault
	calls   []Call
	answers []Accepted
}

// Call is one call of the bootstrap.
type Call struct {
	N    int    // from 1
	Name string // "iam CreateUser", "s3 GET /bucket", ToCloudFormation
	Nth  int    // of its kind, from 1: calls of different kinds may change places
}

// Kind is what is asked of AWS: the name, without a key in a bucket.
func (c Call) Kind() string {
	service, operation, _ := strings.Cut(c.Name, " ")
	operation, _, _ = strings.Cut(operation, " ")
	return service + " " + operation
}

// ToCloudFormation is the name of the PUT to the ResponseURL.
const ToCloudFormation = "cloudformation answer"

// Accepted is an answer that the response bucket took.
type Accepted struct {
	Body  string
	Heard bool // that it was taken: its reply came through
}

// Reply is what a call is answered with.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Fault decides what a call is answered with; do has it done and returns the
// true reply. Nil is a connection that breaks.
type Fault func(call Call, r *http.Request, do func() *Reply) *Reply

// NewProxy starts a proxy for a function. Close it.
func (s *Sandbox) NewProxy(function string) *Proxy {
	p := &Proxy{moto: s.Endpoint, one: &s.one}
	if s.seen != nil {
		p.seen = func(r *http.Request, body []byte, reply *Reply) { s.seen(function, r, body, reply) }
	}
	p.server = httptest.NewServer(p)
	p.URL = p.server.URL
	return p
}

// Env is what a bootstrap has to be started with to go through the proxy.
func (p *Proxy) Env() []string {
	return []string{"AWS_ENDPOINT_URL=" + p.URL, "RESPONSE_HOSTS=" + hostOf(p.URL)}
}

const responses = "/cloudformation-custom-resource-response-useast1"

// Responses is the bucket in which events are to be answered.
func (p *Proxy) Responses() string { return p.URL + responses }

// Begin forgets the calls and answers so far and sets what happens to the next
// ones; nil: nothing. What a dead process has asked for is done first.
func (p *Proxy) Begin(fault Fault) {
	p.flying.Lock()
	defer p.flying.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.calls, p.answers = fault, nil, nil
}

// Calls since Begin.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// Answers that were accepted since Begin.
func (p *Proxy) Answers() []Accepted {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers
}

// Close stops the proxy.
func (p *Proxy) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.flying.RLock()
	defer p.flying.RUnlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it died while it spoke
	}
	call, fault := p.count(name(r, body))
	do := func() *Reply { return p.forward(r, body) }
	if call.Name == ToCloudFormation {
		do = func() *Reply { return p.accept(r, body) }
	}
	var reply *Reply
	if fault == nil {
		reply = do()
	} else {
		reply = fault(call, r, do)
	}
	if reply == nil {
		panic(http.ErrAbortHandler) // closes the connection without a word
	}
	if call.Name == ToCloudFormation && reply.Status == http.StatusOK && r.Context().Err() == nil {
		p.heard()
	}
	for key, values := range reply.Header {
		w.Header()[key] = values
	}
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body)
}

func (p *Proxy) count(name string) (Call, Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	call := Call{N: len(p.calls) + 1, Name: name, Nth: 1}
	for _, before := range p.calls {
		if before.Kind() == call.Kind() {
			call.Nth++
		}
	}
	p.calls = append(p.calls, call)
	return call, p.fault
}

var service = regexp.MustCompile(`Credential=[^/]+/[^/]+/[^/]+/([^/]+)/`)

// name is a call's name, read from where AWS's protocols put it.
func name(r *http.Request, body []byte) string {
	if strings.HasPrefix(r.URL.Path, responses+"/") {
		return ToCloudFormation
	}
	of := "unsigned"
	if m := service.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		of = m[1]
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return of + " " + target[strings.LastIndex(target, ".")+1:]
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has("Action") {
		return of + " " + form.Get("Action")
	}
	return of + " " + r.Method + " " + r.URL.Path
}

// accept is the response bucket, which takes a body that is signed without a
// Content-Type.
func (p *Proxy) accept(r *http.Request, body []byte) *Reply {
	if r.Method != http.MethodPut || r.Header.Get("Content-Type") != "" || r.URL.Query().Get("X-Amz-Signature") != traces.Signature {
		return &Reply{Status: http.StatusForbidden}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = append(p.answers, Accepted{Body: string(body)})
	return &Reply{Status: http.StatusOK}
}

func (p *Proxy) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[len(p.answers)-1].Heard = true
}

// forward has moto do the call. One at a time, for all proxies of a sandbox:
// moto changes what it lists while it lists it, and is not faster with two.
func (p *Proxy) forward(r *http.Request, body []byte) *Reply {
	p.one.Lock()
	defer p.one.Unlock()
	request, err := http.NewRequest(r.Method, p.moto+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil
	}
	request.Header = r.Header.Clone()
	request.Host = r.Host // it is signed
	// Not undone by the client on our way back, for the SDK to find it as it was.
	request.Header.Set("Accept-Encoding", "identity")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil
	}
	response.Header.Del("Content-Length")
	reply := &Reply{response.StatusCode, response.Header, answer}
	if p.seen != nil {
		p.seen(r, body, reply)
	}
	return reply
}
