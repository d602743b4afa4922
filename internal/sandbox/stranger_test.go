package sandbox_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/guard"
	"cloney-s3-credentials/internal/sandbox"
)

var update = flag.Bool("update", false, "write the tables of what a stranger gets into SECURITY.md")

// deployments are ways to deploy the provider, each in its own account: the columns of
// the first table.
var deployments = []struct {
	title        string
	parameters   []string
	restrictions []string // parameters that are added one at a time when all has been played
}{
	{"Earlier defaults", []string{"AllowedBuckets=*", "AllowedReaders=*", "ClosedBuckets=none", "SecretKmsKeys=arn:aws:kms:*:" + foreigner + ":key/*"}, nil},
	{"Defaults, `AllowedBuckets` a list", []string{listed}, restrictions},
}

// restrictions are parameters that act on every event in the same way, whatever it asks
// for. A few attempts show their effect: the columns of the second table.
var restrictions = []string{"UnboundEvents=Refuse", "Invocation=CloudFormationOnly"}

// listed is a list with one bucket from which deployments read their code.
const listed = "AllowedBuckets=data-*,cdk-*"

// Results of an attempt.
const (
	nothing   = "nothing"
	notLetIn  = "not let in"
	readsIt   = "reads it"
	blindUser = "a user, but not its key"
	deadKey   = "a key that does not reach it"
)

// attempt is what a stranger tries who may invoke the function and has no other right,
// except those that the attempt names: a row of the tables.
type attempt struct {
	tries string
	play  func(*scene) string
}

// repeated are attempts that change nothing for the next one. They are played again
// under each restriction.
var repeated = []attempt{makeKey, overhear, learn}

var (
	makeKey = attempt{"Create a key that reads a bucket of the list", func(c *scene) string {
		return c.makeKey(c.own("made-up"), "Source", c.bucket("data"))
	}}
	overhear = attempt{"Get the response at the genuine ResponseURL of a stack of one's own", (*scene).overhear}
	learn    = attempt{"Learn which stacks use the provider, by a Delete of its guard", func(c *scene) string {
		event := c.signed(event{"RequestType": "Delete", "StackId": c.own(sandbox.ProviderStack), "LogicalResourceId": "ProviderGuard",
			"ResourceType": guard.Type, "PhysicalResourceId": guard.ID, "ServiceToken": c.token(), "ResourceProperties": event{"ServiceToken": c.token()}})
		return cond(c.forge(c.stranger, event).users() > 0, "the names of users and their stacks, in that log", nothing)
	}}
)

// attempts are all attempts, in the order in which they are played.
var attempts = []attempt{
	makeKey,
	{"Create a key that reads a bucket that is not in the list", func(c *scene) string { return c.makeKey(c.own("made-up"), "Source", c.bucket("other")) }},
	{"Create a key that writes to `cdk-…`, which is in the list", func(c *scene) string { return c.makeKey(c.own("made-up"), "Destination", c.bucket("cdk")) }},
	{"Read another stack's secret, by an Update that adds a reader (`SecretReaders`)", func(c *scene) string {
		return c.takeSecret("Read", c.stranger, "SecretReaders", []string{c.stranger.arn})
	}},
	{"The same by another `SecretName`, as a principal that may read `cloney/team-a/*`", func(c *scene) string {
		return c.takeSecret("Renamed", c.byName, "SecretName", "cloney/team-a/taken")
	}},
	{"The same by `Tags`, as a principal that may read secrets with the tag `team=a`", func(c *scene) string {
		return c.takeSecret("Tagged", c.byTag, "Tags", []map[string]string{{"Key": "team", "Value": "a"}})
	}},
	{"The same from another account, by a reader and a KMS key (`SecretKmsKeyId`) of that account", (*scene).export},
	{"Delete another stack's credentials", func(c *scene) string {
		c.forge(c.stranger, c.about("Delete", "Deleted", nil))
		if c.isUser("victim-Deleted") {
			return nothing
		}
		return "they are deleted"
	}},
	{"Remove a bucket from another stack's credentials", func(c *scene) string {
		c.forge(c.stranger, c.about("Update", "Narrowed", map[string]any{"Buckets": []string{c.bucket("data-two")}}))
		if c.reaches("victim-Narrowed", "s3:GetObject", c.bucket("data")) {
			return nothing
		}
		return "it is removed"
	}},
	{"Add a bucket that is not in the list to another stack's credentials", func(c *scene) string {
		c.forge(c.stranger, c.about("Update", "Widened", map[string]any{"Buckets": []string{c.bucket("data"), c.bucket("other")}}))
		if c.reaches("victim-Widened", "s3:GetObject", c.bucket("other")) {
			return "it is added"
		}
		return nothing
	}},
	{"Get the response at a server of one's own", (*scene).listen},
	{"Get the response at the other stack's own ResponseURL, with an invented signature", (*scene).guess},
	overhear,
	{"Issue a new key in another stack's name, and read the end of the log (`LogType: Tail`)", (*scene).readTail},
	learn,
	{"Create a key in the name of another account's stack", func(c *scene) string {
		return c.makeKey(stackOf(foreigner, "theirs"), "Source", c.bucket("data"))
	}},
}

