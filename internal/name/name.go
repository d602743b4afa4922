// Package name makes every name that the provider gives: users, policies,
// secrets, their path, and the ownership tags that tell ours from others'.
//
// All of it is pure and deterministic: the same stack and logical id give the
// same names for ever, so that a second delivery of an event, a retry after a
// crash and the Delete that follows all find what the first run made. It
// refuses nothing but stack ids; package spec judges what users write.
package name

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cloney-s3-credentials/internal/lazyregexp"
)

// Limits of IAM and Secrets Manager.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const (
	MaxUser   = 64  // characters of a user name
	MaxSecret = 512 // characters of a secret name
	// MaxPolicies is how many managed policies a user gets. AWS attaches ten, unless
	// the account asked for more: one place stays free for the policy with which AWS, or
	// somebody in a hurry, quarantines a user whose key has leaked.
	MaxPolicies = 9
	// MaxPolicyNumber is the highest number that a policy of ours can have: users from
	// before there was that place have ten.
	MaxPolicyNumber = 10
)

// SecretPrefix begins every secret's name: the function's role reaches no other.
const SecretPrefix = "cloney/"

// Tags that say whose an entity is, and what the provider remembers on it.
const (
	TagPrefix   = "cloney:"
	TagStack    = TagPrefix + "stack-id"
	TagLogical  = TagPrefix + "logical-id"
	TagPhysical = TagPrefix + "physical-id"
	// TagPolicies, on the user: the highest policy number ever made for it.
	TagPolicies = TagPrefix + "policies"
	// TagCompleted, on the user: what was completed and proven, see plan.Completed.
	// A user without it was left half-made.
	TagCompleted = TagPrefix + "completed"
	// TagKMSKey, on the secret: SecretKmsKeyId as the stack wrote it.
	TagKMSKey = TagPrefix + "kms-key"
	// KMSKeyChanges is its value while it changes: no stack writes that, so that
	// whoever comes next changes it again.
	KMSKeyChanges = "changing"
	// TagLocked, on a former secret that stays: its values could not be read.
	TagLocked = TagPrefix + "locked"
	// TagReaders, on the secret: it may have a resource policy of ours.
	TagReaders = TagPrefix + "readers"
	// TagPromoted, on the secret: when AWSCURRENT last went back to a former
	// version, RFC 3339. A new key's own time says when AWSCURRENT moved to it.
	TagPromoted = TagPrefix + "promoted-at"
	// TagGrace, on the secret: RotationGraceDays, where it is not the default.
	TagGrace = TagPrefix + "grace-days"
	// TagTold, on the user, and on a secret: digests of what was told of it, so that
	// nothing is told twice.
	TagTold = TagPrefix + "told"
	// TagSwept, on a secret: the user after whom the next sweep goes on.
	TagSwept = TagPrefix + "swept"
	// tagSecret, on the user, with a digest: the name of a secret that was ever
	// made for it. A tag's value holds half of the longest name.
	tagSecret = TagPrefix + "secret:"
)

// Stack is what a StackId says.
type Stack struct {
	ID        string
	Partition string // aws, aws-cn, aws-us-gov, aws-eusc, aws-iso …
	Region    string
	Account   string // 12 digits
	Name      string
}

var stackID = lazyregexp.New(`^arn:(aws(?:-[a-z]+)*):cloudformation:([a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}):([0-9]{12}):stack/([A-Za-z][-A-Za-z0-9]*)/([-A-Za-z0-9]+)$`)

// ParseStackID reads a StackId, an ARN of at most 256 characters (it must fit a
// tag's value). The zero Stack comes with every error.
func ParseStackID(id string) (Stack, error) {
	m := stackID.FindStringSubmatch(id)
	if m == nil || len(id) > 256 || len(m[4]) > 128 || len(m[5]) > 64 {
		return Stack{}, fmt.Errorf("StackId is not the ARN of a CloudFormation stack")
	}
	return Stack{ID: id, Partition: m[1], Region: m[2], Account: m[3], Name: m[4]}, nil
}

// Owner is whose an entity is: one resource of one stack.
type Owner struct {
	Stack   Stack
	Logical string
}

