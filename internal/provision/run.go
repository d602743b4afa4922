package provision

import (
	"maps"
	"slices"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/turn"
)

// run is one delivery of one event at work. Its steps run at the same time.
type run struct {
	*Provisioner
	turn.Writer
	event    order.Run
	owner    name.Owner
	want     plan.Desired
	seen     plan.Observed
	seenAt   time.Time // when the observation began from which the plan follows
	issuer   issue.Issuer
	removing bool // the run removes a user on which it has left its mark

	looks  chan struct{}     // holds one element while the marks are read
	until  time.Time         // the last reading of the marks is valid until then
	looked bool              // the marks were read since the run left its own
	waited bool              // the run has waited until no call of an earlier run can be under way
	stop   error             // why it is not the run's turn; nil: it is
	users  map[string]string // ids of the users that have the run's mark, by name
	ids    map[string]string // ids of the users that the run has seen and needs, by name
	failed plan.Failed       // what has ended the run

	mu              sync.Mutex        // guards the fields below
	deleted         map[string]bool   // users that the run had to remove, and that are deleted
	wrote           bool              // the run has called AWS to change something
	created         bool              // the run has created something; IAM may not show it yet
	locked          map[string]string // see plan.Observed.Locked
	createdUser     bool              // the run itself has created the user
	createdPolicies map[string]bool   // policies that the run has created, or may have
	result          Result
	// policies are the user's policies, by name.
	policies  map[string]access.Policy
	minted    access.Credentials // the key that this run issued
	version   string             // the version that holds it; empty: none
	promoting bool               // the run may have made it current
	promoted  bool               // it is current
	unproven  bool               // the key could not be proven, and a rollback goes on without that
}

func (p *Provisioner) begin(event order.Run, owner name.Owner) *run {
	r := &run{Provisioner: p, event: event, owner: owner, looks: make(chan struct{}, 1), users: map[string]string{}, createdPolicies: map[string]bool{}, ids: map[string]string{}, deleted: map[string]bool{}, locked: map[string]string{}}
	r.Writer = turn.Writer{Hold: r.hold, Note: r.note}
	r.issuer = issue.Issuer{Guard: r, Keys: p.Keys, Versions: p.Versions, Secrets: p.Secrets, Prober: p.Prober, Log: p.Log}
	return r
}

// note records that the run changes something.
func (r *run) note() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrote = true
}

// wait returns how long to wait for what the run may have created itself.
func (r *run) wait() patience.For {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.created {
		return patience.JustMade
	}
	return patience.Nothing
}

// Result is the resource once everything is as declared.
type Result struct {
	UserName    string
	UserARN     string
	PolicyARNs  []string // in the order of their numbers
	AccessKeyID string
	SecretARN   string
	SecretName  string
	// SecretVersionID is the version labelled AWSCURRENT.
	SecretVersionID string
	// Left is what a failed Create may have left.
	Left Left
}

// Left is what a failed Create may have left.
type Left int

const (
	// Unknown: the Create could not see what exists.
	Unknown Left = iota
	// Nothing: the Create has created nothing, or removed all of it.
	Nothing
	// Something may exist, and a Delete has to remove it.
	Something
)

// look starts from what was observed.
func (r *run) look(seen plan.Observed) {
	r.seen = seen
	r.result = Result{UserName: r.want.Spec.UserName, SecretName: r.want.Spec.SecretName}
	r.policies = map[string]access.Policy{}
	r.minted, r.version, r.promoting, r.promoted, r.unproven = access.Credentials{}, "", false, false, false
	if seen.User != nil {
		r.result.UserARN = seen.User.ARN
	}
	for _, policy := range seen.Policies {
		r.policies[policy.Name] = policy
	}
	if seen.Secret != nil {
		r.result.SecretARN = seen.Secret.ARN
		current, _ := seen.Secret.Labelled(access.Current)
		r.current(current.ID, keyring.KeyID(current))
	}
}

// current records which version is AWSCURRENT now, and its key.
func (r *run) current(version, keyID string) {
	r.result.SecretVersionID, r.result.AccessKeyID = version, keyID
}

// done returns the result.
func (r *run) done() Result {
	user := r.want.Spec.UserName
	number := func(policy access.Policy) int { n, _ := name.PolicyNumber(user, policy.Name); return n }
	policies := slices.SortedFunc(maps.Values(r.policies), func(a, b access.Policy) int { return number(a) - number(b) })
	r.result.PolicyARNs = make([]string, len(policies))
	for i, policy := range policies {
		r.result.PolicyARNs[i] = policy.ARN
	}
	return r.result
}
