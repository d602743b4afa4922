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
	seenAt   time.Time // when the look began that the plan is made from
	issuer   issue.Issuer
	removing bool // the run takes a user away that it has laid claim to

	looks  chan struct{}     // holds one while the marks are read
	until  time.Time         // for how long the last look holds
	looked bool              // the marks were read since the run left its own
	waited bool              // until no call of an earlier run can be under way
	stop   error             // why it is not the run's turn; nil: it is
	users  map[string]string // the users that carry the run's mark, and their ids
	ids    map[string]string // users that the run has seen and needs, and their ids
	failed plan.Failed       // what has ended the run

	mu     sync.Mutex        // guards what follows
	gone   map[string]bool   // users that are to go, and are gone
	wrote  bool              // it has called AWS to change something
	fresh  bool              // it has made something: IAM may not see it yet
	locked map[string]string // see plan.Observed.Locked
	own    bool              // it has made the user itself
	tried  map[string]bool   // policies that it has made, or may have
	result Result
	// policies of the user, by name.
	policies  map[string]access.Policy
	minted    access.Credentials // the key that this run issued
	version   string             // where it is stored; empty: nowhere
	promoting bool               // it is to become AWSCURRENT
	promoted  bool               // it is AWSCURRENT
	unproven  bool               // the key could not be proven, and a rollback goes on with it
}

func (p *Provisioner) begin(event order.Run, owner name.Owner) *run {
	r := &run{Provisioner: p, event: event, owner: owner, looks: make(chan struct{}, 1), users: map[string]string{}, tried: map[string]bool{}, ids: map[string]string{}, gone: map[string]bool{}, locked: map[string]string{}}
	r.Writer = turn.Writer{Hold: r.hold, Note: r.note}
	r.issuer = issue.Issuer{Guard: r, Keys: p.Keys, Versions: p.Versions, Secrets: p.Secrets, Prober: p.Prober, Log: p.Log}
	return r
}

// note notes that the run changes something.
func (r *run) note() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrote = true
}

// wait is for what the run may have made itself.
func (r *run) wait() patience.For {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh {
		return patience.JustMade
	}
	return patience.Nothing
}

// Result is what stands once everything is as desired.
type Result struct {
	UserName    string
	UserARN     string
	PolicyARNs  []string // in the order of their numbers
	AccessKeyID string
	SecretARN   string
	SecretName  string
	// SecretVersionID is the version that AWSCURRENT names.
	SecretVersionID string
	// Left is what a failed Create may have left.
	Left Left
}

// Left is what a failed Create may have left.
type Left int

const (
	// Unknown: it could not see what is there.
	Unknown Left = iota
	// Nothing: it has made nothing, or taken all of it back.
	Nothing
	// Something may be there, and has to go.
	Something
)

// look takes what was seen for what stands.
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

// current notes the version that AWSCURRENT names now, and its key.
func (r *run) current(version, keyID string) {
	r.result.SecretVersionID, r.result.AccessKeyID = version, keyID
}

// done is what stands.
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