// trusting are attempts where another account is in TrustedAccounts.
var trusting = []attempt{
	{"The same, where that account is in `TrustedAccounts`", func(c *scene) string {
		return c.makeKey(stackOf(foreigner, "theirs"), "Source", c.bucket("data"))
	}},
}

// column holds the results of attempts, by their words.
type column map[string]string

// The attempts of a stranger are played, not reasoned: a principal whose only right is
// lambda:InvokeFunction on the function invokes it with its own events, and then uses
// whatever it has got.
func TestStranger(t *testing.T) {
	turn(t, true)
	s, err := sandbox.Start(ctxOf(t), sandbox.Options{Root: "../..", OwnFunctions: true})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	deployed, restricted := make([]column, len(deployments)), make([]column, len(restrictions))
	t.Run("deployed", func(t *testing.T) {
		for i, d := range deployments {
			t.Run(d.title, func(t *testing.T) {
				t.Parallel() // each in an account of its own
				c := set(t, s, fmt.Sprintf("44445555%04d", i+1), d.parameters)
				deployed[i] = c.play(attempts)
				c.deploy(append(slices.Clone(d.parameters), "TrustedAccounts="+foreigner)...)
				maps.Copy(deployed[i], c.play(trusting))
				for j, restriction := range d.restrictions {
					c.deploy(append(slices.Clone(d.parameters), restriction)...)
					restricted[j] = c.play(repeated)
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	writeTables(t, tables(deployed, restricted))
}

// play makes attempts.
func (c *scene) play(attempts []attempt) column {
	cells := column{}
	for _, a := range attempts {
		cells[a.tries] = c.cell(a)
	}
	return cells
}

// cell is the result of an attempt. A stranger that is not let in must get nothing: the
// attempt is played all the same.
func (c *scene) cell(a attempt) string {
	c.refused = false
	got := a.play(c)
	if !c.refused {
		return got
	}
	if got != nothing {
		c.t.Errorf("%s: the stranger is not let in, and it comes to %q", a.tries, got)
	}
	return notLetIn
}

// takeSecret changes a property of another stack's credentials, and reads their secret.
// If that is refused, the stranger claims that the property had this value before.
func (c *scene) takeSecret(victim string, by identity, property string, value any) string {
	secret := "cloney/victims/" + victim
	if property == "SecretName" {
		secret = value.(string)
	}
	for _, was := range []event{nil, {property: value}} {
		forged := c.about("Update", victim, event{property: value})
		for name, value := range was {
			forged["OldResourceProperties"].(event)[name] = value
		}
		c.forge(c.stranger, forged)
		if key, ok := c.reads(by, secret); ok {
			if key.id != c.issued[victim] {
				c.t.Errorf("the stranger reads the key %s, and %s was issued", key.id, c.issued[victim])
			}
			return readsIt
		}
	}
	return nothing
}

// makeKey creates credentials in a stack's name, with the stranger as a reader or, if that
// is refused, without. Then the stranger uses whatever key they can read.
func (c *scene) makeKey(stack, access, bucket string) string {
	c.made++
	user := fmt.Sprintf("stranger-%d", c.made)
	for i, more := range []event{{"SecretReaders": []string{c.stranger.arn}}, {}} {
		c.forge(c.stranger, c.creating(stack, fmt.Sprintf("%s%d", "Made", 10*c.made+i), user, access, bucket, more))
		if c.isUser(user) {
			break
		}
	}
	if !c.isUser(user) {
		return nothing
	}
	key, ok := c.reads(c.stranger, "cloney/"+user)
	if !ok {
		return blindUser
	}
	action := map[string]string{"Source": "s3:GetObject", "Destination": "s3:PutObject"}[access]
	if !c.reaches(user, action, bucket) {
		return deadKey
	}
	if err := calls[strings.TrimPrefix(action, "s3:")](ctxOf(c.t), c.s3(key), bucket); err != nil {
		c.t.Errorf("%s with the stranger's key: %v", action, err)
	}
	return map[string]string{"Source": "a key that reads it", "Destination": "a key that writes to it"}[access]
}

// export forges an event that encrypts a secret by a KMS key of another account, and
// names a role of that account as a reader.
func (c *scene) export() string {
	role, kms := "arn:aws:iam::"+foreigner+":role/OrganizationAccountAccessRole", "arn:aws:kms:"+sandbox.Region+":"+foreigner+":key/1234abcd-12ab-34cd-56ef-1234567890ab"
	c.forge(c.stranger, c.about("Update", "Exported", event{"SecretReaders": []string{role}, "SecretKmsKeyId": kms}))
	if c.readsFrom(foreigner, role, "cloney/victims/Exported") {
		return readsIt
	}
	c.forge(c.stranger, c.about("Update", "Exported", event{"SecretKmsKeyId": kms}))
	return cond(c.secret("cloney/victims/Exported").kms == kms, "it is encrypted by that key", nothing)
}

// listen waits for a response at a server of the stranger.
func (c *scene) listen() string {
	var heard atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	defer server.Close()
	event := c.about("Update", "Answered", nil)
	event["ResponseURL"] = server.URL + "/answer"
	c.forge(c.stranger, event)
	return cond(heard.Load() > 0, "the response", nothing)
}

// overhear forges an event of another stack with a ResponseURL that CloudFormation gave to
// a stack of the stranger. CloudFormation takes no response that names another stack. This
// checks whether one arrives.
func (c *scene) overhear() string {
	event := c.about("Update", "Answered", nil)
	event["ResponseURL"] = c.sent("Own").ResponseURL
	body, arrived := c.arrives("Own", event)
	if !arrived {
		return nothing
	}
	if !strings.Contains(body, `"StackId":"`+c.victims+`"`) || !strings.Contains(body, c.issued["Answered"]) {
		c.t.Errorf("the answer is %s", body)
	}
	return "it arrives there, in the other stack's name"
}

// guess forges an event with a ResponseURL at which CloudFormation waited for a response
// about it, and with a signature that the stranger has invented.
func (c *scene) guess() string {
	event := c.about("Update", "Answered", nil)
	genuine, _, _ := strings.Cut(c.sent("Answered").ResponseURL, "X-Amz-Signature=")
	event["ResponseURL"] = genuine + "X-Amz-Signature=made-up"
	event["RequestId"] = c.sent("Answered").RequestID
	_, arrived := c.arrives("Answered", event)
	return cond(arrived, "it arrives there", nothing)
}

// arrives returns the response to a forged event, if CloudFormation's bucket stores it as
// a response to the request about that logical id.
func (c *scene) arrives(logical string, forged event) (body string, arrived bool) {
	before := len(c.request(logical).Answers)
	c.forge(c.stranger, forged)
	for _, answer := range c.request(logical).Answers[before:] {
		if answer.Status == http.StatusOK {
			return answer.Body, true
		}
	}
	return "", false
}

// readTail reads the log of the function about a new key for another stack.
func (c *scene) readTail() string {
	told := c.forge(c.stranger, c.about("Update", "Rotated", event{"Serial": 2}))
	key, ok := c.reads(c.administrator, "cloney/victims/Rotated")
	if !ok || strings.Contains(told.tail, key.secret) || strings.Contains(told.tail, key.id) {
		c.t.Error("there is no key, or the log has it")
	}
	if told.letIn == (key.id == c.issued["Rotated"]) {
		c.t.Errorf("let in: %t, and the key is %s after %s", told.letIn, key.id, c.issued["Rotated"])
	}
	return cond(strings.Contains(told.tail, "victim-Rotated"), "it is issued; the log has names, and no key", nothing)
}

func cond(is bool, then, otherwise string) string {
	if is {
		return then
	}
	return otherwise
}

const legend = `
- Earlier defaults: ` + "`AllowedBuckets: *`, `AllowedReaders: *`, no closed buckets, and KMS keys of any account" + `.
- The list: ` + "`data-*,cdk-*`" + `. All other parameters have their defaults there.
- A user, but not its key: the user exists, and the invoker cannot read its secret.
- Last row: a rule of today's template refuses the earlier defaults together with ` + "`TrustedAccounts`" + `. The local AWS
  checks no rules, and so it shows what was possible before that rule.
`

const legendOfRestricted = `
` + "`UnboundEvents: Refuse` and `Invocation: CloudFormationOnly`" + ` act on every event in the same way. The attempts of the
next table were played again under each of the two; the others were not. "Not let in" means that Lambda refuses the
invocation. Lambda accepts the events that CloudFormation sends.
`

// tables are the text of SECURITY.md: all attempts by deployment, and then the attempts
// that are repeated, by restriction of the last deployment.
func tables(deployed, restricted []column) string {
	var titles []string
	for _, d := range deployments {
		titles = append(titles, d.title)
	}
	last := len(deployments) - 1
	all := table(titles, slices.Concat(attempts, trusting), deployed)
	titles = titles[last:]
	for _, r := range restrictions {
		titles = append(titles, "The same, `"+strings.Replace(r, "=", ": ", 1)+"`")
	}
	return legend + all + legendOfRestricted + table(titles, repeated, append([]column{deployed[last]}, restricted...))
}

func table(titles []string, rows []attempt, columns []column) string {
	var text strings.Builder
	text.WriteString("\n| Attempt | " + strings.Join(titles, " | ") + " |\n|---|" + strings.Repeat("---|", len(titles)) + "\n")
	for _, row := range rows {
		text.WriteString("| " + row.tries + " |")
		for _, cells := range columns {
			text.WriteString(" " + cells[row.tries] + " |")
		}
		text.WriteString("\n")
	}
	return text.String()
}

// writeTables compares the tables in SECURITY.md with the result of the attempts, or
// writes them.
func writeTables(t *testing.T, tables string) {
	t.Helper()
	const file = "../../SECURITY.md"
	const begin, end = "<!-- Written by go test ./internal/sandbox -run Stranger -update: the stranger -->\n", "<!-- End of the stranger -->\n"
	text, err := os.ReadFile(file)
	must(t, err)
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("SECURITY.md has no place for the stranger, between %s and %s", begin, end)
	}
	want := before + begin + tables + "\n" + end + after
	if *update {
		must(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("SECURITY.md is stale; -run Stranger -update writes it again:\n%s", diff)
	}
}
