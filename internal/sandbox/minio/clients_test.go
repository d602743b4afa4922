//go:build s3

package minio_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/sandbox/minio"
)

// Every command of docs/clients.md does what the page says, with the separate keys of the
// two roles, or with one key for both.
func TestThePage(t *testing.T) {
	both := source(sourceBucket+"/in/", destinationBucket+"/in/")
	both.Destination = true
	p, issued := readPage(t), map[string]minio.Key{
		"source":      issue(t, source(sourceBucket+"/in/")),
		"destination": issue(t, destination(destinationBucket+"/in/")),
		"both":        issue(t, both),
	}
	reset(t)
	for _, r := range p.rows {
		t.Run(r.line, func(t *testing.T) {
			if !strings.Contains(r.line, destinationBucket) {
				t.Parallel() // once all those are done that write
			}
			newDesk(t, p.config, issued).try(t, r)
		})
		reset(t)
	}
}

// This is the recommendation of clients.md, from bucket to bucket with only the two keys.
func TestTwoKeysCopyAPrefix(t *testing.T) {
	p := readPage(t)
	d := newDesk(t, p.config, map[string]minio.Key{
		"source":      issue(t, source(sourceBucket+"/in/")),
		"destination": issue(t, destination(destinationBucket+"/in/")),
	})
	reset(t)
	d.expect(t, p.command, 0)
	compare(t, stored(t, destinationBucket), inside)
	requests := d.trace.Requests()
	for _, request := range requests {
		if request.Status != http.StatusOK {
			t.Errorf("S3 answered %d to %s %s", request.Status, request.Method, request.Path)
		}
	}
	inParts(t, requests)
}

// inParts checks that a large object was sent in more than one part.
func inParts(t *testing.T, requests []minio.Request) {
	t.Helper()
	parts := 0
	for _, request := range requests {
		if request.Query.Has("partNumber") {
			parts++
		}
	}
	if parts < 2 {
		t.Errorf("the large object went in %d parts", parts)
	}
}

// reset puts the buckets as they are before the first command.
func reset(t *testing.T) {
	t.Helper()
	empty(t, destinationBucket)
	store(t, destinationBucket, "in/old.txt", "not at the source any more")
	store(t, sourceBucket, "in/"+changing, inside[changing])
}

// changing is the key whose object changes between two runs, but not in size.
const changing = "sub/b.txt"

func (d desk) try(t *testing.T, r row) {
	t.Helper()
	loads := strings.HasSuffix(strings.TrimSuffix(r.line, " --profile source"), " in/")
	if !loads {
		d.pack(t)
	}
	d.expect(t, r.line, r.exits...)
	switch {
	case r.exits[len(r.exits)-1] != 0:
		d.refused(t, r)
	case loads:
		d.loaded(t)
	case r.again != "":
		d.sent(t, r)
	}
	if !slices.Contains(keys(t, destinationBucket), "in/old.txt") {
		t.Error("it deleted from the destination")
	}
}

// pack writes the objects into the directory in/.
func (d desk) pack(t *testing.T) {
	t.Helper()
	for key, text := range inside {
		d.write(t, "in/"+key, text)
	}
}

// expect runs the line as often as there are exits.
func (d desk) expect(t *testing.T, line string, exits ...int) {
	t.Helper()
	for i, want := range exits {
		if out, exit := d.run(t, line); exit != want {
			t.Fatalf("run %d exits with %d, not %d:\n%s", i+1, exit, want, out)
		}
	}
}

// refused checks that S3 has refused the command.
func (d desk) refused(t *testing.T, r row) {
	t.Helper()
	refusals, requests := 0, d.trace.Requests()
	for _, request := range requests {
		// S3 answers a deletion of many objects with 200 and a refusal for each.
		if request.Status == http.StatusForbidden || request.Query.Has("delete") {
			refusals++
		}
	}
	silent := strings.HasSuffix(r.because, "asks S3 nothing")
	if willing := silent || strings.Contains(r.line, " check "); willing != (refusals == 0) {
		t.Errorf("S3 refused %d requests", refusals)
	}
	if silent && len(requests) > 0 {
		t.Errorf("it asks S3 %v", requests)
	}
	if strings.HasPrefix(r.because, "arrives;") {
		compare(t, stored(t, destinationBucket), inside)
	} else if found := keys(t, destinationBucket); len(found) != 1 {
		t.Errorf("at the destination is %s", found)
	}
}

func (d desk) loaded(t *testing.T) {
	t.Helper()
	for key, text := range inside {
		found, err := os.ReadFile(filepath.Join(d.dir, "in", key))
		if err != nil || string(found) != text {
			t.Errorf("%s was not loaded: %v", key, err)
		}
	}
}

