package plan

import (
	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/spec"
)

// Step is one thing to do. Effect names the action and its object, for the log and for
// errors. No step holds a secret value.
type Step interface {
	Effect() (verb, entity string)
}

// Describe says in a few words what a step does.
func Describe(s Step) string {
	verb, entity := s.Effect()
	return verb + " " + entity
}

// These are the steps of Converge and Remove, in no order.
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
	// PutBoundary sets the provider's permissions boundary on a user that has none, or that
	// has the one of an old deployment of the provider.
	PutBoundary struct {
		User string
		Old  string // ARN of the boundary before; empty: none
	}
	// TakeTurn makes sure that it is the run's turn to remove a user.
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
		// Token is the id of the version that holds the placeholder; empty: no placeholder.
		Token string
		// Tolerant: the KMS key was accepted before. If it cannot be used any more, the
		// secret is created with Instead, or else with aws/secretsmanager, and the log says
		// so.
		Tolerant bool
		Instead  string
	}
	RestoreSecret struct{ Name string }
	// RekeySecret encrypts the secret with another KMS key; empty: aws/secretsmanager. It
	// also tags the secret with its KMS key.
	RekeySecret struct {
		Name, KMSKey string
		// Read is a version that must be readable afterwards; empty: none.
		Read string
		// Tolerant: the KMS key was accepted before. If it cannot be used any more, the
		// secret goes back to From, the log says so, and the next run tries again.
		Tolerant bool
		From     string
	}
	TagSecret struct {
		Name  string
		Set   map[string]string
		Unset []string
	}
	// CopyVersions stores the values of one secret in another, with their labels, the
	// current one last.
	CopyVersions struct {
		From, To string
		Versions []access.Version
	}
	// PutResourcePolicy lets these readers read the secret, and nobody else.
	PutResourcePolicy struct {
		Secret  string
		Readers []string
		// Kept are the readers that may read already.
		Kept []string
		// Tolerant: the readers were accepted before, or ids stand in their place. Readers
		// that were deleted since are left out, and the log says so.
		Tolerant bool
	}
	// DeleteResourcePolicy deletes our resource policy of the secret. A policy of somebody
	// else stays.
	DeleteResourcePolicy struct{ Secret string }
	// DeleteSecret deletes a secret if it belongs to the user.
	DeleteSecret struct{ Name, User string }

	// Mint creates a key and stores it at once, labelled with its Serial. The key becomes
	// current at once only if no key is current yet.
	Mint struct {
		User, Secret string
		Serial       int
		Token        string // id of the stored version; only one run can store it
		First        bool
	}
	// Prove uses the key of the version (empty: the new one) until every bucket answers as
	// its role in the scope needs.
	Prove struct {
		Secret, Version string
		// Tolerant: all of this was accepted before. If a bucket has changed since, the log
		// says so, and the next run proves the key again.
		Tolerant bool
	}
	// Promote moves AWSCURRENT to the version (empty: the new one). With Note it records the
	// time: AWSCURRENT moves back to an older key, whose own time of creation does not tell.
	Promote struct {
		Secret, Version, KeyID, From string
		Note                         bool
	}
	// Unlabel removes a label from a version whose key is deleted, so that Secrets Manager
	// may delete the version: it keeps every labelled version, up to a limit.
	Unlabel struct{ Secret, Version, Label string }
	// Schedule makes Secrets Manager rotate the secret by the schedule, and not at once.
	Schedule struct {
		Secret, Expression string
		// Tolerant: all of this was accepted before. If Secrets Manager refuses, the log
		// says so, and the next run tries again.
		Tolerant bool
	}
	// CancelRotation stops the rotation of the secret.
	CancelRotation struct {
		Secret   string
		Tolerant bool // as in Schedule
	}
	// DeleteKey deletes a key that is not in use.
	DeleteKey struct{ User, ID string }

	// Complete marks the user as completed, and the run as ended. It is the last step of a
	// plan.
	Complete struct {
		User   string
		Before []string  // what the user remembers
		Spec   spec.Spec // what it remembers from now on
		Forget []string  // keys of its tags that are no longer needed
		// Unproven: a key, or its access, is new, and Verify: false means that it is not
		// proven.
		Unproven bool
		// Kept are old secrets that stay, and stay remembered.
		Kept []string
		// Other is a second user that has the run's mark; empty: none.
		Other       string
		OtherForget []string
	}
)

func (s CreateUser) Effect() (verb, entity string) { return "create user", s.Name }
func (s TagUser) Effect() (verb, entity string)    { return "tag user", s.Name }
func (s PutBoundary) Effect() (verb, entity string) {
	return "set the permissions boundary of user", s.User
}
func (s TakeTurn) Effect() (verb, entity string)      { return "wait for the turn on user", s.User }
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
	return "allow the readers of secret", s.Secret
}
func (s DeleteResourcePolicy) Effect() (verb, entity string) {
	return "delete the resource policy of secret", s.Secret
}
func (s DeleteSecret) Effect() (verb, entity string) { return "delete secret", s.Name }
func (s Mint) Effect() (verb, entity string)         { return "issue a key to", s.User }
func (s Prove) Effect() (verb, entity string)        { return "verify the key in secret", s.Secret }
func (s Promote) Effect() (verb, entity string)      { return "make the key current in secret", s.Secret }
func (s Unlabel) Effect() (verb, entity string) {
	return "remove a label from version", s.Version + " of secret " + s.Secret
}
func (s Schedule) Effect() (verb, entity string) { return "schedule the rotation of secret", s.Secret }
func (s CancelRotation) Effect() (verb, entity string) {
	return "stop the rotation of secret", s.Secret
}
func (s DeleteKey) Effect() (verb, entity string) { return "delete key", s.ID + " of " + s.User }
func (s Complete) Effect() (verb, entity string)  { return "complete user", s.User }
