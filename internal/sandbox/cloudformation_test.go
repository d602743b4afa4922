package sandbox_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/traces"
)

var only = flag.String("situation", "", "play those of the table whose title says this")

// buckets that plays name; the first two are those of the table.
var buckets = []string{"one", "two", sandbox.SourceBucket, sandbox.SecondBucket, sandbox.DestinationBucket}

const token = "arn:aws:lambda:us-east-1:" + sandbox.Account + ":function:" + sandbox.ProviderStack

// hurried is a ServiceTimeout that an Update is too slow for, with calls like slowly's.
// A Create is refused for it.
const hurried = "4"

// cast is what the table of traces has here. Of the changes those are played that
// differ most: in place, with the secret, to another user, and all at once.
func (s *stage) cast() traces.Cast {
	return traces.Cast{
		Usual: traces.Properties{"ServiceToken": token, "ServiceTimeout": "330", "Access": "Source", "Buckets": []string{"one"}},
		User:  s.title + "-second", Secret: "cloney/" + s.title + "-moved", Kept: name.Secret(s.owner().User()),
		Reader: "arn:aws:iam::" + sandbox.Account + ":role/Reader", Hurried: hurried,
		Changes: []string{"Serial", "secret and Serial", "user, same secret", "everything"},
	}
}

// slowly has each call take a while, so that deliveries that overlap meet.
func slowly(_ sandbox.Call, _ *http.Request, do func() *sandbox.Reply) *sandbox.Reply {
	time.Sleep(50*time.Millisecond + rand.N(150*time.Millisecond))
	return do()
}

// few are the first, the middle and the last of the moments for which one can wait.
func few(moments []time.Duration) []time.Duration {
	moments = slices.DeleteFunc(slices.Clone(moments), func(d time.Duration) bool { return d > time.Minute })
	last := len(moments) - 1
	return slices.Compact([]time.Duration{moments[0], moments[last/2], moments[last]})
}

// The table of traces that the account in memory plays at every moment, at a few
// of them, by the real function.
func TestTable(t *testing.T) {
	ownFirst(t)
	client := s3.NewFromConfig(account(t).Config(), func(o *s3.Options) { o.UsePathStyle = true })
	for _, bucket := range buckets[:2] {
		_, err := client.CreateBucket(ctxOf(t), &s3.CreateBucketInput{Bucket: &bucket})
		must(t, err)
	}
	someone := (&lambda{}).set(play{title: "play"}).cast()
	var cases []play
	for i, from := range traces.Table {
		if !strings.Contains(from.Title, *only) {
			continue
		}
		moments, lives := few(from.Moments), len(from.Lives(someone, 0))
		for n := range max(lives, len(moments)) {
			// Each of the lives, and each of the moments, in turn.
			life := func(s *stage) traces.Trace {
				s.note("%s", from.Title)
				return from.Lives(s.cast(), moments[n%len(moments)])[n%lives]
			}
			cases = append(cases, play{title: fmt.Sprintf("play-%d-%dx", i, n), trace: life, every: slowly})
		}
	}
	sideBySide(t, 16, cases)
}
