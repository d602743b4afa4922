// Package name builds every name that the provider gives: users, policies, secrets, their
// path, and the tags that say to which resource an entity belongs.
//
// It is pure and deterministic: the same stack and logical id always give the same names. So
// a second delivery of an event, a retry after a crash and a later Delete find what the
// first run created. It refuses only malformed stack ids; package spec checks what users
// write.
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

// These are limits of IAM and Secrets Manager.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const (
	MaxUser   = 64  // characters of a user name
	MaxSecret = 512 // characters of a secret name
	// MaxPolicies is how many managed policies a user gets. AWS allows ten attached policies
	// by default. One place stays free for the policy with which AWS, or a person in a
	// hurry, quarantines a user whose key has leaked.
	MaxPolicies = 9
	// MaxPolicyNumber is the highest number that a policy of ours can have: users of an
	// earlier release may have ten.
	MaxPolicyNumber = 10
)

// SecretPrefix begins every secret's name: the function's role reaches no other secrets.
const SecretPrefix = "cloney/"

// These tags say to which resource an entity belongs, and hold what the provider remembers.
const (
	TagPrefix   = "cloney:"
	TagStack    = TagPrefix + "stack-id"
	TagLogical  = TagPrefix + "logical-id"
	TagPhysical = TagPrefix + "physical-id"
	// TagPolicies, on the user: the highest number that any policy of the user ever had.
	TagPolicies = TagPrefix + "policies"
	// TagCompleted, on the user: what was completed and proven, see plan.CompletedTag. A user
	// without this tag is incomplete.
	TagCompleted = TagPrefix + "completed"
	// TagKMSKey, on the secret: SecretKmsKeyId as the stack wrote it.
	TagKMSKey = TagPrefix + "kms-key"
	// KMSKeyChanges is the value of TagKMSKey during a change. No stack declares it, so the
	// next run changes the KMS key again.
	KMSKeyChanges = "changing"
	// TagLocked, on an old secret that stays: its values could not be read.
	TagLocked = TagPrefix + "locked"
	// TagReaders, on the secret: it may have a resource policy of ours.
	TagReaders = TagPrefix + "readers"
	// TagPromoted, on the secret: when AWSCURRENT last moved back to an older key, in RFC
	// 3339. For a new key the key's own time of creation tells.
	TagPromoted = TagPrefix + "promoted-at"
	// TagGrace, on the secret: RotationGraceDays, where it is not the default.
	TagGrace = TagPrefix + "grace-days"
	// TagTold, on the user, and on a secret: digests of notices that were sent, so that none
	// is sent twice.
	TagTold = TagPrefix + "told"
	// TagSwept, on a secret: the user after which the next sweep continues.
	TagSwept = TagPrefix + "swept"
	// tagSecret, with a digest, on the user: the name of a secret that was ever created for
	// it. One tag's value holds half of the longest name.
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

// ParseStackID reads a StackId, an ARN of at most 256 characters, which fits into a tag's
// value. After an error the Stack is zero.
func ParseStackID(id string) (Stack, error) {
	m := stackID.FindStringSubmatch(id)
	if m == nil || len(id) > 256 || len(m[4]) > 128 || len(m[5]) > 64 {
		return Stack{}, fmt.Errorf("StackId is not the ARN of a CloudFormation stack")
	}
	return Stack{ID: id, Partition: m[1], Region: m[2], Account: m[3], Name: m[4]}, nil
}

// Owner is the owner of an entity: one resource of one stack.
type Owner struct {
	Stack   Stack
	Logical string
}

// Tags returns the tags of an entity that belongs to the owner and, within it, to the
// physical id.
func (o Owner) Tags(physicalID string) map[string]string {
	return map[string]string{TagStack: o.Stack.ID, TagLogical: o.Logical, TagPhysical: physicalID}
}

// Owns reports whether an entity with these tags belongs to the owner, under any physical
// id.
func (o Owner) Owns(tags map[string]string) bool {
	return o.Stack.ID != "" && tags[TagStack] == o.Stack.ID && tags[TagLogical] == o.Logical
}

// OwnsAs reports whether an entity belongs to the owner under this physical id.
func (o Owner) OwnsAs(physicalID string, tags map[string]string) bool {
	return o.Owns(tags) && tags[TagPhysical] == physicalID
}

// LostAs reports whether an entity may belong to the owner under this physical id although
// somebody removed or overwrote some of its tags: at least one tag says nothing, and no tag
// names another owner.
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

// saysNothing reports whether the provider cannot have written this value of a tag, for any
// owner: it is empty, or not the id of a stack.
func saysNothing(key, value string) bool {
	if key == TagStack {
		_, err := ParseStackID(value)
		return err != nil
	}
	return value == ""
}

// IsCompleted reports whether a user with these tags was ever completed.
func IsCompleted(userTags map[string]string) bool { return userTags[TagCompleted] != "" }

// hashLength characters of base32 hold 60 bits: two resources of one account do not get the
// same name by chance. It is base32 because IAM compares names without case.
const hashLength = 12

// User returns the user name for a resource that does not set UserName:
// STACK-LOGICALID-HASH, at most 64 characters. The hash covers the whole StackId, and so the
// region: IAM's names are shared by all regions.
func (o Owner) User() string {
	sum := sha256.Sum256([]byte(o.Stack.ID + "|" + o.Logical))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:hashLength]
	// room is what is left for the two readable parts after both hyphens. The shorter part
	// stays whole; the longer one gets the rest.
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

// IsUser reports whether s can be the name of a user of ours: all that IAM allows, without
// the comma, which the value of a tag (TagPhysical) cannot hold.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
func IsUser(s string) bool { return len(s) <= 64 && user.MatchString(s) }

// These begin the physical ids of failed Creates. No user can have such a name.
const (
	notCreated   = "not-created:"
	maybeCreated = "not-finished:"
)

// NotCreated is the physical id of a Create that failed and left nothing. Its Delete does
// nothing.
func NotCreated(user string) string { return notCreated + user }

// IsNotCreated reports whether the id is a NotCreated id.
func IsNotCreated(id string) bool { return strings.HasPrefix(id, notCreated) }

// MaybeCreated is the physical id of a Create that failed and does not know what it left. Its
// Delete removes what is incomplete, or was created by that event.
func MaybeCreated(event, user string) string { return maybeCreated + event + ":" + user }

// ParseMaybeCreated returns the parts of a MaybeCreated id.
func ParseMaybeCreated(id string) (event, user string, ok bool) {
	rest, ok := strings.CutPrefix(id, maybeCreated)
	event, user, both := strings.Cut(rest, ":")
	return event, user, ok && both && event != ""
}

// Secret returns the secret name for a resource that does not set SecretName.
func Secret(user string) string { return SecretPrefix + user }

// Path returns the IAM path of users and policies. It contains the region, so that the
// functions of two regions cannot change each other's users.
func Path(region string) string { return "/cloney/" + region + "/" }

// boundaryPath is the IAM path of UserBoundary in every release of template.yaml.
// CloudFormation names the policy STACK-UserBoundary-RANDOM.
const (
	boundaryPath     = "/cloney-boundary/"
	boundaryResource = "-UserBoundary-"
)

// IsUserBoundary reports whether a boundary is the UserBoundary of a provider in the user's
// account: of this deployment or of an old one.
func IsUserBoundary(boundary, userARN string) bool {
	account, _, found := strings.Cut(userARN, ":user/")
	called, under := strings.CutPrefix(boundary, account+":policy"+boundaryPath)
	return found && under && strings.Contains(called, boundaryResource)
}

// tagValue is the maximum length of a tag's value.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
const tagValue = 256

// RememberSecret returns the tags by which a user remembers a secret's name.
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

// ForgetSecrets returns the keys of the tags that remember other secrets than kept.
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

// Policy returns the name of a user's nth managed policy; n starts at 1.
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

// LabelLatest is the staging label of the version that was stored last. It is on one version
// at a time: Secrets Manager moves it to each new version.
const LabelLatest = TagPrefix + "latest"

// LabelTried is the staging label of the version that shows whether the secret's KMS key can
// be used. It holds no key.
const LabelTried = TagPrefix + "tried"

const keyLabel = TagPrefix + "serial:"

// KeyLabel returns the staging label of a version that holds a key: the Serial for which the
// key was issued, and the key's id. The label is set in the same call as the value, so they
// cannot disagree.
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

// Token returns the idempotency token for storing a value: the same parts give the same
// token. It has the form of a UUID, which Secrets Manager recommends.
func Token(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// IsOf reports whether a user, by its ARN, is in the stack's account and on the path of the
// stack's region.
func IsOf(userARN string, stack Stack) bool {
	return strings.HasPrefix(userARN, "arn:"+stack.Partition+":iam::"+stack.Account+":user"+Path(stack.Region))
}
