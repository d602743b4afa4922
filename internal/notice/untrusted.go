package notice

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"cloney-s3-credentials/internal/lazyregexp"
)

// The texts of a notice come from AWS, and from tags that anybody with the right to tag may
// have written. People read the texts and paste their commands. So each text is one line
// of printable characters with a limited length, and each part of a command is checked.
const (
	mostName     = 512  // characters of a name: those of the longest, a secret's
	mostSentence = 2000 // characters of a sentence
	mostSubject  = 100  // characters of a message's subject
)

var (
	isSecret = lazyregexp.New(`^cloney/[A-Za-z0-9/_+=.@-]+$`)
	isKey    = lazyregexp.New(`^[A-Z0-9]+$`)
	inARN    = lazyregexp.New(`^arn:aws[a-z-]*:secretsmanager:([a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}):[0-9]{12}:secret:`)
)

func name(text string) string     { return cut(line(text), mostName) }
func sentence(text string) string { return cut(line(text), mostSentence) }

// keyID returns the id of an access key for a text.
func keyID(id string) string {
	if len(id) < 16 || len(id) > 128 || !isKey.MatchString(id) {
		return "(its id is not known)"
	}
	return id
}

// regionOf returns the region of a secret's ARN; empty: the text is not such an ARN.
func regionOf(secretARN string) string {
	if m := inARN.FindStringSubmatch(secretARN); m != nil {
		return m[1]
	}
	return ""
}

// line returns the text as one line of printable characters.
func line(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// ascii replaces all characters that are not printable ASCII.
func ascii(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

// cut returns at most that many characters of the text.
func cut(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
