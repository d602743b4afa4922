package plan

import (
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
)

// notAllowed refuses what the provider's owner has not allowed, or no longer. What the
// user or the secret has already stays, and so does what was accepted before:
// a rollback is never refused for a limit that the owner has set since.
func (p *planner) notAllowed() error {
	if p.back {
		return nil
	}
	var problems []string
	for _, n := range p.want.Spec.NotAllowed {
		if has := stands[n.Property]; has == nil || !has(p.seen, n.Value) {
			problems = append(problems, n.Problem)
		}
	}
	if len(problems) > 0 {
		return Refused(strings.Join(problems, "; "))
	}
	return nil
}

// stands says, for each property that the provider's owner can limit, whether the user
// or its secret has the value already, or has none where it is empty.
var stands = map[string]func(seen Observed, value string) bool{
	"Buckets": func(seen Observed, value string) bool {
		return seen.grants(func(of access.Scope) bool {
			return slices.ContainsFunc(of.Places, func(has access.Place) bool { return has.Covers(access.Place(value)) })
		})
	},
	"SourceIps": func(seen Observed, value string) bool {
		return seen.grants(func(of access.Scope) bool { return slices.Contains(of.SourceIPs, value) })
	},
	"ExpiresAt": func(seen Observed, value string) bool {
		return seen.grants(func(of access.Scope) bool {
			return of.ExpiresAt.IsZero() && value == "" || of.ExpiresAt.Format(time.RFC3339) == value
		})
	},
	"SecretKmsKeyId": func(seen Observed, value string) bool {
		has := func(secret access.SecretInfo) bool { return secret.Tags[name.TagKMSKey] == value }
		return seen.Secret != nil && has(*seen.Secret) || slices.ContainsFunc(seen.Formers, has)
	},
	"SecretReaders": func(seen Observed, value string) bool {
		readers, _, _ := policy.ReadersOf(seen.ResourcePolicy)
		return slices.Contains(readers, value)
	},
}

// grants reports whether one of the user's policies is for such a scope.
func (o Observed) grants(such func(access.Scope) bool) bool {
	for _, existing := range o.Policies {
		if scope, ours := policy.Claimed(existing.Document); ours && such(scope) {
			return true
		}
	}
	return false
}
