package plan

import (
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/numbered"
	"cloney-s3-credentials/internal/policy"
)

// notAllowed refuses what the provider's owner does not allow, or does not allow any more.
// What the user or the secret already has stays, and so does what was accepted before: a
// rollback is never refused because the owner has set a limit since.
func (p *planner) notAllowed() error {
	if p.accepted {
		return nil
	}
	var problems []string
	for _, n := range p.want.Spec.NotAllowed {
		if has := alreadyHas[n.Property]; has == nil || !has(p.seen, n.Value) {
			problems = append(problems, n.Problem)
		}
	}
	if len(problems) > 0 {
		return Refused(numbered.Join(problems))
	}
	return nil
}

// alreadyHas reports, for each property that the provider's owner can limit, whether the user or
// its secret already has the value. An empty value means that it has none.
var alreadyHas = map[string]func(seen Observed, value string) bool{
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
		return seen.Secret != nil && has(*seen.Secret) || slices.ContainsFunc(seen.OldSecrets, has)
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
