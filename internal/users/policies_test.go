package users_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/users"
)

// AWS sends documents URL-encoded; one that is compared as it comes would be
// written again at every update.
func TestAPolicysDocumentIsDecoded(t *testing.T) {
	const text = `{"Version": "2012-10-17", "Resource": "arn:aws:s3:::a+b/100%é*"}`
	encoded := strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
	for label, sent := range map[string]string{
		"as AWS does": encoded,
		"a bare plus": strings.ReplaceAll(encoded, "%2B", "+"),
		"plain":       text,
	} {
		iam(t, func(call edgetest.Call, _ int) edgetest.Answer {
			if got := call.Form.Get("PolicyArn"); got != ours+"x-1" {
				t.Errorf("asked for %s", got)
			}
			if call.Operation == "GetPolicy" {
				return edgetest.Query(call.Operation, `<Policy><DefaultVersionId>v7</DefaultVersionId><Tags><member><Key>a</Key><Value>b</Value></member></Tags></Policy>`)
			}
			if got := call.Form.Get("VersionId"); got != "v7" {
				t.Errorf("%s is not the version in force", got)
			}
			return edgetest.Query(call.Operation, `<PolicyVersion><Document>`+sent+`</Document></PolicyVersion>`)
		}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
			got, err := u.Policy(t.Context(), "x-1")
			want := access.Policy{Name: "x-1", ARN: ours + "x-1", Document: text, Tags: map[string]string{"a": "b"}}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", label, err, diff)
			}
		})
	}
}

