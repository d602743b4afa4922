package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

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
		r.refuse("UserName", "%s cannot be the name of a user; use 1 to %d letters, digits and _+=.@- (no comma, which tags cannot hold)", quote(user), name.MaxUser)
	} else if _, named := r.properties["SecretName"]; !named {
		if problem := secretNameProblem(name.Secret(user)); problem != "" {
			r.refuse("UserName", "its secret would be called %s, which %s; set SecretName as well", quote(name.Secret(user)), problem)
		}
	}
	return user
}

var (
	secretName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]+$`)
	arnSuffix  = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
)

// secretNameProblem says what is wrong with a secret's name, or nothing.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
func secretNameProblem(secret string) string {
	switch {
	case !secretName.MatchString(secret):
		return "holds other characters than letters, digits and /_+=.@-"
	case len(secret) > name.MaxSecret:
		return fmt.Sprintf("is longer than %d characters", name.MaxSecret)
	case !strings.HasPrefix(secret, name.SecretPrefix) || secret == name.SecretPrefix:
		return "does not begin with cloney/, the only secrets that the provider's role reaches"
	case arnSuffix.MatchString(secret):
		return "ends in a hyphen and six characters, which Secrets Manager takes for the end of an ARN"
	}
	return ""
}

func (r *reader) secretName(user string) string {
	secret, given := r.scalar("SecretName")
	if !given {
		return name.Secret(user)
	}
	if problem := secretNameProblem(secret); problem != "" {
		r.refuse("SecretName", "%s %s", quote(secret), problem)
	}
	return secret
}

// kmsKey takes what CreateSecret takes: a key's ARN, id or alias. 256
// characters at most, because it is kept as a tag, to see when it changes. An
// ARN has to be of the region where the secret is: AWS may notice only when a
// value is stored, and the key would have to be made before.
var kmsKey = regexp.MustCompile(`^(arn:(aws(?:-[a-z]+)*):kms:([a-z0-9-]+):[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]+|alias/[A-Za-z0-9/_-]+|(mrk-)?[0-9a-f-]{32,36})$`)

func (r *reader) kmsKey() string {
	key, given := r.scalar("SecretKmsKeyId")
	m := kmsKey.FindStringSubmatch(key)
	stack := r.rules.Owner.Stack
	switch {
	case !given:
	case m == nil || len(key) > 256:
		r.refuse("SecretKmsKeyId", "%s is no KMS key; write its ARN, its id or alias/NAME", quote(key))
	case m[2] != "" && m[2] != stack.Partition:
		r.refuse("SecretKmsKeyId", "%s is of another partition than the stack; write arn:%s:kms:%s:…", quote(key), stack.Partition, stack.Region)
	case m[3] != "" && m[3] != stack.Region:
		r.refuse("SecretKmsKeyId", "%s is of another region than the stack, where the secret is; write arn:%s:kms:%s:…", quote(key), stack.Partition, stack.Region)
	}
	return key
}

func (r *reader) serial() int {
	serial, given := r.scalar("Serial")
	if !given {
		return 1
	}
	n, err := strconv.ParseInt(serial, 10, 32)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != serial {
		r.refuse("Serial", "%s is no whole number from 1 to 2147483647; raise it by one for a new key", quote(serial))
	}
	return int(n)
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
		r.refuse("Verify", "%s is neither true nor false", quote(verify))
	}
	return true
}

// tagText is what IAM and Secrets Manager both take in a tag.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html
var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

func (r *reader) tags() map[string]string {
	value := r.properties["Tags"]
	if value == nil {
		return nil
	}
	entries, ok := value.([]any)
	if !ok {
		r.refuse("Tags", "is a %s; write a list of {Key: …, Value: …}", kind(value))
		return nil
	}
	if len(entries) > MaxTags {
		r.refuse("Tags", "are %d; AWS takes 50 on a user, of which %d are for the stack", len(entries), MaxTags)
	}
	tags := map[string]string{}
	seen := map[string]string{} // IAM tells keys apart without case
	for i, entry := range entries {
		label := fmt.Sprintf("Tags[%d]", i)
		key, value, ok := tagPair(entry)
		if !ok {
			r.refuse(label, "is not {Key: …, Value: …}")
			continue
		}
		lower := strings.ToLower(key)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128 || !tagText.MatchString(key):
			r.refuse(label, "the key %s is not 1 to 128 letters, digits, spaces and _.:/=+-@", quote(key))
		case strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, name.TagPrefix):
			r.refuse(label, "the key %s begins with a prefix that is not the stack's to use (aws:, cloney:)", quote(key))
		case utf8.RuneCountInString(value) > 256 || !tagText.MatchString(value):
			r.refuse(label, "the value of %s is not 0 to 256 letters, digits, spaces and _.:/=+-@", quote(key))
		case seen[lower] != "":
			r.refuse(label, "the key %s is there already, as %s; IAM does not tell capitals apart", quote(key), seen[lower])
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
