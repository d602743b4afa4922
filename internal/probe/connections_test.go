package probe_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/probe"
)

// looksAtOnce is how many buckets are looked at side by side.
const looksAtOnce = 10

// crowd counts the requests about buckets that the server answers at one time. A look sends
// one request after the other, so these are the looks side by side. Connections would be
// more: the server may still close one that its client has closed.
type crowd struct {
	wire      *edgetest.Wire
	mu        sync.Mutex
	now, most int
}

// watch is OverWire, and counts each request about a bucket.
func (c *crowd) watch(t *testing.T, handler http.HandlerFunc) (cfg aws.Config) {
	cfg, c.wire = new(edgetest.AWS).OverWire(t, http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" { // the path of STS
			c.add(1)
			defer c.add(-1)
			time.Sleep(time.Millisecond) // until the requests of all looks are here
		}
		handler(to, r)
	}))
	return cfg
}

func (c *crowd) add(requests int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += requests
	c.most = max(c.most, c.now)
}

// peak is the most requests at one time so far. Some may still be answered.
func (c *crowd) peak() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

// Each look and each authentication uses its own connection, and closes it. So the number of
// open connections depends on the looks side by side alone, not on the number of buckets and
// of proofs in one warm function.
func TestConnectionsAreFewAndClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var crowd crowd
		cfg := crowd.watch(t, inTheRole)
		scope := access.Scope{Source: true}
		for i := range 50 {
			scope.Places = append(scope.Places, access.Place(fmt.Sprintf("bucket-%02d", i)))
		}
		key := access.Credentials{KeyID: "AKIAEXAMPLE", Secret: access.NewSecret("half")}
		for proven := range 5 {
			if err := probe.New(cfg, slog.New(slog.DiscardHandler), probe.Options{}).Prove(t.Context(), key, scope, access.Subject{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			opened, left := crowd.wire.Connections()
			if opened != (proven+1)*(2*50+3) || crowd.peak() != looksAtOnce || left > 0 {
				t.Errorf("%d connections were opened, %d are left, %d looks went on at one time", opened, left, crowd.peak())
			}
		}
	})
}

// inTheRole answers as STS and S3 do if nothing is in the way.
func inTheRole(to http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	switch {
	case form.Get("Action") == "GetCallerIdentity":
		fmt.Fprint(to, edgetest.Query("GetCallerIdentity", "<Arn>arn:aws:iam::123456789012:user/x</Arn>").Body)
	case r.URL.Query().Has("location"):
		fmt.Fprint(to, "<LocationConstraint>eu-west-1</LocationConstraint>")
	case r.URL.Query().Get("list-type") == "2":
		fmt.Fprint(to, "<ListBucketResult></ListBucketResult>")
	default:
		to.WriteHeader(http.StatusNotFound)
		fmt.Fprint(to, "<Error><Code>NoSuchKey</Code></Error>")
	}
}

// answers counts the bodies that were returned and not closed.
type answers struct {
	open int
	mu   sync.Mutex
}

func (a *answers) Do(r *http.Request) (*http.Response, error) {
	recorded := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	inTheRole(recorded, r)
	response := recorded.Result()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open++
	response.Body = &body{ReadCloser: response.Body, of: a}
	return response, nil
}

type body struct {
	io.ReadCloser
	of     *answers
	closed bool
}

func (b *body) Close() error {
	b.of.mu.Lock()
	defer b.of.mu.Unlock()
	if !b.closed {
		b.closed = true
		b.of.open--
	}
	return b.ReadCloser.Close()
}

// Every answer is closed: an open one keeps the credentials of its request in memory.
func TestEveryAnswerIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &answers{}
		cfg, _ := new(edgetest.AWS).OverWire(t, http.HandlerFunc(inTheRole))
		cfg.HTTPClient = client
		key := access.Credentials{KeyID: "AKIAEXAMPLE", Secret: access.NewSecret("half")}
		scope := access.Scope{Source: true, Places: []access.Place{"bucket"}}
		if err := probe.New(cfg, slog.New(slog.DiscardHandler), probe.Options{}).Prove(t.Context(), key, scope, access.Subject{}); err != nil || client.open != 0 {
			t.Errorf("%v, %d answers are left open", err, client.open)
		}
	})
}
