package policy

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// conditions are a statement's conditions: operator → key → values. All keys must match, and
// one value of each key.
type conditions map[string]map[string][]string

// These end statement ids. Each statement id begins with the id of its role; List and Keys
// are followed by a number.
const (
	bucketSid   = "Bucket"   // on whole buckets
	locationSid = "Location" // on buckets that are named with a prefix
	listSid     = "List"     // the same buckets, for one prefix
	objectsSid  = "Objects"
	keysSid     = "Keys" // KMS keys of one region
)

// grammar is what all documents of a scope share.
type grammar struct {
	partition string
	roles     []role
	narrowed  conditions          // on every statement of S3
	keyed     []keyGroup          // KMS keys by region
	lasting   map[string][]string // the condition of ExpiresAt; nil: none
}

type keyGroup struct {
	region string
	arns   []string
}

func newGrammar(scope access.Scope, partition string) grammar {
	g := grammar{partition: partition, narrowed: conditions{}}
	if scope.Source {
		g.roles = append(g.roles, source)
	}
	if scope.Destination {
		g.roles = append(g.roles, destination)
	}
	if scope.Owner != "" {
		g.narrowed["StringEquals"] = map[string][]string{"aws:ResourceAccount": {scope.Owner}}
	}
	if len(scope.SourceIPs) > 0 {
		g.narrowed["IpAddress"] = map[string][]string{"aws:SourceIp": scope.SourceIPs}
	}
	if !scope.ExpiresAt.IsZero() {
		g.lasting = map[string][]string{"aws:CurrentTime": {scope.ExpiresAt.UTC().Format(time.RFC3339)}}
		g.narrowed["DateLessThan"] = g.lasting
	}
	g.keyed = byRegion(scope.KMSKeys)
	return g
}

// byRegion groups key ARNs by region, because each key may be used only through the S3 of
// its own region.
func byRegion(arns []string) (groups []keyGroup) {
	regions := map[string][]string{}
	for _, arn := range arns {
		if parts := strings.SplitN(arn, ":", 5); len(parts) == 5 {
			regions[parts[3]] = append(regions[parts[3]], arn)
		}
	}
	for _, region := range slices.Sorted(maps.Keys(regions)) {
		groups = append(groups, keyGroup{region, regions[region]})
	}
	return groups
}

func (g grammar) bucketARN(p access.Place) string {
	return "arn:" + g.partition + ":s3:::" + p.Bucket()
}

func (g grammar) objectARN(p access.Place) string {
	return g.bucketARN(p) + "/" + escape(p.Prefix()) + "*"
}

// buckets are the statements about buckets themselves. For a place with a prefix, a list
// must name that prefix or a longer one: a list without a prefix, or with a shorter one,
// would show other keys. GetBucketLocation has no prefix.
func (g grammar) buckets(role role, places []access.Place) (statements []statement) {
	var whole, located []string
	lists := map[string][]string{} // prefix → buckets
	for _, p := range places {
		arn := g.bucketARN(p)
		if p.Prefix() == "" {
			whole = append(whole, arn)
			continue
		}
		located = append(located, arn)
		lists[p.Prefix()] = append(lists[p.Prefix()], arn)
	}
	if len(whole) > 0 {
		statements = append(statements, g.onBuckets(role.sid+bucketSid, []string{location, list}, whole))
	}
	if len(located) > 0 {
		statements = append(statements, g.onBuckets(role.sid+locationSid, []string{location}, slices.Compact(located)))
	}
	for i, prefix := range slices.Sorted(maps.Keys(lists)) {
		statements = append(statements, g.listing(role, strconv.Itoa(i+1), prefix, lists[prefix]))
	}
	return statements
}

func (g grammar) onBuckets(sid string, actions, arns []string) statement {
	return statement{sid, "Allow", actions, arns, g.narrowed}
}

func (g grammar) listing(role role, number, prefix string, arns []string) statement {
	s := g.onBuckets(role.sid+listSid+number, []string{list}, arns)
	s.Condition = maps.Clone(s.Condition)
	s.Condition["StringLike"] = map[string][]string{"s3:prefix": {escape(prefix) + "*"}}
	return s
}

func (g grammar) objects(role role, places []access.Place) statement {
	arns := make([]string, len(places))
	for i, p := range places {
		arns[i] = g.objectARN(p)
	}
	return statement{role.sid + objectsSid, "Allow", role.objects, arns, g.narrowed}
}

// keys are the statements about KMS keys. They hold only for calls through S3. S3 makes
// these calls for the user, from its own addresses, and for keys of any account: so
// SourceIps and BucketOwner do not apply here. The encryption context is left open: it is
// the object's ARN, or the bucket's if the bucket uses a bucket key.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
func (g grammar) keys(role role) (statements []statement) {
	for i, group := range g.keyed {
		when := conditions{"StringEquals": {"kms:ViaService": {"s3." + group.region + "." + name.Suffix(g.partition)}}}
		if g.lasting != nil {
			when["DateLessThan"] = g.lasting
		}
		statements = append(statements, statement{role.sid + keysSid + strconv.Itoa(i+1), "Allow", role.keys, group.arns, when})
	}
	return statements
}

// These are the characters that IAM reads as a wildcard or as the start of a variable, and
// how they are written literally.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
var (
	escaper   = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")
	unescaper = strings.NewReplacer("${*}", "*", "${?}", "?", "${$}", "$")
)

func escape(prefix string) string { return escaper.Replace(prefix) }

func unescape(text string) string { return unescaper.Replace(text) }
