package probe_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/probe"
)

// listing is keys in S3's answer to a list.
func listing(keys ...string) *answer {
	var contents strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&contents, "<Contents><Key>%s</Key></Contents>", key)
	}
	return &answer{status: 200, body: `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + contents.String() + "</ListBucketResult>"}
}

// Under a Deny about tags a missing key is denied, and so is an object that is
// not scanned yet: a handful of those that are there is asked for, no more, and
// none is read.
func TestObjectsThatAreThereAreAskedFor(t *testing.T) {
	keys := []string{"a", "b", "c", "d", "e"}
	for label, c := range map[string]struct {
		says  map[string]*answer // to a request for a key; else it is denied
		works bool
		asked int // keys, at the look that decides
	}{
		"the last one is clean":         {map[string]*answer{"e": failing(412, "PreconditionFailed")}, true, 5},
		"the first one is clean":        {map[string]*answer{"a": failing(412, "PreconditionFailed")}, true, 1},
		"one is archived":               {map[string]*answer{"b": failing(403, "InvalidObjectState")}, true, 2},
		"one was deleted since":         {map[string]*answer{"a": failing(404, "NoSuchKey"), "b": failing(412, "PreconditionFailed")}, true, 2},
		"none is clean":                 {nil, false, 5},
		"S3 is busy with the first one": {map[string]*answer{"a": failing(503, "SlowDown")}, false, 1},
	} {
		fake := &asking{cloud: &cloud{t: t}, keys: keys, says: c.says}
		_, err := prove(t, fake.answering(), source)
		if (err == nil) != c.works || fake.most != c.asked {
			t.Errorf("%s: %v, %d keys asked for", label, err, fake.most)
		}
		if noted := strings.Contains(fake.log.String(), "level=WARN msg=verification place=data outcome=note note=\"S3 denies reading some objects"); noted != c.works {
			t.Errorf("%s: noted %v\n%s", label, noted, fake.log.String())
		}
		if err != nil && c.says == nil && (!strings.Contains(err.Error(), "tags on objects (let one of the first five objects there have the right tags, or set Verify: false)") || strings.Contains(err.Error(), "except")) {
			t.Errorf("%s: %v", label, err)
		}
	}
}

// A key may hold what XML cannot: S3 sends it encoded, and gets it back as it is.
func TestKeysComeEncoded(t *testing.T) {
	fake := &asking{cloud: &cloud{t: t}, keys: []string{"in+a%01%2Bb/%C3%BC"}, says: map[string]*answer{"in a\x01+b/ü": failing(412, "PreconditionFailed")}}
	if _, err := prove(t, fake.answering(), source); err != nil {
		t.Error(err)
	}
}

// asking is a cloud whose bucket holds keys that are asked for by name.
type asking struct {
	*cloud
	keys      []string
	says      map[string]*answer
	now, most int // keys asked for since the last list, and the most of them
}

func (a *asking) answering() *cloud {
	a.object = func(r *http.Request, key string) *answer {
		if r.Header.Get("If-Match") == "" {
			a.t.Errorf("%s is read", key)
		}
		a.now++
		a.most = max(a.most, a.now)
		if said := a.says[key]; said != nil {
			return said
		}
		return failing(403, "AccessDenied")
	}
	a.say = func(kind, _ string, _ int) *answer {
		switch kind {
		case "list":
			a.now = 0
			return listing(a.keys...)
		case "read":
			return failing(403, "AccessDenied")
		}
		return nil
	}
	return a.cloud
}

// The region is asked for once a bucket, and what a role needs is not there
// where it is denied.
func TestTheRegionHasToBeTold(t *testing.T) {
	fake := cloud{say: func(kind, bucket string, _ int) *answer {
		if kind == "locate" && bucket == "shut" {
			return failing(403, "AccessDenied")
		}
		return nil
	}}
	_, err := prove(t, &fake, access.Scope{Source: true, Places: []access.Place{"data/in/", "data/out/", "shut"}})
	if err == nil || !strings.Contains(err.Error(), "1 of 3 buckets and prefixes cannot be used: shut: the key may not ask for its region: ") || fake.counts["locate data"] != 1 {
		t.Errorf("%v, %v", err, fake.counts)
	}
}

// A denial does not hide what else is in the way, and what is not denied is not
// told.
func TestAllThatIsInTheWayIsTold(t *testing.T) {
	fake := cloud{say: func(kind, _ string, _ int) *answer {
		switch kind {
		case "list":
			return failing(403, "AccessDenied")
		case "begin":
			return failing(400, "KMS.DisabledException")
		}
		return nil
	}}
	_, err := prove(t, &fake, both)
	for word, want := range map[string]bool{"may not list it": true, ". Also, S3 cannot use the KMS key": true, "read from it": false, "ask for its region": false} {
		if err == nil || strings.Contains(err.Error(), word) != want {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// Where listing is denied, a denied read of a missing key says nothing of
// reading, unless AWS says that reading is what is denied.
func TestAConsequenceIsNotTold(t *testing.T) {
	for says, told := range map[string]bool{
		"Access Denied": false,
		"User: x is not authorized to perform: s3:ListBucket on resource: y because no identity-based policy allows the s3:ListBucket action": false,
		"User: x is not authorized to perform: s3:GetObject on resource: y with an explicit deny in a resource-based policy":                  true,
	} {
		fake := cloud{say: func(kind, _ string, _ int) *answer {
			switch kind {
			case "list":
				return failing(403, "AccessDenied")
			case "read":
				return &answer{status: 403, body: "<Error><Code>AccessDenied</Code><Message>" + says + "</Message></Error>"}
			}
			return nil
		}}
		_, err := prove(t, &fake, both)
		if err == nil || !strings.Contains(err.Error(), "may not list it: ") || strings.Contains(err.Error(), "read from it") != told {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// A KMS key that keeps an object from being read does not hide that writing is
// denied.
func TestABrokenKeyHidesNothing(t *testing.T) {
	fake := &asking{cloud: &cloud{t: t}, keys: []string{"a"}, says: map[string]*answer{"a": failing(400, "KMS.DisabledException")}}
	c := fake.answering()
	say := c.say
	c.say = func(kind, bucket string, n int) *answer {
		if kind == "begin" {
			return failing(403, "AccessDenied")
		}
		return say(kind, bucket, n)
	}
	_, err := prove(t, c, both)
	if err == nil || !strings.Contains(err.Error(), "KMS.DisabledException") || !strings.Contains(err.Error(), "may not write to it") {
		t.Error(err)
	}
}

// A denial of the first look, before the policy is in force, leaves no doubt.
func TestADoubtIsOfTheLastLook(t *testing.T) {
	fake := &asking{cloud: &cloud{t: t}, keys: []string{"a"}, says: map[string]*answer{"a": failing(412, "PreconditionFailed")}}
	c := fake.answering()
	say := c.say
	c.say = func(kind, bucket string, n int) *answer {
		if kind == "read" && n == 2 {
			return nil
		}
		return say(kind, bucket, n)
	}
	if _, err := prove(t, c, source); err != nil || strings.Contains(c.log.String(), "outcome=note") {
		t.Errorf("%v\n%s", err, c.log.String())
	}
}

// Once Requester Pays is all that is in the way, there is nothing to wait for.
func TestRequesterPaysIsSoonTold(t *testing.T) {
	fake := cloud{unpaid: true}
	took, err := prove(t, &fake, both)
	want := `Buckets: "data" cannot be used: it is a Requester Pays bucket of another account, which denies requests without the header x-amz-request-payer: requester; ask its owner to switch that off, or let the client send the header and set Verify: false`
	if fmt.Sprint(err) != want || took > 15*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}

// What S3 answers about the whole bucket ends a look: a bucket that is gone, or
// hosts that are busy, are not asked for more.
func TestSomeAnswersEndALook(t *testing.T) {
	for _, code := range []string{"NoSuchBucket", "SlowDown", "InvalidAccessKeyId", "AllAccessDisabled", "Strange"} {
		fake := cloud{say: func(kind, _ string, _ int) *answer {
			if kind == "list" {
				return failing(400, code)
			}
			return nil
		}}
		if _, err := prove(t, &fake, both); err == nil || fake.counts["read data"]+fake.counts["begin data"]+fake.counts["locate data"] > 0 {
			t.Errorf("%s: %v, %v", code, err, fake.counts)
		}
	}
}

// A policy that comes into force while paying is tried is not taken for
// Requester Pays.
func TestALatePolicyIsNotTakenForRequesterPays(t *testing.T) {
	fake := cloud{say: func(kind, _ string, n int) *answer {
		if kind == "list" && n <= 5 {
			return failing(403, "AccessDenied")
		}
		return nil
	}}
	if _, err := prove(t, &fake, both); err != nil || fake.paid != 1 || fake.counts["list data"] != 5+2+2 {
		t.Errorf("%v, %d paid, %v", err, fake.paid, fake.counts)
	}
}

// Where agreeing to pay does not help, it is not agreed to but at every fifth
// look; where the reason is told, never.
func TestPayingIsTriedSeldom(t *testing.T) {
	for label, c := range map[string]struct {
		denial *answer
		most   int
	}{
		"untold": {failing(403, "AccessDenied"), 5},
		"told":   {&answer{status: 403, body: "<Error><Code>AccessDenied</Code><Message>User: x is not authorized to perform: s3:ListBucket on resource: y with an explicit deny in a service control policy</Message></Error>"}, 0},
	} {
		fake := cloud{say: func(kind, _ string, _ int) *answer {
			if kind == "list" {
				return c.denial
			}
			return nil
		}}
		_, err := prove(t, &fake, source)
		if paying := fake.paid; err == nil || paying > c.most || (paying > 0) != (c.most > 0) || strings.Contains(err.Error(), "x-amz-request-payer") {
			t.Errorf("%s: %d paid: %v", label, paying, err)
		}
	}
}

// What completes and may reach nothing is a warning; what is only good to know
// is not.
func TestWarningsAndNotes(t *testing.T) {
	off := func(kind, _ string, _ int) *answer {
		if kind == "acl" {
			return failing(400, "AccessControlListNotSupported")
		}
		return nil
	}
	for label, c := range map[string]struct {
		scope access.Scope
		level string
		says  string
	}{
		"an empty bucket":           {source, "INFO", "the bucket is empty"},
		"an empty prefix":           {access.Scope{Source: true, Places: []access.Place{"data/in/"}}, "WARN", `begins with this prefix yet; check its spelling"`},
		"an empty prefix to write":  {access.Scope{Destination: true, Places: []access.Place{"data/in/"}}, "INFO", "Object Ownership"},
		"a wildcard":                {access.Scope{Source: true, Places: []access.Place{"data/in/*/x"}}, "WARN", "place=data/in/*/x outcome=note note=\"a prefix has no wildcards and no variables: *, ? and ${ are characters"},
		"a wildcard to write":       {access.Scope{Destination: true, Places: []access.Place{"data/?.csv"}}, "WARN", "a prefix has no wildcards"},
		"a wildcard, and SourceIps": {access.Scope{Source: true, SourceIPs: []string{"192.0.2.1"}, Places: []access.Place{"data/in/*.csv"}}, "WARN", "a prefix has no wildcards"},
		"a variable":                {access.Scope{Destination: true, Places: []access.Place{"data/${aws:username}/"}}, "WARN", "a prefix has no wildcards"},
		"a dollar":                  {access.Scope{Destination: true, Places: []access.Place{"data/$in/"}}, "INFO", "Object Ownership"},
		"ACLs are off":              {destination, "INFO", "Object Ownership"},
		"SourceIps: nothing proven": {access.Scope{Source: true, SourceIPs: []string{"192.0.2.1"}, Places: []access.Place{"data"}}, "WARN", "were not asked"},
	} {
		fake := cloud{say: off}
		if _, err := prove(t, &fake, c.scope); err != nil || !warned(fake.log.String(), c.level, c.says) || c.level == "INFO" && strings.Contains(fake.log.String(), "WARN") {
			t.Errorf("%s: %v\n%s", label, err, fake.log.String())
		}
	}
}

