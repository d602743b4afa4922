// Package settingstest is what the tests of the two functions' settings share.
package settingstest

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/issue"
)

// Lookup is os.LookupEnv of an environment.
func Lookup(env map[string]string) func(string) (string, bool) {
	return func(variable string) (string, bool) {
		value, set := env[variable]
		return value, set
	}
}

// Variables are those that the template of the checkout at root sets for a function, by
// its logical id.
func Variables(t *testing.T, root, function string) (names []string) {
	t.Helper()
	template, err := os.ReadFile(root + "/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, declared, _ := strings.Cut(string(template), "\n  "+function+":\n")
	declared, _, _ = strings.Cut(declared, "\n\n  ")
	for _, found := range regexp.MustCompile(`(?m)^          ([A-Z_]+): `).FindAllStringSubmatch(declared, -1) {
		names = append(names, found[1])
	}
	return names
}

// BucketsAreAsked has a function prove a key whose bucket denies, as it does where the
// owner lets keys be used from some addresses alone: with SourceCidrs that are not the
// function's, buckets must not be asked. of makes the prober with that SOURCE_CIDRS.
func BucketsAreAsked(t *testing.T, of func(sourceCidrs string, cfg aws.Config) issue.Prober) {
	for cidrs, asked := range map[string]bool{"any": true, "203.0.113.0/24": false} {
		synctest.Test(t, func(t *testing.T) {
			buckets := 0
			cfg, _ := new(edgetest.AWS).OverWire(t, http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost { // of STS
					fmt.Fprint(to, edgetest.Query("GetCallerIdentity", "<Arn>arn:aws:iam::123456789012:user/x</Arn>").Body)
					return
				}
				buckets++
				to.WriteHeader(http.StatusForbidden)
			}))
			key := access.Credentials{KeyID: "AKIAEXAMPLE", Secret: access.NewSecret("x")}
			err := of(cidrs, cfg).Prove(t.Context(), key, access.Scope{Source: true, Places: []access.Place{"data"}}, access.Subject{})
			if (err != nil) != asked || asked != (buckets > 0) {
				t.Errorf("SOURCE_CIDRS of %q: %v, and buckets were asked %d times", cidrs, err, buckets)
			}
			time.Sleep(2 * time.Minute) // idle connections end, in made-up time
		})
	}
}