func TestAttachedPoliciesOfAllPages(t *testing.T) {
	page := func(more string, arns ...string) edgetest.Answer {
		members := ""
		for _, arn := range arns {
			members += "<member><PolicyArn>" + arn + "</PolicyArn></member>"
		}
		return edgetest.Query("ListAttachedUserPolicies", "<AttachedPolicies>"+members+"</AttachedPolicies>"+more)
	}
	iam(t, func(call edgetest.Call, n int) edgetest.Answer {
		if n%2 == 1 {
			return page("<IsTruncated>true</IsTruncated><Marker>m</Marker>", ours+"x-1", "arn:aws:iam::aws:policy/ReadOnlyAccess")
		}
		return page("", "arn:aws:iam::123456789012:policy/cloney/us-east-1/x-9", ours+"x-2")
	}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
		got, err := u.Attached(t.Context(), "x")
		if diff := cmp.Diff([]string{"x-1", "x-2"}, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		_, others, err := u.AttachedPolicies(t.Context(), "x")
		if diff := cmp.Diff([]string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::123456789012:policy/cloney/us-east-1/x-9"}, others); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// One that a list leaves out is one whose text the sweep does not judge.
func TestPoliciesOfAllPages(t *testing.T) {
	iam(t, func(call edgetest.Call, n int) edgetest.Answer {
		switch call.Operation {
		case "ListUserPolicies":
			return edgetest.Query(call.Operation, []string{"<PolicyNames><member>a</member></PolicyNames><IsTruncated>true</IsTruncated><Marker>m</Marker>", "<PolicyNames><member>b</member></PolicyNames>"}[n-1])
		case "GetPolicyVersion":
			if call.Form.Get("PolicyArn") != ours+"x-1" || call.Form.Get("VersionId") != "v7" {
				t.Errorf("asked for %v", call.Form)
			}
			return edgetest.Query(call.Operation, `<PolicyVersion><Document>%7B%22a%22%3A%22b%22%7D</Document></PolicyVersion>`)
		}
		if call.Form.Get("PathPrefix") != "/cloney/eu-west-1/" || call.Form.Get("Scope") != "Local" || call.Form.Get("OnlyAttached") != "" {
			t.Errorf("asked for %v", call.Form)
		}
		more := "<IsTruncated>true</IsTruncated><Marker>m</Marker>"
		if n == 2 {
			more = ""
		}
		return edgetest.Query(call.Operation, fmt.Sprintf("<Policies><member><PolicyName>x-%[1]d</PolicyName><DefaultVersionId>v%[1]d</DefaultVersionId></member></Policies>%[2]s", n, more))
	}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
		got, err := u.ListPolicies(t.Context())
		if diff := cmp.Diff(map[string]string{"x-1": "v1", "x-2": "v2"}, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		if text, err := u.PolicyText(t.Context(), "x-1", "v7"); err != nil || text != `{"a":"b"}` {
			t.Errorf("%q, %v", text, err)
		}
		if inline, err := u.Inline(t.Context(), "x"); err != nil || !slices.Equal(inline, []string{"a", "b"}) {
			t.Errorf("%v, %v", inline, err)
		}
	})
}

// versions is a policy as AWS keeps it: at most five versions, never less than
// the one in force.
type versions struct {
	ids     []string // the oldest first
	force   string
	next    int
	deleted []string
}

func (v *versions) answer(call edgetest.Call, _ int) edgetest.Answer {
	switch call.Operation {
	case "CreatePolicyVersion":
		if len(v.ids) == 5 {
			return edgetest.QueryError(409, "LimitExceeded", "x")
		}
		v.next++
		v.force = fmt.Sprintf("v%d", v.next)
		v.ids = append(v.ids, v.force)
	case "ListPolicyVersions":
		// Two on a page, in no order.
		page := map[string][]int{"": {1, 3}, "a": {0, 4}, "b": {2}}[call.Form.Get("Marker")]
		more := map[string]string{"": "<IsTruncated>true</IsTruncated><Marker>a</Marker>", "a": "<IsTruncated>true</IsTruncated><Marker>b</Marker>"}[call.Form.Get("Marker")]
		members := ""
		for _, i := range page {
			if i < len(v.ids) {
				members += fmt.Sprintf("<member><VersionId>%s</VersionId><IsDefaultVersion>%t</IsDefaultVersion><CreateDate>2026-01-0%dT00:00:00Z</CreateDate></member>", v.ids[i], v.ids[i] == v.force, i+1)
			}
		}
		return edgetest.Query(call.Operation, "<Versions>"+members+"</Versions>"+more)
	case "DeletePolicyVersion":
		id := call.Form.Get("VersionId")
		if id == v.force {
			return edgetest.QueryError(409, "DeleteConflict", "x")
		}
		for i := range v.ids {
			if v.ids[i] == id {
				v.ids = append(v.ids[:i:i], v.ids[i+1:]...)
				break
			}
		}
		v.deleted = append(v.deleted, id)
	case "DeletePolicy":
		if len(v.ids) > 1 {
			return edgetest.QueryError(409, "DeleteConflict", "x")
		}
		v.ids = nil
	}
	return edgetest.Query(call.Operation, "")
}

func TestTheSixthVersionTakesTheOldestsPlace(t *testing.T) {
	for label, c := range map[string]struct {
		have    versions
		deleted []string
	}{
		"room":           {versions{ids: []string{"v1", "v2"}, force: "v2", next: 2}, nil},
		"full":           {versions{ids: []string{"v3", "v4", "v5", "v6", "v7"}, force: "v7", next: 7}, []string{"v3"}},
		"old one in use": {versions{ids: []string{"v3", "v4", "v5", "v6", "v7"}, force: "v3", next: 7}, []string{"v4"}},
	} {
		have := c.have
		iam(t, have.answer, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
			if err := u.UpdatePolicy(t.Context(), "x-1", `{"new": true}`); err != nil {
				t.Errorf("%s: %v", label, err)
			}
			if diff := cmp.Diff(c.deleted, have.deleted); diff != "" || have.force != fmt.Sprintf("v%d", c.have.next+1) {
				t.Errorf("%s: %s in force\n%s", label, have.force, diff)
			}
			last := aws.Calls()[len(aws.Calls())-1]
			if last.Form.Get("PolicyDocument") != `{"new": true}` || last.Form.Get("SetAsDefault") != "true" {
				t.Errorf("%s: %v", label, last.Form)
			}
		})
	}
}

// Most policies have one version: nothing is listed before IAM refuses.
func TestAPolicyIsDeletedWithItsVersions(t *testing.T) {
	versionless := []string{"DeletePolicy"}
	for label, c := range map[string]struct {
		have  versions
		asked []string
	}{
		"one version": {versions{ids: []string{"v5"}, force: "v5"}, versionless},
		"five": {versions{ids: []string{"v3", "v4", "v5", "v6", "v7"}, force: "v5", next: 7}, slices.Concat(versionless,
			slices.Repeat([]string{"ListPolicyVersions"}, 3), slices.Repeat([]string{"DeletePolicyVersion"}, 4), versionless)},
	} {
		iam(t, c.have.answer, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
			if err := u.DeletePolicy(t.Context(), "x-1"); err != nil || len(c.have.ids) > 0 {
				t.Errorf("%s: %v, %v are left", label, err, c.have.ids)
			}
			if diff := cmp.Diff(c.asked, aws.Operations()); diff != "" {
				t.Errorf("%s: %s", label, diff)
			}
		})
	}
}

func TestAPolicyIsDetached(t *testing.T) {
	iam(t, func(call edgetest.Call, _ int) edgetest.Answer { return listing(call) }, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
		if err := u.DetachPolicy(t.Context(), "x", "x-1"); err != nil {
			t.Error(err)
		}
		if only := aws.Calls()[0]; len(aws.Calls()) != 1 || only.Operation != "DetachUserPolicy" || only.Form.Get("UserName") != "x" || only.Form.Get("PolicyArn") != ours+"x-1" {
			t.Errorf("%v", aws.Calls())
		}
	})
}

// Attached to someone else by hand, it stays, and the caller is told.
func TestAPolicyThatIsInUseElsewhere(t *testing.T) {
	iam(t, func(call edgetest.Call, _ int) edgetest.Answer {
		if call.Operation == "DeletePolicy" {
			return edgetest.QueryError(409, "DeleteConflict", "x")
		}
		return listing(call)
	}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
		if err := u.DeletePolicy(t.Context(), "x-1"); !errors.Is(err, access.ErrConflict) {
			t.Error(err)
		}
	})
}

// A tag is removed before another is set; without either nothing is asked.
func TestTags(t *testing.T) {
	iam(t, func(call edgetest.Call, _ int) edgetest.Answer { return listing(call) }, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
		err := errors.Join(
			u.TagUser(t.Context(), "x", nil, nil), u.TagPolicy(t.Context(), "x-1", nil, nil),
			u.TagUser(t.Context(), "x", map[string]string{"a": "b"}, []string{"c"}),
			u.TagPolicy(t.Context(), "x-1", map[string]string{"a": "b"}, []string{"c"}),
		)
		if diff := cmp.Diff([]string{"UntagUser", "TagUser", "UntagPolicy", "TagPolicy"}, aws.Operations()); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}
