package confinement

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cloney-s3-credentials/internal/iamtest"
)

// Call is one decision of IAM for an operation that was sent. Most operations need one,
// some need several.
type Call struct {
	Operation string // as in CreateUser
	Request   iamtest.Request
	// User is the user whose key signs; empty: the function signs. Documents are the
	// policies that are attached to that user.
	User      string
	Documents []string
	Function  Function // empty where a user's key asks
}

// Recorder turns requests into decisions of IAM. It learns the paths, tags and boundaries
// of entities from the requests that AWS accepted and from AWS's answers.
type Recorder struct {
	Place Place

	mu       sync.Mutex
	users    map[string]*entity // by name
	policies map[string]*entity // by ARN
	secrets  map[string]*entity // by name
	keys     map[string]string  // their users
	deleted  map[string]bool    // names of users and secrets that were deleted
	calls    map[string]Call
	unknown  map[string]bool
}

// entity is a user, a policy or a secret, as far as policies depend on it.
type entity struct {
	arn      string
	tags     map[string]string
	boundary string          // of a user
	attached map[string]bool // to a user: ARNs of policies
	document string          // of a policy: the version in force
	key      string          // of a secret: a customer managed KMS key
}

// NewRecorder returns a recorder for a place.
func NewRecorder(p Place) *Recorder {
	return &Recorder{
		Place: p, users: map[string]*entity{}, policies: map[string]*entity{}, secrets: map[string]*entity{},
		keys: map[string]string{}, deleted: map[string]bool{}, calls: map[string]Call{}, unknown: map[string]bool{},
	}
}

var credential = regexp.MustCompile(`Credential=([^/]+)/[^/]+/[^/]+/([^/]+)/`)

// Saw records a request of a function and AWS's answer to it. Calls returns an error about
// everything that is unknown.
func (r *Recorder) Saw(by Function, request *http.Request, body []byte, status int, answer []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := credential.FindStringSubmatch(request.Header.Get("Authorization"))
	if of == nil {
		r.refuse("an unsigned %s %s", request.Method, request.URL.Path)
		return
	}
	w := wire{Recorder: r, by: by, user: r.keys[of[1]], ok: status < 300, answer: answer}
	switch of[2] {
	case "iam":
		w.readForm(body)
		w.iam()
	case "cloudformation":
		w.readForm(body)
		w.cloudFormation()
	case "sns":
		w.readForm(body)
		w.sns()
	case "events":
		w.events(request, body)
	case "secretsmanager":
		_, w.operation, _ = strings.Cut(request.Header.Get("X-Amz-Target"), ".")
		if err := json.Unmarshal(body, &w.secret); err != nil {
			r.refuse("a body of Secrets Manager: %v", err)
		}
		w.secretsManager()
	case "s3":
		w.s3(request)
	case "sts":
		// Nothing can deny GetCallerIdentity.
		// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
		if !strings.Contains(string(body), "Action=GetCallerIdentity&") {
			r.refuse("%s to sts", body)
		}
	default:
		r.refuse("service %s", of[2])
	}
}

func (r *Recorder) refuse(format string, values ...any) {
	r.unknown[fmt.Sprintf(format, values...)] = true
}

// Calls returns every call so far once.
func (r *Recorder) Calls() ([]Call, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unknown) > 0 {
		return nil, fmt.Errorf("the model of the function's calls does not know %v; say in internal/confinement what IAM asks for them", slices.Sorted(maps.Keys(r.unknown)))
	}
	var calls []Call
	for _, key := range slices.Sorted(maps.Keys(r.calls)) {
		calls = append(calls, r.calls[key])
	}
	return calls, nil
}

// wire is one operation that is being recorded.
type wire struct {
	*Recorder
	by        Function
	operation string
	user      string // whose key it is; empty: the function's
	form      url.Values
	secret    secretRequest
	ok        bool
	answer    []byte
}

// readForm reads a request of the query protocol.
func (w *wire) readForm(body []byte) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		w.refuse("a body of the query protocol: %v", err)
	}
	w.operation, w.form = form.Get("Action"), form
}

// isDeleted reports whether an operation is about an entity that the function has deleted,
// because an answer was lost or two deliveries do the same. IAM's decision then does not
// matter, because the clients treat "denied" as "not found" (edge.WhenDenied). It matters
// for the operations by which they find that out, and create the entity again.
func (w *wire) isDeleted(name string) bool {
	return w.deleted[name] && !slices.Contains([]string{"GetUser", "DescribeSecret", "CreateSecret"}, w.operation)
}

// needs records a decision.
func (w *wire) needs(action, resource string, context ...map[string][]string) {
	call := Call{Operation: w.operation, User: w.user, Request: iamtest.Request{Action: action, Resource: resource, Context: Wire(context...)}}
	if w.user != "" {
		call.Documents = w.documents(w.user)
	} else {
		call.Function = w.by
		maps.Copy(call.Request.Context, within(w.Place, w.by, action))
	}
	key, err := json.Marshal(call)
	if err != nil {
		panic(err)
	}
	w.calls[string(key)] = call
}

// within returns the condition key by which Lambda shows that a call comes from a
// function's own code. It is not known whether another service's calls in the function's
// name also carry it.
// https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
func within(p Place, f Function, action string) map[string][]string {
	if strings.HasPrefix(action, "kms:") || strings.HasPrefix(action, "lambda:") {
		return nil
	}
	return map[string][]string{"lambda:SourceFunctionArn": {p.Lambda(f)}}
}

// Wire returns the condition keys of every request of ours, and more.
func Wire(more ...map[string][]string) map[string][]string {
	// The clients only use https, except in a sandbox.
	context := map[string][]string{"aws:SecureTransport": {"true"}}
	for _, m := range more {
		maps.Copy(context, m)
	}
	return context
}

func (w *wire) documents(user string) []string {
	var documents []string
	if u := w.users[user]; u != nil {
		for _, arn := range slices.Sorted(maps.Keys(u.attached)) {
			if p := w.policies[arn]; p != nil {
				documents = append(documents, p.document)
			}
		}
	}
	return documents
}

// RequestTags are the condition keys of tags that a request sets.
func RequestTags(tags map[string]string) map[string][]string {
	context := map[string][]string{}
	for key, value := range tags {
		context["aws:RequestTag/"+key] = []string{value}
	}
	return with(context, "aws:TagKeys", slices.Sorted(maps.Keys(tags))...)
}

// ResourceTags are the condition keys of tags that an entity has.
func ResourceTags(tags map[string]string) map[string][]string {
	context := map[string][]string{}
	for key, value := range tags {
		context["aws:ResourceTag/"+key] = []string{value}
	}
	return context
}

func with(context map[string][]string, key string, values ...string) map[string][]string {
	if len(values) > 0 && values[0] != "" {
		context[key] = values
	}
	return context
}
