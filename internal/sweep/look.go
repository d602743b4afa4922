package sweep

import (
	"context"
	"errors"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
)

// seen is everything that the sweep has found about a user.
type seen struct {
	user    access.User
	created time.Time
	owner   name.Owner
	ours    bool // the user carries our tags, and they name this user
	holding keyring.Holding

	attached []string // names of our policies that are attached
	texts    []string // their texts; nil if one could not be read
	others   []string // ARNs of other policies that are attached
	inline   []string // names of its inline policies

	resource existence
	physical string // id of the resource, if it exists
	now      time.Time
	keyAge   time.Duration
}

// existence says whether a user's resource exists, by CloudFormation.
type existence int

const (
	unknown existence = iota // CloudFormation does not say
	exists                   // the resource has a physical id
	missing                  // the resource or its stack does not exist
)

// errDeleted means that the user was deleted after it was listed.
var errDeleted = errors.New("the user was deleted")

// look reads everything about a user.
func (r *round) look(ctx context.Context, listed access.ListedUser) (seen, error) {
	s := seen{created: listed.Created, now: time.Now(), keyAge: r.KeyAge}
	user, err := question(ctx, "reading the user", func() (access.User, error) { return r.iam.User(ctx, listed.Name) })
	if errors.Is(err, access.ErrNotFound) {
		return s, errDeleted
	}
	if err != nil {
		return s, err
	}
	s.user = user
	owner, ours := ownerOf(user.Tags)
	if s.owner, s.ours = owner, ours && owner.OwnsAs(user.Name, user.Tags); !s.ours {
		s.holding.Keys, err = r.keys(ctx, user.Name)
		return s, err
	}
	if s.holding, err = r.holding(ctx, user, r.secrets[resource(user.Tags)]); err != nil {
		return s, err
	}
	if err := r.rights(ctx, &s); err != nil {
		return s, err
	}
	s.resource, s.physical = r.resourceOf(ctx, s)
	return s, nil
}

// holding reads the keys of a user. These secrets may hold them.
func (r *round) holding(ctx context.Context, user access.User, secrets []access.SecretInfo) (h keyring.Holding, err error) {
	h = keyring.Holding{User: user.Name, Now: time.Now(), LastUse: map[string]access.LastUse{}}
	for _, secret := range secrets {
		if secret.Tags[name.TagPhysical] == user.Name {
			h.Secrets = append(h.Secrets, secret)
		} else {
			h.Others = append(h.Others, secret)
		}
	}
	if h.Keys, err = r.keys(ctx, user.Name); err != nil {
		return h, err
	}
	_, current, _ := h.Current()
	for _, key := range h.Keys {
		if key.ID == current.ID {
			continue
		}
		use, err := question(ctx, "reading the last use of key "+key.ID, func() (access.LastUse, error) { return r.iam.LastUse(ctx, key.ID) })
		if err != nil {
			return h, err
		}
		h.LastUse[key.ID] = use
	}
	return h, nil
}

func (r *round) keys(ctx context.Context, user string) ([]access.Key, error) {
	return question(ctx, "listing the user's keys", func() ([]access.Key, error) { return r.iam.Keys(ctx, user) })
}

// rights reads the policies of the user.
func (r *round) rights(ctx context.Context, s *seen) (err error) {
	user := s.user.Name
	var attached []string
	attached, err = question(ctx, "listing the user's policies", func() (ours []string, err error) {
		ours, s.others, err = r.iam.AttachedPolicies(ctx, user)
		return ours, err
	})
	if err != nil {
		return err
	}
	for _, policy := range attached {
		if _, ours := name.PolicyNumber(user, policy); ours {
			s.attached = append(s.attached, policy)
		} else {
			s.others = append(s.others, policy)
		}
	}
	s.inline, err = question(ctx, "listing the user's inline policies", func() ([]string, error) { return r.iam.Inline(ctx, user) })
	if err != nil {
		return err
	}
	slices.Sort(s.attached)
	slices.Sort(s.others)
	slices.Sort(s.inline)
	return r.texts(ctx, s)
}

// texts reads our policies. If one was created or replaced after the list, the next sweep
// reads it.
func (r *round) texts(ctx context.Context, s *seen) error {
	var texts []string
	for _, policy := range s.attached {
		version, listed := r.policies[policy]
		if !listed {
			return nil
		}
		text, err := question(ctx, "reading policy "+policy, func() (string, error) { return r.iam.PolicyText(ctx, policy, version) })
		if errors.Is(err, access.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		texts = append(texts, text)
	}
	s.texts = texts
	return nil
}

// resourceOf asks CloudFormation about the user's resource, if the stack is of this account
// and region.
func (r *round) resourceOf(ctx context.Context, s seen) (existence, string) {
	if !name.IsOf(s.user.ARN, s.owner.Stack) {
		return unknown, ""
	}
	id, err := question(ctx, "asking for the resource", func() (string, error) { return r.stacks.Resource(ctx, s.owner) })
	switch {
	case errors.Is(err, access.ErrNotFound):
		return missing, ""
	case err == nil && id != "":
		return exists, id
	case err != nil && !errors.Is(err, access.ErrDenied):
		r.Log.InfoContext(ctx, "CloudFormation did not say whether the resource exists", "user", s.user.Name, "error", err.Error())
	}
	return unknown, ""
}

// question repeats a question until AWS answers it. An error names the question.
func question[T any](ctx context.Context, what string, f func() (T, error)) (T, error) {
	answer, err := patience.Ask(ctx, patience.Nothing, f)
	return answer, wrap(what, err)
}
