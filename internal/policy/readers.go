package policy

import (
	"encoding/json"
	"slices"
	"strings"
)

// MaxReadersSize is how many characters the resource policy of a secret may have.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MaxReadersSize = 20480

// readersSid is the id of our statement in a secret's resource policy. It distinguishes our
// policy from one that somebody attached by hand.
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
	// The policy belongs to the secret: * is this secret only.
	Resource oneOrMany
}

// Readers returns the resource policy that lets the principals, sorted, read a secret;
// empty: no policy.
func Readers(principals []string) string {
	if len(principals) == 0 {
		return ""
	}
	s := resourceStatement{Sid: readersSid, Effect: "Allow", Action: reading, Resource: oneOrMany{"*"}}
	s.Principal.AWS = principals
	return encode(resourcePolicy{"2012-10-17", []resourceStatement{s}})
}

// ReadersOf returns the principals of our statement in a resource policy, sorted. AWS shows
// an id in place of a user or role that was deleted. A policy without our statement belongs
// to somebody else: then ours is false. exact is false if the policy differs from what we
// write.
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

// sorted returns a resource policy with its lists as we write them; empty: the policy has
// parts that we never write.
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

// oneOrMany is a list that AWS may return as a single string.
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
