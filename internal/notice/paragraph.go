package notice

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	naming "cloney-s3-credentials/internal/name"
)

// Subject returns the subject of a message: at most 100 characters of ASCII, in one
// line, and none that is a control character.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
func (n Notice) Subject() string {
	subject := "Cloney credentials: " + string(n.Kind)
	if about := n.about(); about != "" {
		subject += ": " + about
	}
	return ascii(cut(subject, mostSubject))
}

// Paragraph returns the text to read: what has happened, why, what becomes of the
// former key, and what to do.
func (n Notice) Paragraph() string {
	sentences := []string{n.opening(), stop(sentence(n.Reason)), n.formerKey(), stop(sentence(n.next()))}
	var said []string
	for _, s := range sentences {
		if s != "" {
			said = append(said, s)
		}
	}
	return strings.Join(said, " ")
}

// opening says what has happened.
func (n Notice) opening() string {
	of := n.of()
	switch n.Kind {
	case Rotated:
		return fmt.Sprintf("The access key%s was replaced: key %s is current now.", of, keyID(n.AccessKeyID))
	case StillInUse:
		return fmt.Sprintf("The former access key %s%s was replaced, and is still in use.", keyID(n.FormerAccessKeyID), of)
	case Retired:
		return fmt.Sprintf("The former access key %s%s was deactivated: nobody uses it any more.", keyID(n.FormerAccessKeyID), of)
	case Failed:
		return fmt.Sprintf("The access key%s could not be rotated. The current key stays as it is.", of)
	case Orphan:
		return fmt.Sprintf("The daily sweep found something%s that nothing leads to any more. It was not touched.", of)
	case Drift:
		return fmt.Sprintf("The daily sweep found a change%s that this provider has not made. It was not touched.", of)
	case Old:
		return fmt.Sprintf("The access key %s%s is old.", keyID(n.AccessKeyID), of)
	}
	return fmt.Sprintf("%s%s.", n.Kind, of)
}

// of says whose the credentials are, as far as that is known.
func (n Notice) of() string {
	if about := n.about(); about != "" {
		return " of " + about
	}
	return ""
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

// formerKey says what becomes of the former key while it works.
func (n Notice) formerKey() string {
	if n.FormerAccessKeyID == "" || n.RetireAfter.IsZero() {
		return ""
	}
	return fmt.Sprintf("The old key %s still works; %s. It is retired once it has gone unused for the resource's grace (RotationGraceDays), on %s at the earliest.",
		keyID(n.FormerAccessKeyID), n.lastUse(), day(n.RetireAfter))
}

func (n Notice) lastUse() string {
	use := n.LastUse
	if use.Time.IsZero() {
		return "no use of it was recorded"
	}
	return fmt.Sprintf("it was last used on %s, for %s in %s", day(use.Time), name(use.Service), name(use.Region))
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// next is what to do; who replaces a key need not say it.
func (n Notice) next() string {
	if n.Next == "" && n.Kind == Rotated {
		return "Paste the new key into Cloney: " + ReadKey(n.SecretName, n.SecretARN)
	}
	return n.Next
}

// ReadKey returns the command that reads the current key from a secret, or where to
// look where the name is not one that can stand in a command.
func ReadKey(secretName, secretARN string) string {
	if len(secretName) > mostName || !isSecret.MatchString(secretName) {
		return "it is in the secret, in the console of AWS Secrets Manager"
	}
	command := "aws secretsmanager get-secret-value --secret-id " + secretName + " --query SecretString --output text"
	if region := regionOf(secretARN); region != "" {
		command += " --region " + region
	}
	return command
}

// stop makes a sentence of what may be the end of one. No stop follows a command: it
// would be pasted along.
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
