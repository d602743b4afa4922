//go:build s3

package minio_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/sandbox/minio"
)

// This shows which lists a client requests for a prefix with a slash and without: the
// policies allow s3:prefix in/ and longer ones, but not in.
func TestWhatClientsList(t *testing.T) {
	reset(t)
	p, issued := readPage(t), map[string]minio.Key{
		"source":      issue(t, source(sourceBucket+"/in/")),
		"destination": issue(t, destination(destinationBucket+"/in/")),
	}
	const boto3 = `python -c 'import boto3; boto3.Session(profile_name="source").client("s3").`
	for line, want := range map[string]struct {
		exit  int
		lists []string // prefixes, with the delimiter after a space
	}{
		"rclone lsf source:data-lake/in/":                            {0, []string{"in/ /"}},
		"rclone copy source:data-lake/in/ in/":                       {0, []string{"in/ /", "in/sub/ /"}},
		"rclone copy in/ destination:archive/in/":                    {0, []string{"in/ /"}},
		"aws s3 ls s3://data-lake/in/ --profile source":              {0, []string{"in/ /"}},
		boto3 + `list_objects_v2(Bucket="data-lake", Prefix="in/")'`: {0, []string{"in/ "}},
		"AWS_PROFILE=source s5cmd ls s3://data-lake/in/":             {0, []string{"in/ /"}},
		"AWS_PROFILE=source s5cmd cp 's3://data-lake/in/*' in/":      {0, []string{"in/ "}},
		"AWS_PROFILE=destination s5cmd sync in/ s3://archive/in/":    {0, []string{"in/ "}},
		"AWS_PROFILE=destination s5cmd cp in/ s3://archive/in/":      {0, nil},

		// rclone first checks whether in is an object, and is refused. If there is nothing
		// below in/ either, it assumes an object.
		"rclone lsf source:data-lake/in":                            {0, []string{"in/ ", "in/ /"}},
		"rclone copy in/ destination:archive/in":                    {1, []string{"in/ "}},
		"aws s3 ls s3://data-lake/in --profile source":              {255, []string{"in /"}},
		"aws s3 sync s3://data-lake/in in/ --profile source":        {0, []string{"in/ "}},
		"aws s3 sync in/ s3://archive/in --profile destination":     {0, []string{"in/ "}},
		boto3 + `list_objects_v2(Bucket="data-lake", Prefix="in")'`: {1, []string{"in "}},
		"AWS_PROFILE=source s5cmd ls s3://data-lake/in":             {1, []string{"in /"}},
		"AWS_PROFILE=source s5cmd cp 's3://data-lake/in*' in/":      {1, []string{"in "}},
		"AWS_PROFILE=destination s5cmd sync in/ s3://archive/in":    {1, nil},
	} {
		t.Run(line, func(t *testing.T) {
			if strings.Contains(line, destinationBucket) {
				empty(t, destinationBucket)
			} else {
				t.Parallel()
			}
			d := newDesk(t, p.config, issued)
			d.pack(t)
			d.expect(t, line, want.exit)
			if diff := cmp.Diff(want.lists, lists(d.trace.Requests())); diff != "" {
				t.Errorf("it lists (-wanted +found):\n%s", diff)
			}
		})
	}
}

// lists returns the different lists that were requested.
func lists(requests []minio.Request) (found []string) {
	for _, r := range requests {
		// This is the bucket alone: neither an object nor a setting of the bucket.
		if bucket := r.Path == "/"+sourceBucket || r.Path == "/"+destinationBucket; bucket && r.Method == http.MethodGet && r.Query.Has("prefix") {
			found = append(found, r.Query.Get("prefix")+" "+r.Query.Get("delimiter"))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
