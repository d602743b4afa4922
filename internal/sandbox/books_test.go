package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/spec"
	"cloney-s3-credentials/internal/traces"
)

// whole is a user as it shall be, by moto's own books.
type whole struct {
	user     string
	declared spec.Spec
	secret   bool     // names one of its keys; else it is another user's
	keys     int      // at most; there is one at least
	current  string   // the key that AWSCURRENT names; empty: any of the user's
	given    []string // keys that CloudFormation was given
	// overtaken: an event may have been stopped before it made its key AWSCURRENT.
	overtaken bool
}

// declared returns what the properties declare.
func (s *stage) declared(props traces.Properties) (spec.Spec, error) {
	raw, err := json.Marshal(props)
	if err != nil {
		return spec.Spec{}, err
	}
	var delivered map[string]any
	if err := json.Unmarshal(raw, &delivered); err != nil {
		return spec.Spec{}, err
	}
	return spec.Parse(delivered, spec.Rules{Owner: s.owner()})
}

func (s *stage) owner() name.Owner {
	stack, err := name.ParseStackID(s.StackID)
	if err != nil {
		panic(err)
	}
	return name.Owner{Stack: stack, Logical: s.Logical}
}

// books returns what the account holds of the play: what has its tag or its name.
func (s *stage) books() (sandbox.Holdings, error) {
	held, err := s.lambda.s.Holdings(context.Background())
	others := func(stack, name string) bool { return stack != s.StackID && !strings.Contains(name, s.title) }
	held.Users = slices.DeleteFunc(held.Users, func(u sandbox.HeldUser) bool { return others(u.Stack, u.Name) })
	held.Policies = slices.DeleteFunc(held.Policies, func(p sandbox.HeldPolicy) bool { return others(p.Stack, p.ARN) })
	held.Secrets = slices.DeleteFunc(held.Secrets, func(h sandbox.HeldSecret) bool { return others(h.Stack, h.Name) })
	return held, err
}

// holds returns what the account has otherwise than it shall have of the play:
// these users, each whole, and nothing else.
func (s *stage) holds(shall ...whole) error {
	held, err := s.books()
	if err != nil {
		return err
	}
	var want, has []string
	for _, w := range shall {
		want = append(want, w.user, policyOf(w.user))
		if w.secret {
			want = append(want, w.declared.SecretName)
		}
	}
	for _, user := range held.Users {
		has = append(has, user.Name)
	}
	for _, policy := range held.Policies {
		has = append(has, policy.ARN)
	}
	for _, secret := range held.Secrets {
		has = append(has, secret.Name)
	}
	var wrong []error
	slices.Sort(want)
	slices.Sort(has)
	if diff := cmp.Diff(want, has, cmpopts.EquateEmpty()); diff != "" {
		wrong = append(wrong, fmt.Errorf("the account holds (-want +got):\n%s", diff))
	}
	for _, w := range shall {
		wrong = append(wrong, w.stands(held))
	}
	return errors.Join(wrong...)
}

// policyOf is the ARN of a user's only policy.
func policyOf(user string) string {
	return "arn:aws:iam::" + sandbox.Account + ":policy" + name.Path(sandbox.Region) + name.Policy(user, 1)
}

// stands returns what is wrong with the user.
func (w whole) stands(held sandbox.Holdings) error {
	var wrong []error
	for _, user := range held.Users {
		if user.Name == w.user {
			wrong = append(wrong, w.owns(user))
			for _, secret := range held.Secrets {
				if secret.Name == w.declared.SecretName && w.secret {
					wrong = append(wrong, w.recorded(secret, user.Keys))
				}
			}
		}
	}
	for _, policy := range held.Policies {
		if policy.ARN == policyOf(w.user) {
			wrong = append(wrong, w.allowed(policy.Document))
		}
	}
	return errors.Join(wrong...)
}

func (w whole) owns(user sandbox.HeldUser) error {
	live := func(id string) bool {
		return slices.ContainsFunc(user.Keys, func(key sandbox.HeldKey) bool { return key.ID == id && key.Active })
	}
	for _, key := range w.given {
		if !live(key) {
			return fmt.Errorf("%s, which %s was given, lives no more", key, w.user)
		}
	}
	if len(user.Keys) < 1 || len(user.Keys) > w.keys || !slices.Equal(user.Policies, []string{policyOf(w.user)}) {
		return fmt.Errorf("user %s has %d keys, not 1 to %d, and the policies %v", w.user, len(user.Keys), w.keys, user.Policies)
	}
	return nil
}

// allowed returns what the policy says that is not declared: of the buckets that
// plays name, and of the roles.
func (w whole) allowed(document string) error {
	var wrong []error
	is := func(what string, says, declared bool) {
		if says != declared {
			wrong = append(wrong, fmt.Errorf("the policy of %s names %s: %v", w.user, what, says))
		}
	}
	for _, bucket := range buckets {
		is(bucket, strings.Contains(document, `"arn:aws:s3:::`+bucket+`"`),
			slices.ContainsFunc(w.declared.Scope.Places, func(p access.Place) bool { return p.Bucket() == bucket }))
	}
	is("Source", strings.Contains(document, "CloneySourceAccess"), w.declared.Scope.Source)
	is("Destination", strings.Contains(document, "CloneyDestinationAccess"), w.declared.Scope.Destination)
	return errors.Join(wrong...)
}

// recorded returns what is wrong between a secret and the keys of its user:
// AWSCURRENT names one of them, of the Serial that is declared, with its true
// secret half; each of them is AWSCURRENT or AWSPREVIOUS, or was to be; and
// whoever is declared may read it, nobody else.
func (w whole) recorded(secret sandbox.HeldSecret, keys []sandbox.HeldKey) error {
	var wrong []error
	complain := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("%s: "+format, append([]any{secret.Name}, args...)...))
	}
	var current string
	known := map[string]bool{}
	for _, version := range secret.Versions {
		var value struct{ AccessKeyId, SecretAccessKey string }
		if err := json.Unmarshal([]byte(version.Value), &value); err != nil {
			complain("a version holds no key: %w", err)
		}
		if slices.Contains(version.Labels, "AWSCURRENT") {
			current = value.AccessKeyId
			if !slices.Contains(keys, sandbox.HeldKey{ID: current, Active: true, Secret: value.SecretAccessKey}) {
				complain("AWSCURRENT names %s, which is no live key of %s with this secret half", current, w.user)
			}
			if label := name.KeyLabel(w.declared.Serial, current); !slices.Contains(version.Labels, label) {
				complain("AWSCURRENT is no key for Serial %d: %v", w.declared.Serial, version.Labels)
			}
			known[current] = true
		}
		if slices.Contains(version.Labels, "AWSPREVIOUS") || w.overtaken && len(version.Labels) > 0 {
			known[value.AccessKeyId] = true
		}
	}
	if current == "" || w.current != "" && w.current != current {
		complain("AWSCURRENT names %q, not %q", current, w.current)
	}
	for _, key := range keys {
		if !known[key.ID] {
			complain("it does not record the live key %s", key.ID)
		}
	}
	for _, reader := range w.declared.Readers {
		if !strings.Contains(secret.Readers, `"`+reader+`"`) {
			complain("%s may not read it: %s", reader, secret.Readers)
		}
	}
	if len(w.declared.Readers) == 0 && strings.Contains(secret.Readers, "arn:") {
		complain("it is read by %s", secret.Readers)
	}
	return errors.Join(wrong...)
}
