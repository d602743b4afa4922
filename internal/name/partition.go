package name

import "strings"

// usual is the partition of regions whose names have none of the prefixes below.
const usual = "aws"

// partitions are AWS's partitions: the domain of each, and the prefix of its regions.
// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
var partitions = map[string]struct{ suffix, regions string }{
	usual:        {"amazonaws.com", ""},
	"aws-us-gov": {"amazonaws.com", "us-gov-"},
	"aws-cn":     {"amazonaws.com.cn", "cn-"},
	"aws-eusc":   {"amazonaws.eu", "eusc-"},
	"aws-iso":    {"c2s.ic.gov", "us-iso-"},
	"aws-iso-b":  {"sc2s.sgov.gov", "us-isob-"},
	"aws-iso-e":  {"cloud.adc-e.uk", "eu-isoe-"},
	"aws-iso-f":  {"csp.hci.ic.gov", "us-isof-"},
}

// Suffix returns the domain of a partition's services; empty: not known.
func Suffix(partition string) string { return partitions[partition].suffix }

// Partition returns the partition of a region. It also knows regions that AWS opens later,
// by their prefix.
func Partition(region string) string {
	for name, p := range partitions {
		if name != usual && strings.HasPrefix(region, p.regions) {
			return name
		}
	}
	return usual
}