// Tags returns the ownership tags of an entity that belongs to the owner and,
// within it, to the physical id.
func (o Owner) Tags(physicalID string) map[string]string {
	return map[string]string{TagStack: o.Stack.ID, TagLogical: o.Logical, TagPhysical: physicalID}
}

// Owns reports whether an entity with these tags belongs to the owner,
// whichever its physical id.
func (o Owner) Owns(tags map[string]string) bool {
	return o.Stack.ID != "" && tags[TagStack] == o.Stack.ID && tags[TagLogical] == o.Logical
}

// OwnsAs reports whether an entity belongs to the owner under this physical id.
func (o Owner) OwnsAs(physicalID string, tags map[string]string) bool {
	return o.Owns(tags) && tags[TagPhysical] == physicalID
}

// LostAs reports whether an entity may be the owner's, under this physical id, but
// for tags that somebody took off or wrote over: at least one says nothing, and none
// says otherwise.
func (o Owner) LostAs(physicalID string, tags map[string]string) (lost bool) {
	for key, value := range o.Tags(physicalID) {
		switch is := tags[key]; {
		case is == value:
		case saysNothing(key, is):
			lost = true
		default:
			return false
		}
	}
	return lost
}

// saysNothing reports whether the provider has not written this value of an
// ownership tag, for whomever: it is empty, or not the id of a stack.
func saysNothing(key, value string) bool {
	if key == TagStack {
		_, err := ParseStackID(value)
		return err != nil
	}
	return value == ""
}

// Finished reports whether a user with these tags was ever completed. Until then it is
// half-made.
func Finished(userTags map[string]string) bool { return userTags[TagCompleted] != "" }

// hashLength characters of base32 hold 60 bits: two resources of one account
// do not meet by chance. IAM compares names without case, hence base32.
const hashLength = 12

// User returns the user name of a resource whose stack sets none:
// STACK-LOGICALID-HASH, at most 64 characters. The hash covers the whole
// StackId, hence the region too: IAM's names are one space for all regions.
func (o Owner) User() string {
	sum := sha256.Sum256([]byte(o.Stack.ID + "|" + o.Logical))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:hashLength]
	// What is left for the two readable parts after both hyphens. The shorter
	// one keeps all of itself, the longer one takes the rest.
	room := MaxUser - hashLength - 2
	stack, logical := o.Stack.Name, o.Logical
	if half := room / 2; len(stack) <= half {
		logical = cut(logical, room-len(stack))
	} else if len(logical) <= half {
		stack = cut(stack, room-len(logical))
	} else {
		stack, logical = cut(stack, half), cut(logical, room-half)
	}
	return stack + "-" + logical + "-" + hash
}

func cut(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}

var user = lazyregexp.New(`^[A-Za-z0-9_+=.@-]+$`)

// IsUser reports whether s can be the name of a user of ours: what IAM takes,
// but for the comma, which the value of a tag (TagPhysical) cannot hold.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
func IsUser(s string) bool { return len(s) <= 64 && user.MatchString(s) }

// Ids of Creates that failed. No user can be called so.
const (
	notCreated  = "not-created:"
	notFinished = "not-finished:"
)

// NotCreated is the physical id of a Create that has failed and left nothing. Its
// Delete does nothing.
func NotCreated(user string) string { return notCreated + user }

// IsNotCreated reports whether the id is one of NotCreated.
func IsNotCreated(id string) bool { return strings.HasPrefix(id, notCreated) }

// NotFinished is the physical id of a Create that has failed and does not know
// what is there. Its Delete takes what is half-made, or made by that event.
func NotFinished(event, user string) string { return notFinished + event + ":" + user }

// ParseNotFinished returns the parts of a NotFinished id.
func ParseNotFinished(id string) (event, user string, ok bool) {
	rest, ok := strings.CutPrefix(id, notFinished)
	event, user, both := strings.Cut(rest, ":")
	return event, user, ok && both && event != ""
}

// Secret returns the secret name of a user whose stack sets none.
func Secret(user string) string { return SecretPrefix + user }

