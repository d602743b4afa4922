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
	// digits of what a tag remembers of a finding, and how many findings it holds: the
	// value of a tag has 256 characters.
	digits   = 8
	mostTold = 28
)

// tell tells those findings that were not told before, and returns what is to be
// remembered: the findings that stand and were told. A finding that went away and
// came back is told again.
//
// A crash after it: what was told is told once more, by the next sweep. Who receives
// it tells by its id that it is the same.
func (r *round) tell(ctx context.Context, before string, all report) (told string, err error) {
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
				// It would be told again each day.
				r.Log.WarnContext(ctx, "too many findings to remember; one was not told", "user", finding.UserName, "reason", finding.Reason)
				continue
			}
			if failed := r.Announcer.Announce(ctx, finding); failed != nil {
				err = errors.Join(err, said("telling of "+string(finding.Kind), failed))
				continue
			}
		}
		remembered = append(remembered, short)
	}
	slices.Sort(remembered)
	return strings.Join(remembered, " "), err
}

// tagUser changes tags that no event needs. It takes no turn for that.
func (r *round) tagUser(ctx context.Context, user string, set map[string]string, unset []string) error {
	if len(set)+len(unset) == 0 {
		return nil
	}
	err := patience.Nothing.Do(ctx, func() error { return r.iam.TagUser(ctx, user, set, unset) })
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	return said("noting what was told", err)
}

// noted is how the tag changes that remembers what was told.
func noted(before, told string) (set map[string]string, unset []string) {
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
