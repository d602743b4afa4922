package spec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cloney-s3-credentials/internal/lazyregexp"
	"cloney-s3-credentials/internal/name"
)

func (r *reader) refused(property string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool {
		return p.Property == property || strings.HasPrefix(p.Property, property+"[")
	})
}

func (r *reader) userName() string {
	user, given := r.scalar("UserName")
	if !given {
		return r.rules.Owner.User()
	}
	if !name.IsUser(user) {
		r.wrong("UserName", user, "is not a name that the provider can give a user; use 1 to %d letters, digits and _+=.@-, without a comma, which tags cannot hold", name.MaxUser)
	} else if _, named := r.properties["SecretName"]; !named {
		if problem, _ := secretNameProblem(name.Secret(user)); problem != "" {
			r.refuse("UserName", "the name of its secret, %s, %s; set SecretName as well", quote(name.Secret(user)), problem)
		}
	}
	return user
}

var (
	secretName = lazyregexp.New(`^[A-Za-z0-9/_+=.@-]+$`)
	arnSuffix  = lazyregexp.New(`-[A-Za-z0-9]{6}$`)
)

// secretNameProblem says what is wrong with a secret's name, and what to do; or
// nothing.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
func secretNameProblem(secret string) (problem, advice string) {
	switch {
	case !secretName.MatchString(secret):
		return "has characters other than letters, digits and /_+=.@-", "leave them out"
	case len(secret) > name.MaxSecret:
		return fmt.Sprintf("is longer than %d characters", name.MaxSecret), "shorten it"
	case !strings.HasPrefix(secret, name.SecretPrefix) || secret == name.SecretPrefix:
		return "does not have the form cloney/NAME, and the provider's role reaches no other secrets", "write cloney/NAME"
	case arnSuffix.MatchString(secret):
		return "ends in a hyphen and six characters, which Secrets Manager takes for the end of an ARN", "write another end"
	}
	return "", ""
}

func (r *reader) secretName(user string) string {
	secret, given := r.scalar("SecretName")
	if !given {
		return name.Secret(user)
	}
	if problem, advice := secretNameProblem(secret); problem != "" {
		r.wrong("SecretName", secret, "%s; %s", problem, advice)
	}
	return secret
}

// kmsKey takes what CreateSecret takes: a key's ARN, id or alias. It takes at most 256
// characters, because a tag keeps it, so that a change is seen. An ARN has to be in the
// region of the secret: AWS may find an error only when a value is stored, after the
// access key was created.
var kmsKey = lazyregexp.New(`^(arn:(aws(?:-[a-z]+)*):kms:([a-z0-9-]+):[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]+|alias/[A-Za-z0-9/_-]+|(mrk-)?[0-9a-f-]{32,36})$`)

// awsManaged is the alias of a key that AWS manages.
var awsManaged = lazyregexp.New(`^(?:arn:[^/]*:)?alias/aws/`)

func (r *reader) kmsKey() string {
	key, given := r.scalar("SecretKmsKeyId")
	m := kmsKey.FindStringSubmatch(key)
	stack := r.rules.Owner.Stack
	switch {
	case !given:
		if !r.refused("SecretKmsKeyId") {
			r.limitKMSKey("")
		}
	case m == nil || len(key) > 256:
		r.wrong("SecretKmsKeyId", key, "is not a KMS key; write its ARN, its id or alias/NAME")
	case m[2] != "" && m[2] != stack.Partition:
		r.wrong("SecretKmsKeyId", key, "is in another partition than the stack; write arn:%s:kms:%s:…", stack.Partition, stack.Region)
	case m[3] != "" && m[3] != stack.Region:
		r.wrong("SecretKmsKeyId", key, "is in another region than the stack and its secret; write arn:%s:kms:%s:…", stack.Partition, stack.Region)
	default:
		r.limitKMSKey(key)
	}
	return key
}

func (r *reader) serial() int {
	serial, given := r.scalar("Serial")
	if !given {
		return 1
	}
	n, ok := wholeNumber(serial, math.MaxInt32)
	if !ok {
		r.wrong("Serial", serial, "is not a whole number from 1 to 2147483647; raise it by one for a new key")
	}
	return n
}

// wholeNumber reads a number from 1 to most, without a sign, leading zeros or spaces.
func wholeNumber(text string, most int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= most && strconv.Itoa(n) == text
}

func (r *reader) verify() bool {
	verify, given := r.scalar("Verify")
	switch strings.ToLower(verify) {
	case "true":
		return true
	case "false":
		return false
	}
	if given {
		r.wrong("Verify", verify, "is neither true nor false; write one of them")
	}
	return true
}

// tagText matches what both IAM and Secrets Manager take in a tag.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html
var tagText = lazyregexp.New(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

func (r *reader) tags() map[string]string {
	value := r.properties["Tags"]
	if value == nil {
		return nil
	}
	entries, ok := value.([]any)
	if !ok {
		r.refuse("Tags", "is %s; write a list of {Key: …, Value: …}", kind(value))
		return nil
	}
	if len(entries) > MaxTags {
		r.refuse("Tags", "has %d entries, and can have at most %d, because the provider adds its own; leave some out", len(entries), MaxTags)
	}
	tags := map[string]string{}
	seen := map[string]string{} // to IAM, keys that differ in case alone are the same
	for i, entry := range entries {
		label := fmt.Sprintf("Tags[%d]", i)
		key, value, ok := tagPair(entry)
		if !ok {
			r.refuse(label, "is not {Key: …, Value: …}; write both, and nothing else")
			continue
		}
		lower := strings.ToLower(key)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128 || !tagText.MatchString(key):
			r.refuse(label, "the key %s %s", quote(key), filledIn(key, "is not a key that a tag can have; use 1 to 128 letters, digits, spaces and _.:/=+-@"))
		case strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, name.TagPrefix):
			r.refuse(label, "the key %s begins with aws: or cloney:, which AWS and the provider reserve for their own tags; use another key", quote(key))
		case utf8.RuneCountInString(value) > 256 || !tagText.MatchString(value):
			r.refuse(label, "the value of %s %s", quote(key), filledIn(value, "is not a value that a tag can have; use at most 256 letters, digits, spaces and _.:/=+-@"))
		case seen[lower] != "":
			r.refuse(label, "the key %s is also in %s, and IAM ignores the case of keys; leave one of them out", quote(key), seen[lower])
		default:
			seen[lower] = label
			tags[key] = value
		}
	}
	return tags
}

func tagPair(entry any) (key, value string, ok bool) {
	pair, _ := entry.(map[string]any)
	key, hasKey := text(pair["Key"])
	value, hasValue := text(pair["Value"])
	return key, value, hasKey && hasValue && len(pair) == 2
}
