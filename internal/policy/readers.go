package policy

import (
	"encoding/json"
	"slices"
	"strings"
)

// MaxReadersSize is how many characters the resource policy of a secret may
// have.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MaxReadersSize = 20480

// readersSid names our statement in a secret's resource policy: by it a policy
// is told from one that someone attached by hand.
const readersSid = "CloneySecretReaders"

var reading = []string{"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}

type resourcePolicy struct {
	Version   string
	Statement []resourceStatement
}

type resourceStatement struct {
	Sid       string
	Effect    string
	Principal struct{ AWS oneOrMany }
	Action    oneOrMany
	// The policy is the secret's own: * is this secret and no other.
	Resource oneOrMany
}

// Readers returns the resource policy of a secret that the principals, sorted,
// may read; empty: no policy.
func Readers(principals []string) string {
	if len(principals) == 0 {
		return ""
	}
	s := resourceStatement{Sid: readersSid, Effect: "Allow", Action: reading, Resource: oneOrMany{"*"}}
	s.Principal.AWS = principals
	return encode(resourcePolicy{"2012-10-17", []resourceStatement{s}})
}

// ReadersOf returns whom our statement in a resource policy names, sorted. AWS
// shows an id of its own in the place of a user or role that is gone. A policy
// without our statement is someone else's, and ours is false. exact is false
// when it says anything else than we write.
func ReadersOf(text string) (principals []string, ours, exact bool) {
	var policy struct{ Statement []json.RawMessage }
	if json.Unmarshal([]byte(text), &policy) != nil {
		return nil, false, false
	}
	for _, raw := range policy.Statement {
		var sid struct{ Sid string }
		if json.Unmarshal(raw, &sid) != nil || sid.Sid != readersSid {
			continue
		}
		ours = true
		var s resourceStatement
		if json.Unmarshal(raw, &s) == nil {
			principals = append(principals, s.Principal.AWS...)
		}
	}
	slices.Sort(principals)
	principals = slices.Compact(principals)
	return principals, ours, len(principals) > 0 && sorted(text) == Readers(principals)
}

// sorted returns a resource policy with its lists as we write them; empty: it
// holds what we never write.
func sorted(text string) string {
	var policy resourcePolicy
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&policy) != nil {
		return ""
	}
	for _, s := range policy.Statement {
		for _, list := range [][]string{s.Principal.AWS, s.Action, s.Resource} {
			slices.Sort(list)
		}
	}
	return encode(policy)
}

// oneOrMany is a list, which AWS may give back as a single string.
type oneOrMany []string

// UnmarshalJSON reads a string as a list of one.
func (o *oneOrMany) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(o))
}
