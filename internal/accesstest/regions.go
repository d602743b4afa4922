package accesstest

import (
	"iter"

	"cloney-s3-credentials/internal/name"
)

// In returns the same account as a region shows it. Users, policies and keys are the same
// in all of them; secrets are the region's own. Entities of a region have its path.
func (c *common) In(region string) *Account {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.regions[region] == nil {
		c.regions[region] = &Account{common: c, region: region, secrets: map[string]*secret{}, busy: map[string]int{}}
	}
	return c.regions[region]
}

// path is what ARNs of IAM have between their type and the name.
func (a *Account) path() string { return name.Path(a.region) }

// everySecret returns the secrets of all regions, each with its region.
func (c *common) everySecret() iter.Seq2[string, *secret] {
	return func(yield func(string, *secret) bool) {
		for region, a := range c.regions {
			for _, s := range a.secrets {
				if !yield(region, s) {
					return
				}
			}
		}
	}
}
