package plan

import (
	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/spec"
)

// Step is one thing to do. Effect says what, and to what, for the log and for
// errors; neither holds a secret, for no step does.
type Step interface {
	Effect() (verb, entity string)
}

// Describe says what a step does in a few words.
func Describe(s Step) string {
	verb, entity := s.Effect()
	return verb + " " + entity
}

// Steps of Converge and Remove, in no order.
type (
	CreateUser struct {
		Name string
		Tags map[string]string
	}
	TagUser struct {
		Name  string
		Set   map[string]string
		Unset []string
	}
	// PutBoundary puts the provider's permissions boundary on a user that carries
	// none, or one of a provider that was deployed before.
	PutBoundary struct {
		User   string
		Former string // ARN of the one before; empty: none
	}
	// TakeTurn makes sure that it is the run's turn to take a user away.
	TakeTurn   struct{ User string }
	DeleteUser struct{ Name string }

	CreatePolicy struct {
		User, Name, Text string
		Tags             map[string]string
	}
	AttachPolicy struct{ User, Name string }
	UpdatePolicy struct{ Name, Text string }
	TagPolicy    struct {
		Name  string
		Set   map[string]string
		Unset []string
	}
	DetachPolicy struct{ User, Name string }
	DeletePolicy struct{ Name, ARN string }

	CreateSecret struct {
		Name, KMSKey string
		Tags         map[string]string
		// Token names the version that holds the place of a key; empty: none.
		Token string
		// Tolerant: the key was accepted before. If it cannot be used any more, the
		// secret is made with Instead, or else with AWS's own, and the log says so.
		Tolerant bool
		Instead  string
	}
	RestoreSecret struct{ Name string }
	// RekeySecret encrypts the secret with another KMS key; empty: AWS's own. It tags
	// the secret with the key that it is under then.
	RekeySecret struct {
		Name, KMSKey string
		// Read is a version that has to be readable afterwards; empty: none has to.
		Read string
		// Tolerant: the key was accepted before. If it cannot be used any more, the
		// secret goes back to From, the log says so, and the next run tries again.
		Tolerant bool
		From     string
	}
	TagSecret struct {
		Name  string
		Set   map[string]string
		Unset []string
	}
	// CopyVersions stores the values of one secret in another, with their
	// labels, AWSCURRENT's last.
	CopyVersions struct {
		From, To string
		Versions []access.Version
	}
	// PutResourcePolicy says who may read the secret, and nobody else may.
	PutResourcePolicy struct {
		Secret  string
		Readers []string
		// Kept are those of them who may read already.
		Kept []string
		// Tolerant: the readers were accepted before, or ids stand in their place.
		// Those who are gone since are left out, and the log says so.
		Tolerant bool
	}
	// DeleteResourcePolicy takes our resource policy from the secret, and leaves
	// one that is someone else's.
	DeleteResourcePolicy struct{ Secret string }
	// DeleteSecret deletes a secret if it is the user's.
	DeleteSecret struct{ Name, User string }

	// Mint makes a key and stores it at once, labelled with its Serial. It
	// becomes AWSCURRENT with that only where nothing is AWSCURRENT yet.
	Mint struct {
		User, Secret string
		Serial       int
		Token        string // names the stored version; only one run can win it
		First        bool
	}
	// Prove uses the key of the version (empty: the minted one) until every
	// bucket answers as its role needs.
	Prove struct {
		Secret, Version string
		// Tolerant: all of this stood before. What has become of a bucket since is said
		// in the log, and the next run proves the key again.
		Tolerant bool
	}
	// Promote moves AWSCURRENT to the version (empty: the minted one), and
	// notes when if it goes back: a new key's own time says it.
	Promote struct {
		Secret, Version, KeyID, From string
		Note                         bool
	}
	// Unlabel takes a label from a version whose key is gone, so that Secrets
	// Manager may drop the version: it keeps every labelled one, up to a limit.
	Unlabel struct{ Secret, Version, Label string }
	// Schedule has Secrets Manager rotate the secret by the schedule, and not at once.
	Schedule struct {
		Secret, Expression string
		// Tolerant: all of this stood before. If Secrets Manager refuses, the log says
		// so, and the next run tries again.
		Tolerant bool
	}
	// CancelRotation has the secret rotated no more.
	CancelRotation struct {
		Secret   string
		Tolerant bool // as in Schedule
	}
	// DeleteKey deletes a key that is not in use.
	DeleteKey struct{ User, ID string }

	// Complete marks the user as finished, and the run as ended. The last step
	// of a plan.
	Complete struct {
		User   string
		Before []string  // what the user remembers
		Spec   spec.Spec // what it remembers from now on
		Forget []string  // keys of its tags that are superfluous
		// Unproven: a key, or what it may do, is new, and Verify: false has nobody
		// prove it.
		Unproven bool
		// Kept are former secrets that stay, and stay remembered.
		Kept []string
		// Other carries the run's mark too; empty: there is none.
		Other       string
		OtherForget []string
	}
)

func (s CreateUser) Effect() (verb, entity string) { return "create user", s.Name }
func (s TagUser) Effect() (verb, entity string)    { return "tag user", s.Name }
func (s PutBoundary) Effect() (verb, entity string) {
	return "put the permissions boundary on user", s.User
}
func (s TakeTurn) Effect() (verb, entity string)      { return "take the turn on user", s.User }
func (s DeleteUser) Effect() (verb, entity string)    { return "delete user", s.Name }
func (s CreatePolicy) Effect() (verb, entity string)  { return "create policy", s.Name }
func (s AttachPolicy) Effect() (verb, entity string)  { return "attach policy", s.Name }
func (s DetachPolicy) Effect() (verb, entity string)  { return "detach policy", s.Name }
func (s UpdatePolicy) Effect() (verb, entity string)  { return "update policy", s.Name }
func (s TagPolicy) Effect() (verb, entity string)     { return "tag policy", s.Name }
func (s DeletePolicy) Effect() (verb, entity string)  { return "delete policy", s.Name }
func (s CreateSecret) Effect() (verb, entity string)  { return "create secret", s.Name }
func (s RestoreSecret) Effect() (verb, entity string) { return "restore secret", s.Name }
func (s RekeySecret) Effect() (verb, entity string)   { return "change the KMS key of secret", s.Name }
func (s TagSecret) Effect() (verb, entity string)     { return "tag secret", s.Name }
func (s CopyVersions) Effect() (verb, entity string)  { return "copy secret", s.From + " to " + s.To }
func (s PutResourcePolicy) Effect() (verb, entity string) {
	return "let the readers read secret", s.Secret
}
func (s DeleteResourcePolicy) Effect() (verb, entity string) {
	return "let nobody else read secret", s.Secret
}
func (s DeleteSecret) Effect() (verb, entity string) { return "delete secret", s.Name }
func (s Mint) Effect() (verb, entity string)         { return "issue a key to", s.User }
func (s Prove) Effect() (verb, entity string)        { return "verify the key in secret", s.Secret }
func (s Promote) Effect() (verb, entity string)      { return "make the key current in secret", s.Secret }
func (s Unlabel) Effect() (verb, entity string) {
	return "forget version", s.Version + " of secret " + s.Secret
}
func (s Schedule) Effect() (verb, entity string) { return "schedule the rotation of secret", s.Secret }
func (s CancelRotation) Effect() (verb, entity string) {
	return "stop the rotation of secret", s.Secret
}
func (s DeleteKey) Effect() (verb, entity string) { return "delete key", s.ID + " of " + s.User }
func (s Complete) Effect() (verb, entity string)  { return "complete user", s.User }
