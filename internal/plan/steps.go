package plan

import "cloney-s3-credentials/internal/access"

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
	DeleteUser struct{ Name string }

	// CreatePolicy makes the user's nth policy and attaches it.
	CreatePolicy struct {
		User, Name, Text string
		Tags             map[string]string
	}
	UpdatePolicy struct{ Name, Text string }
	TagPolicy    struct {
		Name  string
		Set   map[string]string
		Unset []string
	}
	// DeletePolicy detaches the policy from the user and deletes it.
	DeletePolicy struct{ User, Name string }

	CreateSecret struct {
		Name, KMSKey string
		Tags         map[string]string
	}
	RestoreSecret struct{ Name string }
	// RekeySecret encrypts the secret with another KMS key; empty: AWS's own.
	RekeySecret struct{ Name, KMSKey string }
	TagSecret   struct {
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
		Secret, Policy string
		// Gone: all who are not in the policy yet stand in it as ids: users and
		// roles that were there once, and were taken.
		Gone bool
	}
	// DeleteResourcePolicy takes our resource policy from the secret, and leaves
	// one that is someone else's.
	DeleteResourcePolicy struct{ Secret string }
	DeleteSecret         struct{ Name string }

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
	Prove struct{ Secret, Version string }
	// Promote moves AWSCURRENT to the version (empty: the minted one).
	Promote struct{ Secret, Version, From string }
	// Unlabel takes our label from a version whose key is gone, so that Secrets
	// Manager may drop the version: it keeps every labelled one, up to a limit.
	Unlabel struct{ Secret, Version, Label string }
	// DeleteKey deletes a key that is not in use.
	DeleteKey struct{ User, ID string }

	// Complete marks the user as finished. The last step of a plan.
	Complete struct {
		User     string
		Texts    []string // the documents, in the order of their numbers
		Verified bool
	}
)

func (s CreateUser) Effect() (verb, entity string)    { return "create user", s.Name }
func (s TagUser) Effect() (verb, entity string)       { return "tag user", s.Name }
func (s DeleteUser) Effect() (verb, entity string)    { return "delete user", s.Name }
func (s CreatePolicy) Effect() (verb, entity string)  { return "create policy", s.Name }
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
func (s DeleteKey) Effect() (verb, entity string) { return "delete key", s.ID + " of " + s.User }
func (s Complete) Effect() (verb, entity string)  { return "complete user", s.User }
