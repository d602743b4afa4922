package sweep

import (
	"context"
	"errors"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
)

const (
	// digits is how many digits of a finding's ID the tag keeps, and mostTold is how many
	// findings it keeps: the value of a tag can have 256 characters.
	digits   = 8
	mostTold = 28
)

// announce announces those findings that were not announced before. It returns the ids of
// the findings that are true and were announced; a tag keeps them until the next sweep. A
// finding that disappeared and came back is announced again.
//
// A crash after this: the next sweep announces the same findings once more. They have the
// same ID, so that a recipient can recognize them.
func (r *round) announce(ctx context.Context, before string, all report) (told string, err error) {
	var remembered []string
	known := strings.Fields(before)
	for _, id := range all.unsure {
		if slices.Contains(known, id[:digits]) {
			remembered = append(remembered, id[:digits])
		}
	}
	for _, finding := range all.findings {
		r.count(func(c *metric.Swept) { c.Findings++ })
		short := finding.ID[:digits]
		if !slices.Contains(known, short) {
			if len(remembered) >= mostTold {
				// Without a place in the tag it would be announced each day.
				r.Log.WarnContext(ctx, "the tag has no place for another finding, so it was not announced", "user", finding.UserName, "reason", finding.Reason)
				continue
			}
			if failed := r.Announcer.Announce(ctx, finding); failed != nil {
				err = errors.Join(err, wrap("announcing "+string(finding.Kind), failed))
				continue
			}
		}
		remembered = append(remembered, short)
	}
	slices.Sort(remembered)
	return strings.Join(remembered, " "), err
}

// tagUser changes tags that no event reads. So it needs no turn.
func (r *round) tagUser(ctx context.Context, user string, set map[string]string, unset []string) error {
	if len(set)+len(unset) == 0 {
		return nil
	}
	err := patience.Nothing.Do(ctx, func() error { return r.iam.TagUser(ctx, user, set, unset) })
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	return wrap("recording what was announced", err)
}

// changeOfTag returns how to change the tag that keeps the announced findings.
func changeOfTag(before, told string) (set map[string]string, unset []string) {
	switch told {
	case before:
		return nil, nil
	case "":
		return nil, []string{name.TagTold}
	}
	return map[string]string{name.TagTold: told}, nil
}

func (r *round) count(change func(*metric.Swept)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.counts)
}

// countKeys counts the active keys by age.
func (r *round) countKeys(h keyring.Holding) {
	r.count(func(c *metric.Swept) {
		for _, key := range h.Keys {
			if key.Active {
				c.Key(r.began.Sub(key.Created))
			}
		}
	})
}
