package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/lazyregexp"
)

// The ARN of an account, or of a user or role with its path, without wildcards: a
// principal that a resource policy can hold.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
var readerARN = lazyregexp.New(`^arn:([a-z0-9-]+):iam::([0-9]{12}):(?:root|(?:user|role)/(?:[!#%-)+-.0->@-[\]-~]+/)*[\w+=,.@-]{1,64})$`)

// readers returns the ARNs of the readers of the secret. For a reader in another account
// the secret has to be encrypted with a key that can be shared, and an alias does not
// say which key that is.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples_cross.html
func (r *reader) readers(kmsKey string) []string {
	var arns []string
	stack := r.rules.Owner.Stack
	shared := r.peeking || kmsKeyARN.MatchString(kmsKey) || r.refused("SecretKmsKeyId")
	for _, item := range r.list("SecretReaders") {
		arn, account, problem := readerOf(item.text, stack.Partition)
		switch {
		case problem != "":
			r.wrong(item.property, item.text, "%s", problem)
		// In an Update the plan judges this. The rest is judged here.
		case r.limitReader(item, arn, account):
		case account != cmp.Or(r.rules.Account, stack.Account) && !shared:
			r.wrong(item.property, item.text, "is in another account than the secret, so the secret needs a customer managed key; set SecretKmsKeyId to the full ARN of one, like arn:%s:kms:REGION:ACCOUNT:key/ID, not to an alias, and let the reader use it in that key's policy", stack.Partition)
		default:
			arns = append(arns, arn)
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

// mayRead reports whether the provider's owner allows the reader.
func mayRead(arn, account string, allowedReaders []string) bool {
	return len(allowedReaders) == 0 || slices.ContainsFunc(allowedReaders, func(pattern string) bool {
		return pattern == account || Match(pattern, arn)
	})
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_User.html
const (
	mostARN  = 2048 // characters
	mostPath = 512  // of a user or role, with both of its slashes
)

// pathOf returns the path in the ARN of a user or role.
func pathOf(arn string) string {
	_, path, _ := strings.Cut(arn, "/")
	return "/" + path[:strings.LastIndex(path, "/")+1]
}

// readerOf returns the ARN and the account of a reader, or what is wrong with it. An
// account id stands for the ARN of the account.
func readerOf(text, partition string) (arn, account, problem string) {
	if len(text) > mostARN {
		return "", "", fmt.Sprintf("is longer than an ARN can be (%d characters); write the ARN of one account, user or role", mostARN)
	}
	if accountID.MatchString(text) {
		return "arn:" + partition + ":iam::" + text + ":root", text, ""
	}
	m := readerARN.FindStringSubmatch(text)
	switch {
	case m == nil:
		return "", "", notReader(text, partition)
	case m[1] != partition:
		return "", "", "is in another partition than the stack; write arn:" + partition + ":iam::…"
	case len(pathOf(text)) > mostPath:
		return "", "", fmt.Sprintf("has a path of %d characters, and a user or role has at most %d; write its own ARN", len(pathOf(text)), mostPath)
	}
	return text, m[2], ""
}

// notReader says what to write in place of text that is not a reader.
func notReader(text, partition string) string {
	iam := "arn:" + partition + ":iam::ACCOUNT:"
	switch {
	case strings.ContainsAny(text, "*?"):
		return "has a wildcard; name each account, user or role instead"
	case strings.Contains(text, ":sts:"):
		return "is a session; write the ARN of the role behind it, with its path: " + iam + "role/PATH/NAME"
	case strings.Contains(text, ":group/"):
		return "is a group, which a resource policy cannot name; write its users, or their account"
	case !strings.HasPrefix(text, "arn:") && strings.Contains(text, ".amazonaws."):
		return "is a service; only accounts, users and roles may read the secret"
	case strings.Trim(text, "0123456789") == "":
		return notAccount(text)
	}
	return "is not an account, a user or a role; write an account id, " + iam + "role/NAME or " + iam + "user/NAME"
}