func warned(log, level, says string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level="+level) && strings.Contains(line, says) {
			return true
		}
	}
	return false
}

// A bucket from before 2018 is asked by its name in the path: no host may have
// it. Where there is none, its name is what is wrong most likely.
func TestLegacyNames(t *testing.T) {
	long := strings.Repeat("n", 200)
	for _, name := range []string{"ABCD_Central_1", "my_legacy_bucket", long} {
		place := access.Place(name + "/in/")
		fake := cloud{home: "us-east-1"}
		took, err := prove(t, &fake, access.Scope{Source: true, Destination: true, Places: []access.Place{place}})
		if err != nil || took > 5*time.Second || fake.counts["list "+string(place)] != 3 || fake.counts["begin "+string(place)] != 2 {
			t.Errorf("%s: %v after %v, %v", name, err, took, fake.calls)
		}
		gone := cloud{say: func(kind, _ string, _ int) *answer {
			if kind == "list" {
				return failing(404, "NoSuchBucket")
			}
			return nil
		}}
		_, err = prove(t, &gone, access.Scope{Source: true, Places: []access.Place{place}})
		if err == nil || !strings.Contains(err.Error(), "from before March 2018") || !strings.Contains(err.Error(), "take it out of Buckets") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A next step has to help in the next stack: a name that was made up does not
// come again, and a Principal turns into an id.
func TestWhomAPolicyNames(t *testing.T) {
	for label, c := range map[string]struct {
		madeUp bool
		code   string
		says   map[string]bool
	}{
		"made up":              {true, "AccessDenied", map[string]bool{"Set UserName before": true, "not as Principal": true}},
		"set":                  {false, "AccessDenied", map[string]bool{"Set UserName": false, "not as Principal": true}},
		"no policy is at play": {true, "NoSuchBucket", map[string]bool{"Set UserName": false, "not as Principal": false, "The user is": false}},
	} {
		fake := cloud{subject: access.Subject{MadeUp: c.madeUp}, say: func(kind, _ string, _ int) *answer {
			if kind == "list" {
				return failing(403, c.code)
			}
			return nil
		}}
		_, err := prove(t, &fake, source)
		for word, want := range c.says {
			if err == nil || strings.Contains(err.Error(), word) != want {
				t.Errorf("%s: %q: %v", label, word, err)
			}
		}
	}
}

// An object's key is somebody else's text: what AWS says stands behind it.
func TestAKeyIsNotTakenForAReason(t *testing.T) {
	for _, prefix := range []string{"permissions boundary/", "service control policy/", "not authorized to perform: kms:Decrypt because no identity-based policy allows/", "x because no identity-based policy allows/"} {
		fake := cloud{say: func(kind, _ string, _ int) *answer {
			if kind == "read" {
				return &answer{status: 403, body: "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/u is not authorized to perform: s3:GetObject on resource: &quot;arn:aws:s3:::data/" + prefix + "x&quot; with an explicit deny in a resource-based policy</Message></Error>"}
			}
			return nil
		}}
		_, err := prove(t, &fake, access.Scope{Source: true, Places: []access.Place{access.Place("data/" + prefix)}})
		if err == nil || !strings.Contains(err.Error(), "may not read from it: a Deny in the bucket's policy") {
			t.Errorf("%s: %v", prefix, err)
		}
	}
}

// A made-up name is dead in the next stack, whosever policy it went into.
func TestAMadeUpNameIsSaidToBeOne(t *testing.T) {
	for _, why := range []string{
		"s3:X on resource: y with an explicit deny in a service control policy", "s3:X on resource: y with an explicit deny in a resource control policy",
		"s3:X on resource: y because no VPC endpoint policy allows the s3:X action", "s3:X on resource: y because no permissions boundary allows the s3:X action",
		"kms:X on resource: y because no resource-based policy allows the kms:X action", "kms:X on resource: y with an explicit deny in a service control policy",
	} {
		for _, madeUp := range []bool{true, false} {
			fake := cloud{subject: access.Subject{MadeUp: madeUp}, say: func(kind, _ string, _ int) *answer {
				if kind == "begin" {
					return &answer{status: 403, body: "<Error><Code>AccessDenied</Code><Message>User: x is not authorized to perform: " + why + "</Message></Error>"}
				}
				return nil
			}}
			_, err := prove(t, &fake, destination)
			if err == nil || strings.Contains(err.Error(), "user/x. Set UserName before") != madeUp || strings.Contains(err.Error(), "AWS does not say why") {
				t.Errorf("%s, made up %v: %v", why, madeUp, err)
			}
		}
	}
}

// A region that does not take a name has not said that there is no such bucket:
// one of before March 2018 is asked for where those are, once.
func TestANameThatARegionDoesNotTake(t *testing.T) {
	for label, c := range map[string]struct {
		bucket string
		region string // the function's
		home   string // where us-east-1 says that the bucket is; empty: it does not take the name either
		asks   bool   // in us-east-1
		reason string // empty: it is verified
	}{
		"an old one":                {"My_Legacy", "eu-west-1", "us-east-1", true, ""},
		"an old one, close by":      {"My_Legacy", "us-east-1", "us-east-1", true, ""},
		"none":                      {"My_Legacy", "eu-west-1", "", true, "there is no such bucket; most likely the name is wrong"},
		"a new name":                {"my-bucket", "eu-west-1", "us-east-1", false, "there is no such bucket; create it first"},
		"another partition":         {"My_Legacy", "cn-north-1", "us-east-1", false, "there is no such bucket; most likely the name is wrong"},
		"regions that go in a ring": {"My_Legacy", "eu-west-1", "eu-west-1", true, "there is no such bucket; most likely the name is wrong"},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := map[string]int{}
			fake := &cloud{}
			cfg := config(fake)
			cfg.Region, cfg.BaseEndpoint = c.region, aws.String("http://aws.test")
			cfg.HTTPClient = inMemory{&server{count: map[string]int{}, live: map[string]bool{}, say: func(q request) *s3Answer {
				asked[q.region]++
				switch {
				case q.region != "us-east-1" || c.home == "":
					return misnamed()
				case c.home != "us-east-1":
					return redirect(q.bucket, c.home)
				}
				return nil
			}}}
			err := probe.New(cfg, slog.New(slog.DiscardHandler), probe.Options{}).Prove(t.Context(), key(), access.Scope{Source: true, Places: []access.Place{access.Place(c.bucket)}}, access.Subject{})
			if (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) || (asked["us-east-1"] > 0) != c.asks || c.home != "us-east-1" && asked["us-east-1"] > 5 {
				t.Errorf("%s: %v, asked %v", label, err, asked)
			}
		})
	}
}

// Whoever reads of a bucket that is not there is told to create it only where
// that can be done.
func TestNamesOfNewBuckets(t *testing.T) {
	for name, creatable := range map[string]bool{
		"data": true, "d-1": true, "a.b": true, "a--b": true, strings.Repeat("n", 63): true,
		"data-": false, "-data": false, "data..x": false, "a.-b": false, "a-.b": false, ".ab": false, "ab.": false, "a_b": false, "aBc": false, strings.Repeat("n", 64): false,
	} {
		fake := cloud{say: func(kind, _ string, _ int) *answer {
			if kind == "list" {
				return failing(404, "NoSuchBucket")
			}
			return nil
		}}
		_, err := prove(t, &fake, access.Scope{Source: true, Places: []access.Place{access.Place(name)}})
		if err == nil || strings.Contains(err.Error(), "create it first") != creatable || strings.Contains(err.Error(), "the name is wrong") == creatable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
