package sandbox_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/sandbox"
)

// sandboxes are as many local AWSes as keep the cores busy, because a test waits
// a good deal, up to as many as the memory of a laptop holds.
var sandboxes = min(2*runtime.GOMAXPROCS(0), 8)

// pool has the local AWSes that nobody uses just now; where there is nil, one is
// still to be started. A test takes one for its own, and waits for it.
var pool turns

// turns hands out sandboxes. Tests that take long go first: begun last, they
// would run alone at the end, while the cores do nothing.
type turns struct {
	mu      sync.Mutex
	free    []*sandbox.Sandbox
	waiting []chan *sandbox.Sandbox
}

func (p *turns) take(long bool) *sandbox.Sandbox {
	p.mu.Lock()
	if last := len(p.free) - 1; last >= 0 {
		s := p.free[last]
		p.free = p.free[:last]
		p.mu.Unlock()
		return s
	}
	mine, behind := make(chan *sandbox.Sandbox, 1), len(p.waiting)
	if long {
		behind = 0
	}
	p.waiting = slices.Insert(p.waiting, behind, mine)
	p.mu.Unlock()
	return <-mine
}

func (p *turns) give(s *sandbox.Sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.free = append(p.free, s)
		return
	}
	p.waiting[0] <- s
	p.waiting = p.waiting[1:]
}

// owned says which test has which sandbox.
var owned sync.Map

// seenTags are the tags of users that a test saw, for leaks.
var seenTags sync.Map

// own takes a sandbox from the pool until the test ends, and runs the test
// beside the others. A test that fails may leave anything behind: nobody uses
// its sandbox after it, so that it fails alone.
func own(t *testing.T) {
	t.Helper()
	t.Parallel()
	owning(t, pool.take(false))
}

// ownFirst is own, for the tests that take longest.
func ownFirst(t *testing.T) {
	t.Helper()
	t.Parallel()
	owning(t, pool.take(true))
}

// turn makes a test that starts a sandbox of another kind wait like the others; long
// says that it is among those that take longest.
func turn(t *testing.T, long bool) {
	t.Helper()
	t.Parallel()
	s := pool.take(long)
	t.Cleanup(func() { pool.give(s) })
}

func owning(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	if s == nil {
		var err error
		if s, err = open(); err != nil {
			pool.give(nil)
			t.Fatal("starting a sandbox: ", err)
		}
	}
	owned.Store(t.Name(), s)
	t.Cleanup(func() {
		if !t.Failed() {
			pool.give(s)
			return
		}
		if err := errors.Join(leaks.look(s), s.Close()); err != nil {
			t.Error(err)
		}
		pool.give(nil)
	})
}

// open starts a sandbox with the provider deployed.
func open() (*sandbox.Sandbox, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	s, err := sandbox.Start(ctx, sandbox.Options{Root: "../..", TimeoutSeconds: 900, Seen: record()})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.MakeBuckets(ctx), s.DeployProvider(ctx)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// loadedCLI is the AWS CLI of all tests: each command of one that is not loaded
// takes a second of a core.
var loadedCLI = sync.OnceValues(func() (*sandbox.CLI, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	c, err := sandbox.StartCLI(ctx, "../..")
	closing = append(closing, c.Close)
	return c, err
})

// closing is done at the end of all tests.
var closing []func() error

// command runs a command of the AWS CLI in the test's sandbox.
func command(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	s := account(t)
	s.UseCLI(loadCLI(t))
	return s.AWS(ctxOf(t), arguments...)
}

// hung is how long a test waits for one thing before it is given up: a guard
// against what never ends, far from what the slowest machine needs.
const hung = 20 * time.Minute

// account is the sandbox of a test, or of the one that it is a part of.
func account(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	whole, _, _ := strings.Cut(t.Name(), "/")
	s, ok := owned.Load(whole)
	if !ok {
		t.Fatal("the test has not taken a sandbox: own(t)")
	}
	return s.(*sandbox.Sandbox)
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	flag.Parse()
	// All wait for a sandbox together, so that the longest ones get theirs first.
	if err := flag.Set("test.parallel", "1000"); err != nil {
		panic(err)
	}
	pool.free = make([]*sandbox.Sandbox, sandboxes)
	code := m.Run()
	for _, s := range pool.free {
		if s != nil {
			if err := errors.Join(leaks.look(s), s.Close()); err != nil {
				fmt.Fprintln(os.Stderr, "--- FAIL: leaks:", err)
				code = 1
			}
		}
	}
	for _, end := range closing {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, "--- FAIL: ending what the tests shared:", err)
			code = 1
		}
	}
	if err := leaks.found(); err != nil {
		fmt.Fprintln(os.Stderr, "--- FAIL: leaks:", err)
		code = 1
	}
	if err := judge(); err != nil {
		fmt.Fprintln(os.Stderr, "--- FAIL: calls:", err)
		code = 1
	}
	return code
}

func ctxOf(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hung)
	t.Cleanup(cancel)
	return ctx
}

// empty fails the test if anything of ours is in the account.
func empty(t *testing.T) {
	t.Helper()
	if left := inventory(t); len(left) > 0 {
		t.Errorf("left in the account:\n%s", strings.Join(left, "\n"))
	}
}

func inventory(t *testing.T) []string {
	t.Helper()
	found, err := account(t).Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// having are the entries of the inventory that begin so.
func having(t *testing.T, prefix string) []string {
	t.Helper()
	return slices.DeleteFunc(inventory(t), func(entry string) bool { return !strings.HasPrefix(entry, prefix) })
}

// deploy writes a template with one resource called Credentials, deploys it as
// a stack of the test's own, and has it deleted at the end.
func deploy(t *testing.T, stack, properties string) error {
	t.Helper()
	return deployTemplate(t, stack, "Resources:\n"+resource("Credentials", properties)+
		"Outputs:\n  AccessKeyId: {Value: !GetAtt Credentials.AccessKeyId}\n  SecretName: {Value: !GetAtt Credentials.SecretName}\n  UserName: {Value: !Ref Credentials}\n")
}

func resource(name, properties string) string {
	return fmt.Sprintf("  %s:\n    Type: Custom::CloneyS3Credentials\n    Properties: {ServiceToken: !ImportValue cloney-s3-credentials-ServiceToken, ServiceTimeout: 900, %s}\n", name, properties)
}

func deployTemplate(t *testing.T, stack, template string) error {
	t.Helper()
	file := t.TempDir() + "/template.yaml"
	if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	return account(t).Deploy(ctxOf(t), stack, file)
}

func remove(t *testing.T, stack string) {
	t.Helper()
	if err := account(t).DeleteStack(ctxOf(t), stack); err != nil {
		t.Error(err)
	}
}

func outputs(t *testing.T, stack string) map[string]string {
	t.Helper()
	values, err := account(t).Outputs(ctxOf(t), stack)
	must(t, err)
	if user, ok := values["UserName"]; ok {
		tags, err := account(t).Tags(ctxOf(t), user, values["SecretName"])
		must(t, err)
		if !strings.Contains(tags, "cloney:stack-id=") {
			t.Errorf("%s has no tags: %s", user, tags)
		}
		seenTags.Store(user, tags)
	}
	return values
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
