package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/sandbox"
)

// whole is a user as it shall be, by moto's own books.
type whole struct {
	user    string
	secret  string   // that names one of its keys; empty: none does
	keys    int      // at most; there is one at least
	current string   // the key that AWSCURRENT names; empty: any of the user's
	buckets []string // that its policies name, and no other
}

// holds returns what the account has otherwise than it shall have of the life:
// these users, each whole, and nothing else.
func (l *life) holds(shall ...whole) error {
	held, err := l.s.Holdings(context.Background())
	if err != nil {
		return err
	}
	var wrong []error
	complain := func(format string, arguments ...any) { wrong = append(wrong, fmt.Errorf(format, arguments...)) }
	ours := func(stack, name string) bool {
		return stack == l.stackID() || strings.Contains(name, l.name+"-") || strings.HasSuffix(name, l.name)
	}
	find := func(match func(whole) bool) int { return slices.IndexFunc(shall, match) }

	live, attached, users := map[string]sandbox.HeldKey{}, map[string]string{}, map[string]bool{}
	for _, user := range held.Users {
		if !ours(user.Stack, user.Name) {
			continue
		}
		users[user.Name] = true
		i := find(func(w whole) bool { return w.user == user.Name })
		if i < 0 {
			complain("user %s is left, with %d keys", user.Name, len(user.Keys))
			continue
		}
		if len(user.Keys) < 1 || len(user.Keys) > shall[i].keys {
			complain("user %s has %d keys, not 1 to %d", user.Name, len(user.Keys), shall[i].keys)
		}
		if len(user.Policies) != 1 {
			complain("user %s has %d policies", user.Name, len(user.Policies))
		}
		for _, key := range user.Keys {
			live[key.ID+" of "+user.Name] = key
		}
		for _, arn := range user.Policies {
			attached[arn] = user.Name
		}
	}
	for _, w := range shall {
		if !users[w.user] {
			complain("there is no user %s", w.user)
		}
	}
	for _, policy := range held.Policies {
		if !ours(policy.Stack, policy.ARN) {
			continue
		}
		i := find(func(w whole) bool { return w.user == attached[policy.ARN] })
		if i < 0 {
			complain("policy %s is attached to nobody", policy.ARN)
			continue
		}
		for _, bucket := range []string{sandbox.SourceBucket, sandbox.SecondBucket, sandbox.DestinationBucket} {
			if named := strings.Contains(policy.Document, `"arn:aws:s3:::`+bucket+`"`); named != slices.Contains(shall[i].buckets, bucket) {
				complain("policy %s names %s: %v", policy.ARN, bucket, named)
			}
		}
	}
	stored := map[string]bool{}
	for _, secret := range held.Secrets {
		if !ours(secret.Stack, secret.Name) {
			continue
		}
		stored[secret.Name] = true
		i := find(func(w whole) bool { return w.secret == secret.Name })
		if i < 0 {
			complain("secret %s is left", secret.Name)
			continue
		}
		wrong = append(wrong, recorded(shall[i], secret.Versions, live))
	}
	for _, w := range shall {
		if w.secret != "" && !stored[w.secret] {
			complain("there is no secret %s", w.secret)
		}
	}
	return errors.Join(wrong...)
}

// recorded returns what is wrong between a secret and the live keys of its
// user: AWSCURRENT names one of them, with its true secret half, and each of
// them is AWSCURRENT or AWSPREVIOUS.
func recorded(w whole, versions []sandbox.HeldVersion, live map[string]sandbox.HeldKey) error {
	var wrong []error
	current, known := "", map[string]bool{}
	for _, version := range versions {
		var value struct{ AccessKeyId, SecretAccessKey string }
		if err := json.Unmarshal([]byte(version.Value), &value); err != nil {
			wrong = append(wrong, fmt.Errorf("a version of %s holds no key: %w", w.secret, err))
		}
		if slices.Contains(version.Labels, "AWSCURRENT") {
			current = value.AccessKeyId
			key, lives := live[current+" of "+w.user]
			if !lives || !key.Active || key.Secret != value.SecretAccessKey {
				wrong = append(wrong, fmt.Errorf("AWSCURRENT of %s names %s, which is no live key of %s with this secret half", w.secret, current, w.user))
			}
		}
		if slices.Contains(version.Labels, "AWSCURRENT") || slices.Contains(version.Labels, "AWSPREVIOUS") {
			known[value.AccessKeyId] = true
		}
	}
	if current == "" || w.current != "" && w.current != current {
		wrong = append(wrong, fmt.Errorf("AWSCURRENT of %s names %q, not %q", w.secret, current, w.current))
	}
	for of, key := range live {
		if strings.HasSuffix(of, " of "+w.user) && !known[key.ID] {
			wrong = append(wrong, fmt.Errorf("secret %s does not record the live key %s", w.secret, of))
		}
	}
	return errors.Join(wrong...)
}