// sent checks what has arrived, and runs the command again: at once, and after a change.
func (d desk) sent(t *testing.T, r row) {
	t.Helper()
	want := maps.Clone(inside)
	if strings.Contains(r.line, "a.txt") {
		want = map[string]string{"a.txt": inside["a.txt"]}
	}
	if strings.Contains(r.line, "--exclude '* *'") {
		delete(want, "with space.txt")
	}
	compare(t, stored(t, destinationBucket), want)
	if requests := d.trace.Requests(); strings.Contains(r.line, "--part-size") {
		inParts(t, requests)
	}
	if n := d.again(t, r); (n > 0) != (r.again == "everything") {
		t.Errorf("a second run sends %d objects", n)
	}
	if len(want) == 1 {
		return
	}
	want[changing] = "B"
	store(t, sourceBucket, "in/"+changing, "B")
	d.write(t, "in/"+changing, "B")
	if r.again == "what changed in size" {
		want[changing] = inside[changing]
	}
	d.again(t, r)
	compare(t, stored(t, destinationBucket), want)
}

// again runs the command once more, and returns the number of uploads.
func (d desk) again(t *testing.T, r row) (uploads int) {
	t.Helper()
	d.expect(t, r.line, 0)
	for _, request := range d.trace.Requests() {
		if request.Method == http.MethodPut {
			uploads++
		}
	}
	return uploads
}

func compare(t *testing.T, found, want map[string]string) {
	t.Helper()
	all := map[string]string{"in/old.txt": found["in/old.txt"]}
	for key, text := range want {
		all["in/"+key] = text
	}
	if diff := cmp.Diff(short(all), short(found)); diff != "" {
		t.Errorf("at the destination (-wanted +found):\n%s", diff)
	}
}

// short shortens large objects for a reader.
func short(objects map[string]string) map[string]string {
	shown := maps.Clone(objects)
	for key, text := range shown {
		if text == large {
			shown[key] = "(large)"
		} else if len(text) > 40 {
			shown[key] = "(another)"
		}
	}
	return shown
}

// desk is a working directory with the keys and the clients.
type desk struct {
	dir   string
	trace *minio.Trace
	env   []string
}

func newDesk(t *testing.T, rclone string, keys map[string]minio.Key) desk {
	t.Helper()
	trace, err := server.Trace()
	must(t, err)
	t.Cleanup(trace.Close)
	d := desk{dir: t.TempDir(), trace: trace}
	must(t, trace.WriteCertificate(d.dir+"/ca.pem"))
	var profiles strings.Builder
	for name, key := range keys {
		// This is the value of the secret, as Secrets Manager would print it.
		d.write(t, name+".json", fmt.Sprintf(`{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s"}`, key.ID, key.Secret))
		fmt.Fprintf(&profiles, "[profile %s]\ncredential_process = cat %s/%s.json\n", name, d.dir, name)
	}
	d.write(t, "profiles", profiles.String())
	d.write(t, "rclone.conf", rclone)
	root, err := filepath.Abs("../../..")
	must(t, err)
	d.env = []string{
		"PATH=" + filepath.Dir(server.Tool("rclone")) + ":" + root + "/.tools/venv/bin:" + os.Getenv("PATH"), "HOME=" + d.dir,
		"AWS_ENDPOINT_URL=" + trace.URL, "AWS_CONFIG_FILE=profiles", "AWS_DEFAULT_REGION=" + minio.Region, "AWS_CA_BUNDLE=ca.pem",
		"AWS_REGION=" + minio.Region, "S3_ENDPOINT_URL=" + trace.URL, // s5cmd's
		"RCLONE_CONFIG=rclone.conf", "RCLONE_S3_ENDPOINT=" + trace.URL, "RCLONE_CA_CERT=ca.pem",
		// The parts are as small as S3 permits. There is one attempt, because a refusal
		// does not change.
		"RCLONE_S3_UPLOAD_CUTOFF=5Mi", "RCLONE_S3_CHUNK_SIZE=5Mi", "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1",
	}
	return d
}

func (d desk) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(d.dir, name)
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	must(t, os.WriteFile(file, []byte(text), 0o600))
}

// run runs the line in a shell, and returns its output and exit code.
func (d desk) run(t *testing.T, line string) (string, int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", line)
	command.Dir, command.Env = d.dir, d.env
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

func store(t *testing.T, bucket, key, text string) {
	t.Helper()
	must(t, put(t.Context(), server.Client(server.Root), bucket, key, text))
}

func empty(t *testing.T, bucket string) {
	t.Helper()
	for _, key := range keys(t, bucket) {
		_, err := server.Client(server.Root).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
		must(t, err)
	}
}
