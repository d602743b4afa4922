package users_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/users"
)

const (
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	aUser  = `<User><UserId>AIDAEXAMPLE</UserId><UserName>x</UserName><Arn>arn:aws:iam::123456789012:user/other/x</Arn><Path>/other/</Path><Tags><member><Key>cloney:stack-id</Key><Value>s</Value></member></Tags></User>`
)

// listing answers every list with nothing, and every other call with success.
func listing(call edgetest.Call) edgetest.Answer {
	if call.Operation == "ListAccessKeys" {
		return edgetest.Query(call.Operation, "<AccessKeyMetadata/>")
	}
	return edgetest.Query(call.Operation, "")
}

func TestAUserOfAnyPathIsSeen(t *testing.T) {
	iam(t, func(call edgetest.Call, _ int) edgetest.Answer { return edgetest.Query("GetUser", aUser) }, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
		got, err := u.User(t.Context(), "x")
		want := access.User{ID: "AIDAEXAMPLE", Name: "x", ARN: "arn:aws:iam::123456789012:user/other/x", Tags: map[string]string{"cloney:stack-id": "s"}, Boundary: access.Boundary{Ours: "arn:aws:iam::123456789012:policy/boundary"}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// A user whose boundary someone took off, or replaced, may get more than ours.
func TestWhetherAUserIsBounded(t *testing.T) {
	bounded := func(arn string) string {
		return strings.Replace(aUser, "</User>", "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>"+arn+"</PermissionsBoundaryArn></PermissionsBoundary></User>", 1)
	}
	const boundary = "arn:aws:iam::123456789012:policy/boundary"
	for _, c := range []struct {
		boundary, user string
		want           bool
	}{
		{boundary, bounded(boundary), true},
		{boundary, aUser, false},
		{boundary, strings.Replace(aUser, "</User>", "<PermissionsBoundary/></User>", 1), false},
		{boundary, bounded(boundary + "2"), false},
		{boundary, bounded(""), false},
		{"", aUser, true},
		{"", bounded(boundary), true},
	} {
		synctest.Test(t, func(t *testing.T) {
			aws := &edgetest.AWS{Answer: func(call edgetest.Call, _ int) edgetest.Answer { return edgetest.Query(call.Operation, c.user) }}
			u := users.New(aws.Config(t), users.Options{Path: "/p/", Boundary: c.boundary})
			if got, err := u.User(t.Context(), "x"); err != nil || got.Boundary.Holds() != c.want {
				t.Errorf("of %q, %s: %v, %v", c.boundary, c.user, got.Boundary, err)
			}
			// One that is made has it by the same call, whether its answer shows it or not.
			if got, err := u.CreateUser(t.Context(), "x", nil); err != nil || !got.Boundary.Holds() {
				t.Errorf("just made: %v, %v", got.Boundary, err)
			}
		})
	}
}

// There is no moment without tags, path or boundary.
func TestAUserIsMadeInOneCall(t *testing.T) {
	iam(t, func(edgetest.Call, int) edgetest.Answer { return edgetest.Query("CreateUser", aUser) }, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
		if _, err := u.CreateUser(t.Context(), "x", map[string]string{"a": "b"}); err != nil {
			t.Fatal(err)
		}
		form := aws.Calls()[0].Form
		form.Del("Version")
		want := url.Values{
			"Action": {"CreateUser"}, "UserName": {"x"}, "Path": {"/cloney/eu-west-1/"},
			"PermissionsBoundary": {"arn:aws:iam::123456789012:policy/boundary"},
			"Tags.member.1.Key":   {"a"}, "Tags.member.1.Value": {"b"},
		}
		if diff := cmp.Diff(want, form); diff != "" || len(aws.Calls()) != 1 {
			t.Errorf("%d calls\n%s", len(aws.Calls()), diff)
		}
	})
}

// One that a list leaves out is one that the guard does not see.
func TestUsersOfAllPages(t *testing.T) {
	iam(t, func(call edgetest.Call, n int) edgetest.Answer {
		if path := call.Form.Get("PathPrefix"); path != "/cloney/eu-west-1/" {
			t.Errorf("asked for those under %q", path)
		}
		// 5,000 users are to cost few calls.
		if most := call.Form.Get("MaxItems"); most != "1000" {
			t.Errorf("asked for %s at once", most)
		}
		if n > 2 {
			n -= 2 // the second list
		}
		more := "<IsTruncated>true</IsTruncated><Marker>m</Marker>"
		if n == 2 {
			more = "<IsTruncated>false</IsTruncated>"
		}
		return edgetest.Query("ListUsers", fmt.Sprintf("<Users><member><UserName>u%[1]d</UserName><UserId>AIDA%[1]d</UserId><CreateDate>2026-01-0%[1]dT00:00:00Z</CreateDate></member></Users>%[2]s", n, more))
	}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
		day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
		want := []access.ListedUser{{Name: "u1", ID: "AIDA1", Created: day(1)}, {Name: "u2", ID: "AIDA2", Created: day(2)}}
		got, err := u.ListUsers(t.Context())
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		names, err := u.List(t.Context())
		if diff := cmp.Diff([]string{"u1", "u2"}, names); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// A key is deactivated and nothing else: the same call could make one active again.
func TestAKeyIsDeactivated(t *testing.T) {
	iam(t, func(call edgetest.Call, _ int) edgetest.Answer { return edgetest.Query(call.Operation, "") }, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
		if err := u.DeactivateKey(t.Context(), "x", "AKIA1"); err != nil {
			t.Fatal(err)
		}
		form := aws.Calls()[0].Form
		form.Del("Version")
		want := url.Values{"Action": {"UpdateAccessKey"}, "UserName": {"x"}, "AccessKeyId": {"AKIA1"}, "Status": {"Inactive"}}
		if diff := cmp.Diff(want, form); diff != "" {
			t.Error(diff)
		}
	})
}

func TestABoundaryIsPutOnAUser(t *testing.T) {
	iam(t, func(call edgetest.Call, _ int) edgetest.Answer { return edgetest.Query(call.Operation, "") }, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
		if err := u.PutBoundary(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		form := aws.Calls()[0].Form
		form.Del("Version")
		want := url.Values{"Action": {"PutUserPermissionsBoundary"}, "UserName": {"x"}, "PermissionsBoundary": {"arn:aws:iam::123456789012:policy/boundary"}}
		if diff := cmp.Diff(want, form); diff != "" {
			t.Error(diff)
		}
	})
}

// A key that a list leaves out is one that a rotation does not see.
func TestKeysOfAllPages(t *testing.T) {
	keyOn := func(page int) string {
		status := []string{"Active", "Inactive"}[page%2]
		return fmt.Sprintf(`<AccessKeyMetadata><member><AccessKeyId>AKIA%d</AccessKeyId><Status>%s</Status><CreateDate>2026-01-0%dT00:00:00Z</CreateDate></member></AccessKeyMetadata>`, page, status, page)
	}
	iam(t, func(call edgetest.Call, n int) edgetest.Answer {
		if marker := call.Form.Get("Marker"); n > 1 && marker != fmt.Sprintf("m%d", n-1) {
			t.Errorf("page %d was asked for with %q", n, marker)
		}
		more := fmt.Sprintf("<IsTruncated>true</IsTruncated><Marker>m%d</Marker>", n)
		if n == 3 {
			more = "<IsTruncated>false</IsTruncated>"
		}
		return edgetest.Query("ListAccessKeys", keyOn(n)+more)
	}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
		day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
		want := []access.Key{{ID: "AKIA1", Created: day(1)}, {ID: "AKIA2", Active: true, Created: day(2)}, {ID: "AKIA3", Created: day(3)}}
		got, err := u.Keys(t.Context(), "x")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

func TestAKeyAndItsUse(t *testing.T) {
	iam(t, func(call edgetest.Call, n int) edgetest.Answer {
		switch {
		case call.Operation == "CreateAccessKey":
			return edgetest.Query(call.Operation, `<AccessKey><UserName>x</UserName><AccessKeyId>AKIA1</AccessKeyId><SecretAccessKey>`+secret+`</SecretAccessKey><Status>Active</Status></AccessKey>`)
		case n == 1:
			return edgetest.Query(call.Operation, `<UserName>x</UserName><AccessKeyLastUsed><Region>N/A</Region><ServiceName>N/A</ServiceName></AccessKeyLastUsed>`)
		}
		return edgetest.Query(call.Operation, `<AccessKeyLastUsed><Region>eu-west-1</Region><ServiceName>s3</ServiceName><LastUsedDate>2026-01-02T03:04:05Z</LastUsedDate></AccessKeyLastUsed>`)
	}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
		got, err := u.CreateKey(t.Context(), "x")
		if err != nil || got.KeyID != "AKIA1" || got.Secret.Reveal() != secret {
			t.Errorf("%v, %v", got, err)
		}
		if use, err := u.LastUse(t.Context(), "AKIA1"); err != nil || !use.Time.IsZero() {
			t.Errorf("never used: %+v, %v", use, err)
		}
		want := access.LastUse{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Service: "s3", Region: "eu-west-1"}
		if use, err := u.LastUse(t.Context(), "AKIA1"); err != nil || !cmp.Equal(use, want) {
			t.Errorf("%+v, %v", use, err)
		}
	})
}

// Deleting what does not exist succeeds.
func TestDeletingWhatIsGone(t *testing.T) {
	iam(t, func(call edgetest.Call, _ int) edgetest.Answer {
		return edgetest.QueryError(404, "NoSuchEntity", "x")
	}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
		for label, err := range map[string]error{
			"key": u.DeleteKey(t.Context(), "x", "AKIA1"), "user": u.DeleteUser(t.Context(), "x"), "policy": u.DeletePolicy(t.Context(), "x-1"), "attachment": u.DetachPolicy(t.Context(), "x", "x-1"),
		} {
			if err != nil {
				t.Errorf("%s: %v", label, err)
			}
		}
	})
}

func aKey(id string) string {
	return `<member><AccessKeyId>` + id + `</AccessKeyId><Status>Active</Status><CreateDate>2026-01-01T00:00:00Z</CreateDate></member>`
}

// leftovers are what keeps a user from being deleted, beside groups: how each is
// listed, and what takes it away.
var leftovers = []struct{ list, members, remove, parameter, id string }{
	{"ListAccessKeys", `<AccessKeyMetadata>` + aKey("AKIA1") + aKey("AKIA2") + `</AccessKeyMetadata>`, "DeleteAccessKey", "AccessKeyId", "AKIA1 AKIA2"},
	{"", "", "DeleteLoginProfile", "UserName", "x"},
	{"ListServiceSpecificCredentials", `<ServiceSpecificCredentials><member><ServiceSpecificCredentialId>ACCA1</ServiceSpecificCredentialId></member></ServiceSpecificCredentials>`, "DeleteServiceSpecificCredential", "ServiceSpecificCredentialId", "ACCA1"},
	{"ListSigningCertificates", `<Certificates><member><CertificateId>CERT1</CertificateId></member></Certificates>`, "DeleteSigningCertificate", "CertificateId", "CERT1"},
	{"ListSSHPublicKeys", `<SSHPublicKeys><member><SSHPublicKeyId>APKA1</SSHPublicKeyId></member></SSHPublicKeys>`, "DeleteSSHPublicKey", "SSHPublicKeyId", "APKA1"},
	{"ListAttachedUserPolicies", `<AttachedPolicies><member><PolicyArn>arn:aws:iam::aws:policy/ReadOnlyAccess</PolicyArn></member></AttachedPolicies>`, "DetachUserPolicy", "PolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess"},
	{"ListUserPolicies", `<PolicyNames><member>inline</member></PolicyNames>`, "DeleteUserPolicy", "PolicyName", "inline"},
	{"ListMFADevices", `<MFADevices><member><SerialNumber>arn:mfa</SerialNumber></member></MFADevices>`, "DeactivateMFADevice", "SerialNumber", "arn:mfa"},
}

func TestAUserIsStrippedOfWhatWasHungOnIt(t *testing.T) {
	for _, vanishing := range []bool{false, true} {
		removed := map[string]string{}
		iam(t, func(call edgetest.Call, n int) edgetest.Answer {
			if call.Operation == "DeleteUser" && n == 1 {
				return edgetest.QueryError(409, "DeleteConflict", "x")
			}
			for _, l := range leftovers {
				switch call.Operation {
				case l.list:
					return edgetest.Query(call.Operation, l.members)
				case l.remove:
					removed[l.remove] = strings.TrimSpace(removed[l.remove] + " " + call.Form.Get(l.parameter))
					if vanishing { // someone else was faster
						return edgetest.QueryError(404, "NoSuchEntity", "x")
					}
				}
			}
			return listing(call)
		}, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
			if err := u.DeleteUser(t.Context(), "x"); err != nil {
				t.Fatal(err)
			}
			for _, l := range leftovers {
				if removed[l.remove] != l.id {
					t.Errorf("%s: %q, want %q", l.remove, removed[l.remove], l.id)
				}
			}
			operations := aws.Operations()
			if operations[0] != "DeleteUser" || operations[len(operations)-1] != "DeleteUser" {
				t.Errorf("%v", operations)
			}
		})
	}
}

// What cannot be taken away is told, and the user stays.
func TestAUserThatCannotBeStripped(t *testing.T) {
	for _, l := range leftovers {
		iam(t, func(call edgetest.Call, n int) edgetest.Answer {
			switch call.Operation {
			case "DeleteUser":
				return edgetest.QueryError(409, "DeleteConflict", "x")
			case l.list:
				return edgetest.Query(call.Operation, l.members)
			case l.remove:
				return edgetest.QueryError(403, "AccessDenied", "x")
			}
			return listing(call)
		}, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
			if err := u.DeleteUser(t.Context(), "x"); !errors.Is(err, access.ErrDenied) {
				t.Errorf("%s: %v", l.remove, err)
			}
		})
	}
}

// A group is told of, and the user stays in it. All else is taken away before.
func TestAUserInAGroup(t *testing.T) {
	iam(t, func(call edgetest.Call, n int) edgetest.Answer {
		switch call.Operation {
		case "DeleteUser":
			return edgetest.QueryError(409, "DeleteConflict", "x")
		case "ListGroupsForUser":
			if call.Form.Get("Marker") == "" {
				return edgetest.Query(call.Operation, `<Groups><member><GroupName>admins</GroupName></member></Groups><IsTruncated>true</IsTruncated><Marker>m</Marker>`)
			}
			return edgetest.Query(call.Operation, `<Groups><member><GroupName>people</GroupName></member></Groups>`)
		}
		return listing(call)
	}, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
		err := u.DeleteUser(t.Context(), "x")
		var in access.InGroups
		if !errors.As(err, &in) || !slices.Equal(in.Groups, []string{"admins", "people"}) || !access.Definite(err) || errors.Is(err, access.ErrConflict) {
			t.Errorf("%v", err)
		}
		if operations := aws.Operations(); slices.Contains(operations, "RemoveUserFromGroup") || !slices.Contains(operations, "DeactivateMFADevice") && !slices.Contains(operations, "ListMFADevices") {
			t.Errorf("%v", operations)
		}
	})
	// In none: IAM still counts what was taken away.
	iam(t, func(call edgetest.Call, n int) edgetest.Answer {
		if call.Operation == "DeleteUser" {
			return edgetest.QueryError(409, "DeleteConflict", "x")
		}
		return listing(call)
	}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
		if err := u.DeleteUser(t.Context(), "x"); !errors.Is(err, access.ErrConflict) {
			t.Errorf("%v", err)
		}
	})
}

// Without an account there is no ARN, and nothing is asked.
func TestTheAccountIsAskedForUntilItIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		aws := &edgetest.AWS{Answer: func(call edgetest.Call, _ int) edgetest.Answer { return listing(call) }}
		asked := 0
		u := users.New(aws.Config(t), users.Options{Path: "/p/", Account: func(context.Context) (string, string, error) {
			if asked++; asked == 1 {
				return "", "", errors.New("no answer")
			}
			return "aws-cn", "123456789012", nil
		}})
		if err := u.AttachPolicy(t.Context(), "x", "x-1"); err == nil || len(aws.Calls()) > 0 {
			t.Errorf("%v, %v", err, aws.Operations())
		}
		for range 2 {
			if err := u.AttachPolicy(t.Context(), "x", "x-1"); err != nil {
				t.Error(err)
			}
		}
		if got := aws.Calls()[1].Form.Get("PolicyArn"); asked != 2 || got != "arn:aws-cn:iam::123456789012:policy/p/x-1" {
			t.Errorf("asked %d times, %s", asked, got)
		}
	})
}
