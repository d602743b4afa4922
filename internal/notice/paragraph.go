package notice

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	naming "cloney-s3-credentials/internal/name"
)

// Subject returns the subject of a message: one line of at most 100 characters of ASCII,
// without control characters.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
func (n Notice) Subject() string {
	subject := "Cloney credentials: " + string(n.Kind)
	if about := n.about(); about != "" {
		subject += ": " + about
	}
	return ascii(cut(subject, mostSubject))
}

// Paragraph returns the text to read: first the stack and resource and what has happened,
// then the cause, then the replaced key, and then what to do.
func (n Notice) Paragraph() string {
	sentences := []string{n.opening(), stop(sentence(n.Reason)), n.formerKey(), stop(sentence(n.next()))}
	return strings.Join(slices.DeleteFunc(sentences, func(s string) bool { return s == "" }), " ")
}

// opening names the stack and the resource, as far as they are known, and says what has
// happened.
func (n Notice) opening() string {
	if about := n.about(); about != "" {
		return stop(about + ": " + n.happened())
	}
	return stop(n.happened())
}

func (n Notice) happened() string {
	switch n.Kind {
	case Rotated:
		return fmt.Sprintf("the access key was replaced. The current key is now %s.", keyID(n.AccessKeyID))
	case StillInUse:
		return fmt.Sprintf("access key %s was replaced, but it is still in use.", keyID(n.FormerAccessKeyID))
	case Retired:
		return fmt.Sprintf("the replaced access key %s was deactivated.", keyID(n.FormerAccessKeyID))
	case Failed:
		return "the access key could not be rotated. The current key stays as it is."
	case Orphan:
		return "the daily sweep found something that was left over. The sweep has not changed it."
	case Drift:
		return "the daily sweep found a change that this provider did not make. The sweep has not changed it."
	case Old:
		return fmt.Sprintf("access key %s is old.", keyID(n.AccessKeyID))
	}
	return string(n.Kind)
}

// about names the stack and the resource, or else the user or the secret.
func (n Notice) about() string {
	stack, err := naming.ParseStackID(n.StackID)
	switch {
	case err == nil && n.LogicalID != "":
		return fmt.Sprintf("stack %s, resource %s", stack.Name, name(n.LogicalID))
	case n.UserName != "":
		return "user " + name(n.UserName)
	case n.SecretName != "":
		return "secret " + name(n.SecretName)
	}
	return ""
}

// formerKey says when a replaced key that still works will be deactivated.
func (n Notice) formerKey() string {
	if n.FormerAccessKeyID == "" || n.RetireAfter.IsZero() {
		return ""
	}
	return fmt.Sprintf("The replaced key %s still works. %s. The daily sweep deactivates it when nobody has used it for the days of RotationGraceDays, on %s at the earliest.",
		keyID(n.FormerAccessKeyID), n.lastUse(), day(n.RetireAfter))
}

func (n Notice) lastUse() string {
	use := n.LastUse
	if use.Time.IsZero() {
		return "IAM shows no use of it"
	}
	return fmt.Sprintf("It was last used on %s, for %s in %s", day(use.Time), name(use.Service), name(use.Region))
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// next returns what to do. The same holds for every replaced key, so a notice need not
// say it.
func (n Notice) next() string {
	if n.Next == "" && n.Kind == Rotated {
		return "Paste the new key into Cloney: " + ReadKey(n.SecretName, n.SecretARN)
	}
	return n.Next
}

// ReadKey returns the command that reads the current key from a secret. If the name must
// not be part of a command, it returns where to find the key.
func ReadKey(secretName, secretARN string) string {
	if len(secretName) > mostName || !isSecret.MatchString(secretName) {
		return "open the secret in the console of AWS Secrets Manager"
	}
	command := "aws secretsmanager get-secret-value --secret-id " + secretName + " --query SecretString --output text"
	if region := regionOf(secretARN); region != "" {
		command += " --region " + region
	}
	return command
}

// stop makes a sentence of the text: a capital at the start and a full stop at the end. No
// stop follows a command, because readers would paste it too.
func stop(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if text == "" {
		return ""
	}
	text = string(unicode.ToUpper(first)) + text[size:]
	if strings.HasSuffix(text, ".") || endsInCommand(text) {
		return text
	}
	return text + "."
}

func endsInCommand(text string) bool {
	command := strings.LastIndex(text, ": aws ")
	return command >= 0 && !strings.Contains(text[command:], ". ")
}
