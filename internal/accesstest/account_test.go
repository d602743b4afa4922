package accesstest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
)

// recorder is a testing.TB that keeps the failures.
type recorder struct {
	testing.TB
	shouts []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.shouts = append(r.shouts, fmt.Sprintf(format, args...))
}

var ours = map[string]string{name.TagStack: "s", name.TagLogical: "l", name.TagPhysical: "u"}

const document = `{"Version":"2012-10-17","Statement":[]}`

// account returns an account that holds a user "u" with a key, in a secret "s".
func account(t *testing.T) (*accesstest.Account, *recorder, access.Credentials) {
	t.Helper()
	heard := &recorder{TB: t}
	a := accesstest.New(heard)
	_, err := a.CreateUser(t.Context(), "u", ours)
	must(t, err)
	credentials, err := a.CreateKey(t.Context(), "u")
	must(t, err)
	_, err = a.CreateSecret(t.Context(), "s", "", "", ours)
	must(t, err)
	must(t, a.PutVersion(t.Context(), "s", name.Token("1"), credentials.Encode(), []string{"one"}))
	return a, heard, credentials
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestIAMsLimits(t *testing.T) {
	a, heard, _ := account(t)
	ctx := t.Context()
	_, err := a.CreateKey(ctx, "u")
	must(t, err)
	_, err = a.CreateKey(ctx, "u")
	is(t, err, access.ErrLimit)
	_, err = a.CreateUser(ctx, "U", ours)
	is(t, err, access.ErrExists)
	_, err = a.CreateUser(ctx, strings.Repeat("u", 65), ours)
	is(t, err, access.ErrInvalid)
	_, err = a.CreateUser(ctx, "a/b", ours)
	is(t, err, access.ErrInvalid)
	_, err = a.CreatePolicy(ctx, "big", `"`+strings.Repeat("x", 6143)+`"`, ours)
	is(t, err, access.ErrLimit)
	_, err = a.CreatePolicy(ctx, "wide", document+strings.Repeat(" ", 7000), ours)
	must(t, err)
	_, err = a.CreatePolicy(ctx, "WIDE", document, ours)
	is(t, err, access.ErrExists)
	_, err = a.CreatePolicy(ctx, "broken", "{", ours)
	is(t, err, access.ErrInvalid)
	for n := range 10 {
		_, err = a.CreatePolicy(ctx, fmt.Sprint("p", n), document, ours)
		must(t, err)
		must(t, a.AttachPolicy(ctx, "u", fmt.Sprint("p", n)))
	}
	is(t, a.AttachPolicy(ctx, "u", "wide"), access.ErrLimit)
	must(t, a.AttachPolicy(ctx, "u", "p0"))
	many := map[string]string{}
	for n := range 48 {
		many[fmt.Sprint("tag", n)] = ""
	}
	is(t, a.TagUser(ctx, "u", many, nil), access.ErrLimit)
	is(t, a.TagUser(ctx, "u", map[string]string{"a": "1", "A": "1"}, nil), access.ErrInvalid)
	is(t, a.TagUser(ctx, "u", map[string]string{"a": "ü*"}, nil), access.ErrInvalid)
	is(t, a.TagUser(ctx, "u", map[string]string{"aws:a": ""}, nil), access.ErrInvalid)
	silent(t, heard)
}

func TestUsersAreBounded(t *testing.T) {
	a, heard, _ := account(t)
	a.MakeUser("by-hand", nil)
	bounded := func(name string, want bool) {
		t.Helper()
		if got, err := a.User(t.Context(), name); err != nil || got.Boundary.Holds() != want {
			t.Errorf("%s: %v, %v", name, got.Boundary, err)
		}
	}
	made, err := a.CreateUser(t.Context(), "v", ours)
	if must(t, err); !made.Boundary.Holds() {
		t.Error("just made: not bounded")
	}
	bounded("u", true)
	a.Bind("u", "")
	bounded("u", false)
	bounded("v", true)
	bounded("by-hand", true)
	silent(t, heard)
}

// IAM attaches policies only to users under the provider's boundary, and sees a new
// boundary late.
func TestPoliciesAreAttachedUnderTheBoundary(t *testing.T) {
	a, heard, _ := account(t)
	a.MakePolicy("u-1", "{}", ours)
	for _, other := range []string{"", accesstest.Former, "arn:aws:iam::aws:policy/ReadOnlyAccess"} {
		a.Bind("u", other)
		is(t, a.AttachPolicy(t.Context(), "u", "u-1"), access.ErrDenied)
	}
	silent(t, heard)
	a.Lag.Boundary = 1
	a.Bind("u", accesstest.Former)
	must(t, a.PutBoundary(t.Context(), "u"))
	is(t, a.AttachPolicy(t.Context(), "u", "u-1"), access.ErrDenied)
	must(t, a.AttachPolicy(t.Context(), "u", "u-1"))
	silent(t, heard)
	a.Bind("u", "arn:aws:iam::aws:policy/ReadOnlyAccess")
	must(t, a.PutBoundary(t.Context(), "u"))
	if len(heard.shouts) == 0 {
		t.Error("a limit that somebody has set is taken off, and the account is silent")
	}
}

func TestFiveVersionsOfAPolicy(t *testing.T) {
	a, heard, _ := account(t)
	_, err := a.CreatePolicy(t.Context(), "p", document, ours)
	must(t, err)
	for n := range 9 {
		text := fmt.Sprintf(`{"n":%d}`, n)
		must(t, a.UpdatePolicy(t.Context(), "p", text))
		if p, err := a.Policy(t.Context(), "p"); err != nil || p.Document != text {
			t.Errorf("in force: %+v, %v", p, err)
		}
	}
	if a.Calls()["DeletePolicyVersion"] != 5 {
		t.Errorf("calls: %v", a.Calls())
	}
	must(t, a.AttachPolicy(t.Context(), "u", "p"))
	a.AttachElsewhere("p", "group")
	is(t, a.DeletePolicy(t.Context(), "p"), access.ErrConflict)
	a.DetachElsewhere("p")
	is(t, a.DeletePolicy(t.Context(), "p"), access.ErrConflict)
	must(t, a.DetachPolicy(t.Context(), "u", "p"))
	must(t, a.DeletePolicy(t.Context(), "p"))
	must(t, a.DeletePolicy(t.Context(), "p"))
	silent(t, heard)
}

func TestStagingLabels(t *testing.T) {
	a, heard, credentials := account(t)
	ctx := t.Context()
	one, two, three := name.Token("1"), name.Token("2"), name.Token("3")
	// The first version became AWSCURRENT by itself.
	labels(t, a, map[string][]string{one: {"one", access.Current}})
	must(t, a.PutVersion(ctx, "s", one, credentials.Encode(), []string{"ignored"}))
	is(t, a.PutVersion(ctx, "s", one, access.NewSecret("x"), nil), access.ErrExists)
	other, err := a.CreateKey(ctx, "u")
	must(t, err)
	must(t, a.PutVersion(ctx, "s", two, other.Encode(), []string{"two"}))
	labels(t, a, map[string][]string{one: {"one", access.Current}, two: {"two"}})
	is(t, a.Promote(ctx, "s", two, two), access.ErrMoved)
	is(t, a.Promote(ctx, "s", two, ""), access.ErrMoved)
	is(t, a.Promote(ctx, "s", three, one), access.ErrNotFound)
	must(t, a.Promote(ctx, "s", two, one))
	must(t, a.Promote(ctx, "s", two, one)) // an answer that was lost
	labels(t, a, map[string][]string{one: {"one", access.Previous}, two: {"two", access.Current}})
	must(t, a.PutVersion(ctx, "s", three, other.Encode(), nil))
	// A version without a label is not shown, but its token is still taken.
	must(t, a.Unlabel(ctx, "s", one, "one"))
	labels(t, a, map[string][]string{two: {"two", access.Previous}, three: {access.Current}})
	is(t, a.PutVersion(ctx, "s", one, access.NewSecret("x"), nil), access.ErrExists)
	is(t, a.PutVersion(ctx, "s", "short", other.Encode(), nil), access.ErrInvalid)
	is(t, a.PutVersion(ctx, "s", name.Token("4"), access.NewSecret(strings.Repeat("x", 65537)), nil), access.ErrInvalid)
	is(t, a.PutVersion(ctx, "s", name.Token("4"), other.Encode(), make([]string, 21)), access.ErrInvalid)
	silent(t, heard)
}

func labels(t *testing.T, a *accesstest.Account, want map[string][]string) {
	t.Helper()
	info, err := a.Secret(t.Context(), "s")
	must(t, err)
	if len(info.Versions) != len(want) {
		t.Errorf("versions: %v", info.Versions)
	}
	for _, v := range info.Versions {
		slices.Sort(v.Labels)
		if slices.Sort(want[v.ID]); !slices.Equal(v.Labels, want[v.ID]) {
			t.Errorf("%s has %v, not %v", v.ID, v.Labels, want[v.ID])
		}
	}
}

func TestTheRecoveryWindow(t *testing.T) {
	a, heard, credentials := account(t)
	ctx := t.Context()
	a.ScheduleDeletion("s")
	_, err := a.CreateSecret(ctx, "s", "", "", ours)
	is(t, err, access.ErrBusy)
	is(t, a.PutVersion(ctx, "s", name.Token("2"), credentials.Encode(), nil), access.ErrInvalid)
	_, err = a.Value(ctx, "s", name.Token("1"))
	is(t, err, access.ErrInvalid)
	if info, err := a.Secret(ctx, "s"); err != nil || info.Deleted.IsZero() {
		t.Errorf("%+v, %v", info, err)
	}
	must(t, a.RestoreSecret(ctx, "s"))
	_, err = a.CreateSecret(ctx, "s", "", "", ours)
	is(t, err, access.ErrExists)
	a.Lag.Secrets = 1
	must(t, a.DeleteSecret(ctx, "s"))
	_, err = a.CreateSecret(ctx, "s", "", "", ours)
	is(t, err, access.ErrBusy)
	_, err = a.CreateSecret(ctx, "s", "", "", ours)
	must(t, err)
	silent(t, heard)
}

func TestShouts(t *testing.T) {
	for what, c := range map[string]struct {
		do   func(ctx context.Context, a *accesstest.Account, keyID string) error
		says string
	}{
		"current key deleted": {func(ctx context.Context, a *accesstest.Account, keyID string) error {
			return a.DeleteKey(ctx, "u", keyID)
		}, "AWSCURRENT of s names it"},
		"dead key stored": {func(ctx context.Context, a *accesstest.Account, keyID string) error {
			dead := access.Credentials{KeyID: "AKIADEAD", Secret: access.NewSecret("x")}
			return a.PutVersion(ctx, "s", name.Token("2"), dead.Encode(), nil)
		}, "AKIADEAD, which is dead"},
		"inactive key promoted": {func(ctx context.Context, a *accesstest.Account, keyID string) error {
			other, _ := a.CreateKey(ctx, "u")
			_ = a.PutVersion(ctx, "s", name.Token("2"), other.Encode(), []string{"two"})
			a.Deactivate(other.KeyID)
			return a.Promote(ctx, "s", name.Token("2"), name.Token("1"))
		}, "which is dead"},
		"foreign user": {func(ctx context.Context, a *accesstest.Account, _ string) error {
			a.MakeUser("theirs", nil)
			return a.TagUser(ctx, "theirs", ours, nil)
		}, "user theirs"},
		"foreign secret": {func(ctx context.Context, a *accesstest.Account, _ string) error {
			a.MakeSecret("theirs", "", nil)
			return a.DeleteSecret(ctx, "theirs")
		}, "secret theirs"},
		"foreign policy": {func(ctx context.Context, a *accesstest.Account, _ string) error {
			a.MakePolicy("theirs", document, nil)
			return a.UpdatePolicy(ctx, "theirs", document)
		}, "policy theirs"},
		"protected": {func(ctx context.Context, a *accesstest.Account, _ string) error {
			a.Protect("s")
			return a.RekeySecret(ctx, "s", "k")
		}, "was to stay"},
		"foreign boundary": {func(ctx context.Context, a *accesstest.Account, _ string) error {
			a.MakeUser("theirs", nil)
			return a.PutBoundary(ctx, "theirs")
		}, "user theirs"},
		"tags lost": {func(ctx context.Context, a *accesstest.Account, _ string) error {
			return a.TagUser(ctx, "u", nil, []string{name.TagStack})
		}, name.TagStack},
		"at rest": {func(ctx context.Context, a *accesstest.Account, keyID string) error {
			a.DropKey(keyID)
			a.Check()
			return nil
		}, "which is dead"},
		"forgotten key": {func(ctx context.Context, a *accesstest.Account, _ string) error {
			a.AddKey("u")
			a.Check()
			return nil
		}, "no secret records it"},
		"three keys": {func(ctx context.Context, a *accesstest.Account, _ string) error {
			a.AddKey("u")
			a.AddKey("u")
			a.Check()
			return nil
		}, "3 keys"},
	} {
		t.Run(what, func(t *testing.T) {
			a, heard, credentials := account(t)
			must(t, c.do(t.Context(), a, credentials.KeyID))
			if !strings.Contains(strings.Join(heard.shouts, "\n"), c.says) {
				t.Errorf("heard %q", heard.shouts)
			}
		})
	}
}

func silent(t *testing.T, heard *recorder) {
	t.Helper()
	if len(heard.shouts) > 0 {
		t.Errorf("heard %q", heard.shouts)
	}
}

func TestRemovalIsExpectedUntilTheUserIsGone(t *testing.T) {
	a, heard, credentials := account(t)
	a.ExpectRemoval("u")
	for _, kind := range accesstest.Kinds() {
		a.HangOn("u", kind)
	}
	must(t, a.DeleteUser(t.Context(), "u"))
	must(t, a.DeleteSecret(t.Context(), "s"))
	if left := a.Inventory(); len(left.Users)+len(left.Keys)+len(left.Secrets) > 0 {
		t.Errorf("left: %+v", left)
	}
	silent(t, heard)
	if !a.Leaked("… "+credentials.Secret.Reveal()) || a.Leaked(credentials.KeyID) {
		t.Error("does not recognise its own secret halves")
	}
}

func TestHooks(t *testing.T) {
	fault := errors.New("fault")
	a, _, _ := account(t)
	fail := func(context.Context, string) error { return fault }
	a.Before = fail
	_, err := a.CreateUser(t.Context(), "v", ours)
	is(t, err, fault)
	a.Before, a.After = nil, fail
	_, err = a.CreateUser(t.Context(), "w", ours)
	is(t, err, fault)
	a.After = nil
	if users := a.Inventory().Users; !slices.Equal(users, []string{"u", "w"}) {
		t.Errorf("users: %v", users)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	is(t, a.DeleteUser(ended, "w"), context.Canceled)
	if writes := a.Writes(); writes["CreateUser"] != 3 || writes["DeleteUser"] != 0 || writes["DescribeSecret"] != 0 {
		t.Errorf("writes: %v", writes)
	}
}

func TestLag(t *testing.T) {
	a, heard, _ := account(t)
	ctx := t.Context()
	a.Lag = accesstest.Lag{Users: 1, Policies: 1, Keys: 1, Detach: 2}
	_, err := a.CreateUser(ctx, "late", ours)
	must(t, err)
	_, err = a.User(ctx, "late")
	is(t, err, access.ErrNotFound)
	_, err = a.User(ctx, "late")
	must(t, err)
	_, err = a.CreateKey(ctx, "late")
	must(t, err)
	for _, want := range []int{0, 1} {
		if keys, err := a.Keys(ctx, "late"); err != nil || len(keys) != want {
			t.Errorf("keys: %v, %v", keys, err)
		}
	}
	_, err = a.CreatePolicy(ctx, "p", document, ours)
	must(t, err)
	is(t, a.AttachPolicy(ctx, "late", "p"), access.ErrNotFound)
	must(t, a.AttachPolicy(ctx, "late", "p"))
	must(t, a.DetachPolicy(ctx, "late", "p"))
	is(t, a.DeletePolicy(ctx, "p"), access.ErrConflict)
	must(t, a.DeletePolicy(ctx, "p"))
	silent(t, heard)
}

// This shows how Secrets Manager treats a resource policy.
func TestSecretsManagersReaders(t *testing.T) {
	const reader = "arn:aws:iam::123456789012:role/Reader"
	policy := func(principals string) string {
		return `{"Version":"2012-10-17","Statement":[{"Sid":"x","Effect":"Allow","Principal":{"AWS":[` + principals + `]},"Action":["secretsmanager:DescribeSecret","secretsmanager:GetSecretValue"],"Resource":["*"]}]}`
	}
	a, _, _ := account(t)
	is(t, a.PutResourcePolicy(t.Context(), "none", policy(`"`+reader+`"`)), access.ErrNotFound)
	is(t, a.PutResourcePolicy(t.Context(), "s", "{}"), access.ErrInvalid)
	is(t, a.PutResourcePolicy(t.Context(), "s", policy(`"*"`)), access.ErrPublic)
	is(t, a.PutResourcePolicy(t.Context(), "s", policy(`"arn:aws:iam::123456789012:group/x"`)), access.ErrPrincipal)
	is(t, a.PutResourcePolicy(t.Context(), "s", policy(`"`+strings.Repeat("x", 20480)+`"`)), access.ErrInvalid)
	a.Lag.Readers = 1
	is(t, a.PutResourcePolicy(t.Context(), "s", policy(`"`+reader+`"`)), access.ErrPrincipal)
	must(t, a.PutResourcePolicy(t.Context(), "s", policy(`"`+reader+`"`)))
	// A deleted reader is there as an id, which cannot be put again.
	a.SetReader(reader, false)
	if text, err := a.ResourcePolicy(t.Context(), "s"); err != nil || strings.Contains(text, reader) || !strings.Contains(text, "AROA") {
		t.Errorf("%s, %v", text, err)
	} else {
		is(t, a.PutResourcePolicy(t.Context(), "s", text), access.ErrPrincipal)
	}
	a.SetReader(reader, true)
	if got := a.Readers("s"); !slices.Equal(got, []string{reader}) {
		t.Errorf("read by %v", got)
	}
	a.ScheduleDeletion("s")
	_, err := a.ResourcePolicy(t.Context(), "s")
	is(t, err, access.ErrInvalid)
	must(t, a.DeleteSecret(t.Context(), "s"))
	_, err = a.CreateSecret(t.Context(), "s", "", "", ours)
	must(t, err)
	if got := a.Readers("s"); len(got) > 0 {
		t.Errorf("a new secret is read by %v", got)
	}
}

// All regions share IAM; each region has its own secrets.
func TestRegionsOfAnAccountShareIAMAlone(t *testing.T) {
	a, heard, credentials := account(t)
	must(t, a.PutVersion(t.Context(), "s", name.Token("2"), credentials.Encode(), []string{name.KeyLabel(1, credentials.KeyID), access.Current}))
	there := a.In("eu-west-2")
	_, err := there.CreateUser(t.Context(), "U", ours)
	is(t, err, access.ErrExists)
	_, err = there.User(t.Context(), "u")
	is(t, err, nil)
	_, err = a.CreatePolicy(t.Context(), "u-1", document, ours)
	must(t, err)
	must(t, a.AttachPolicy(t.Context(), "u", "u-1"))
	// There is no policy of that ARN there, but its name is in use.
	_, err = there.Policy(t.Context(), "u-1")
	is(t, err, access.ErrNotFound)
	_, err = there.CreatePolicy(t.Context(), "u-1", document, ours)
	is(t, err, access.ErrExists)
	if attached, err := there.Attached(t.Context(), "u"); err != nil || len(attached) > 0 {
		t.Errorf("under the other region's path: %v, %v", attached, err)
	}
	_, err = there.Secret(t.Context(), "s")
	is(t, err, access.ErrNotFound)
	made, err := there.CreateSecret(t.Context(), "s", "", "", ours)
	must(t, err)
	if !strings.Contains(made.ARN, ":eu-west-2:") {
		t.Errorf("made %s", made.ARN)
	}
	must(t, there.DeleteSecret(t.Context(), "s"))
	if left := a.Inventory().Secrets; !slices.Equal(left, []string{"s"}) {
		t.Errorf("left: %v", left)
	}
	a.Check() // the key that the one secret records is nobody's orphan
	there.Check()
	if len(heard.shouts) > 0 {
		t.Errorf("shouted %v", heard.shouts)
	}
}
