package accesstest

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
)

// mostPolicy is how many characters the resource policy of a secret may have.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const mostPolicy = 20480

// deadReader is the id that AWS shows in place of a deleted user or role.
const deadReader = "AROAEXAMPLEEXAMPLEEXA"

var reader = regexp.MustCompile(`^arn:aws:iam::[0-9]{12}:(root|(user|role)/[^*?]+)$`)

// ResourcePolicy returns the resource policy, with the ids of deleted readers.
func (a *Account) ResourcePolicy(ctx context.Context, name string) (text string, err error) {
	err = a.call(on(ctx, name), "GetResourcePolicy", func() error {
		s, err := a.open(name)
		if err == nil {
			text = a.shown(s)
		}
		return err
	})
	return text, err
}

func (a *Account) shown(s *secret) string {
	text := s.policy
	for arn, absent := range a.absent {
		if !absent {
			continue
		}
		text = strings.ReplaceAll(text, `"`+arn+`"`, `"`+deadReader+`"`)
	}
	return text
}

// PutResourcePolicy replaces the resource policy. The call blocks public access, as the
// client always does.
func (a *Account) PutResourcePolicy(ctx context.Context, name, policy string) error {
	return a.call(on(ctx, name), "PutResourcePolicy", func() error {
		s, err := a.open(name)
		if err != nil {
			return err
		}
		a.ours("secret "+name, s.tags)
		readers, ok := principals(policy)
		switch {
		case !ok || len(policy) > mostPolicy:
			return access.ErrInvalid
		case slices.ContainsFunc(readers, func(r string) bool { return strings.Contains(r, "*") }):
			return access.ErrPublic
		case !a.known(readers):
			return access.ErrPrincipal
		}
		s.policy = policy
		return nil
	})
}

// known reports whether the readers exist and are visible yet (Lag).
func (a *Account) known(readers []string) bool {
	known := true
	for _, r := range readers {
		if _, seen := a.unknown[r]; !seen {
			a.unknown[r] = a.Lag.Readers
		}
		if !reader.MatchString(r) || a.absent[r] || a.unknown[r] > 0 {
			known = false
		}
		a.unknown[r] = max(0, a.unknown[r]-1)
	}
	return known
}

// DeleteResourcePolicy deletes the resource policy.
func (a *Account) DeleteResourcePolicy(ctx context.Context, name string) error {
	return a.call(on(ctx, name), "DeleteResourcePolicy", func() error {
		s, err := a.open(name)
		if err != nil {
			return orAbsent(err)
		}
		a.ours("secret "+name, s.tags)
		s.policy = ""
		return nil
	})
}

// principals returns the principals that may read the secret by its policy.
func principals(policy string) (readers []string, ok bool) {
	var document struct {
		Version   string
		Statement []struct {
			Sid, Effect string
			Principal   map[string][]string
			Action      []string
			Resource    []string
		}
	}
	decoder := json.NewDecoder(strings.NewReader(policy))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&document) != nil || document.Version != "2012-10-17" {
		return nil, false
	}
	for _, s := range document.Statement {
		reads := slices.Contains(s.Action, "secretsmanager:GetSecretValue") && slices.Contains(s.Action, "secretsmanager:DescribeSecret") && len(s.Action) == 2
		if !reads || s.Effect != "Allow" || !slices.Equal(s.Resource, []string{"*"}) || len(s.Principal["AWS"]) == 0 {
			return nil, false
		}
		readers = append(readers, s.Principal["AWS"]...)
	}
	return readers, len(readers) > 0
}

// Readers returns the readers in a secret's resource policy, sorted.
func (a *Account) Readers(secret string) (readers []string) {
	a.byHand(func() {
		if s := a.secrets[secret]; s != nil {
			readers, _ = principals(a.shown(s))
		}
	})
	slices.Sort(readers)
	return readers
}

// SetReader says whether a user, role or account that reads exists.
func (a *Account) SetReader(arn string, exists bool) { a.byHand(func() { a.absent[arn] = !exists }) }

// AttachResourcePolicy attaches a resource policy of someone else.
func (a *Account) AttachResourcePolicy(secret, policy string) {
	a.byHand(func() { a.secrets[secret].policy = policy })
}

// AttachedResourcePolicy returns a secret's resource policy as it was put.
func (a *Account) AttachedResourcePolicy(secret string) (policy string) {
	a.byHand(func() { policy = a.secrets[secret].policy })
	return policy
}