// Path returns the IAM path of users and policies. It holds the region, so
// that the functions of two regions cannot touch each other's users.
func Path(region string) string { return "/cloney/" + region + "/" }

// boundaryPath is the IAM path of UserBoundary in every release of template.yaml.
// CloudFormation names it STACK-UserBoundary-RANDOM.
const (
	boundaryPath     = "/cloney-boundary/"
	boundaryResource = "-UserBoundary-"
)

// IsUserBoundary reports whether a boundary is a UserBoundary of a provider in the
// account of the user: of this one, or of one that was deployed before it.
func IsUserBoundary(boundary, userARN string) bool {
	account, _, found := strings.Cut(userARN, ":user/")
	called, under := strings.CutPrefix(boundary, account+":policy"+boundaryPath)
	return found && under && strings.Contains(called, boundaryResource)
}

// tagValue is how many characters a tag's value has.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
const tagValue = 256

// RememberSecret returns the tags that a user carries for a secret's name.
func RememberSecret(secret string) map[string]string {
	key := tagSecret + Token(secret)[:8]
	tags := map[string]string{key: cut(secret, tagValue)}
	if len(secret) > tagValue {
		tags[key+":2"] = secret[tagValue:]
	}
	return tags
}

// RememberedSecrets returns the names that a user's tags remember, sorted.
func RememberedSecrets(userTags map[string]string) (secrets []string) {
	for key, value := range userTags {
		if rest, ok := strings.CutPrefix(key, tagSecret); ok && !strings.Contains(rest, ":") {
			secrets = append(secrets, value+userTags[key+":2"])
		}
	}
	slices.Sort(secrets)
	return secrets
}

// ForgetSecrets returns the keys of the tags that remember other secrets than these.
func ForgetSecrets(userTags map[string]string, kept ...string) (keys []string) {
	stay := map[string]string{}
	for _, secret := range kept {
		maps.Copy(stay, RememberSecret(secret))
	}
	for key := range userTags {
		if _, stays := stay[key]; strings.HasPrefix(key, tagSecret) && !stays {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Policy returns the name of a user's nth managed policy, n from 1.
func Policy(user string, n int) string { return user + "-" + strconv.Itoa(n) }

// PolicyNumber returns n of Policy(user, n), or false for any other name.
func PolicyNumber(user, policy string) (int, bool) {
	rest, ok := strings.CutPrefix(policy, user+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 1 || n > MaxPolicyNumber || strconv.Itoa(n) != rest {
		return 0, false
	}
	return n, true
}

// LabelLatest is the staging label of the version that was stored last. Secrets
// Manager moves it along: it is on one version at a time.
const LabelLatest = TagPrefix + "latest"

// LabelTried is the staging label of the version that showed whether the secret's
// KMS key can be used. It holds no key.
const LabelTried = TagPrefix + "tried"

const keyLabel = TagPrefix + "serial:"

// KeyLabel returns the staging label that a secret's version carries from the
// moment it is stored: which Serial it was issued for, and which key it holds.
// Set in the same call as the value, it cannot disagree with it.
func KeyLabel(serial int, keyID string) string {
	return keyLabel + strconv.Itoa(serial) + ":" + keyID
}

// ParseKeyLabel reads a KeyLabel back, or returns false for any other label.
func ParseKeyLabel(label string) (serial int, keyID string, ok bool) {
	rest, ok := strings.CutPrefix(label, keyLabel)
	if !ok {
		return 0, "", false
	}
	number, keyID, ok := strings.Cut(rest, ":")
	serial, err := strconv.Atoi(number)
	if !ok || err != nil || serial < 1 || keyID == "" || strconv.Itoa(serial) != number {
		return 0, "", false
	}
	return serial, keyID, true
}

// Token returns the idempotency token of storing a value: the same parts give
// the same token, in the shape of the UUIDs that Secrets Manager is used to.
func Token(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// IsOf reports whether a user, by its ARN, is in the account of the stack, and on the
// path of its region.
func IsOf(userARN string, stack Stack) bool {
	return strings.HasPrefix(userARN, "arn:"+stack.Partition+":iam::"+stack.Account+":user"+Path(stack.Region))
}
