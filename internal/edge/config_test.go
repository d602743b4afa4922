package edge_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/edge"
)

// settled returns what clients make of a configuration, without what is ours: how calls
// are repeated, sent and watched.
type settled struct {
	Credentials           aws.Credentials
	Region, Mode          string
	IAM, S3, Secrets      string // endpoints; empty: AWS's own
	FIPS                  aws.FIPSEndpointState
	Ask, Believe          any // whether there are checksums
	Compress              int64
	Accounts              aws.AccountIDEndpointMode
	NoCompression, NoSkew bool
	AppID                 string
	LogMode               aws.ClientLogMode
}

func settle(t *testing.T, cfg aws.Config) settled {
	t.Helper()
	held, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held.Source = "" // where it was found
	i, b, s := iam.NewFromConfig(cfg).Options(), s3.NewFromConfig(cfg).Options(), secretsmanager.NewFromConfig(cfg).Options()
	return settled{
		Credentials: held, Region: i.Region, Mode: string(cfg.DefaultsMode),
		IAM: aws.ToString(i.BaseEndpoint), S3: aws.ToString(b.BaseEndpoint), Secrets: aws.ToString(s.BaseEndpoint),
		FIPS: i.EndpointOptions.UseFIPSEndpoint, Ask: b.RequestChecksumCalculation, Believe: b.ResponseChecksumValidation,
		Compress: cfg.RequestMinCompressSizeBytes, Accounts: cfg.AccountIDEndpointMode,
		NoCompression: cfg.DisableRequestCompression, NoSkew: cfg.DisableClockSkewCorrection, AppID: cfg.AppID, LogMode: cfg.ClientLogMode,
	}
}

// In a function's environment the SDK's own loader would find the same.
func TestConfigIsTheSDKs(t *testing.T) {
	given := map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "ASIAFUNCTION", "AWS_SECRET_ACCESS_KEY": "function", "AWS_SESSION_TOKEN": "session"}
	for label, besides := range map[string]map[string]string{
		"on Lambda":        {},
		"FIPS":             {"AWS_USE_FIPS_ENDPOINT": "true"},
		"not FIPS":         {"AWS_USE_FIPS_ENDPOINT": "False"},
		"a local AWS":      {"AWS_ENDPOINT_URL": "http://127.0.0.1:4599"},
		"a service's own":  {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:2"},
		"both":             {"AWS_ENDPOINT_URL": "http://127.0.0.1:4599", "AWS_ENDPOINT_URL_IAM": "http://127.0.0.1:3"},
		"none, but named":  {"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_IAM": ""},
		"no session token": {"AWS_SESSION_TOKEN": ""},
	} {
		t.Run(label, func(t *testing.T) {
			for _, variable := range os.Environ() {
				if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
					t.Setenv(name, "") // back to what it was, afterwards
					if err := os.Unsetenv(name); err != nil {
						t.Fatal(err)
					}
				}
			}
			none := filepath.Join(t.TempDir(), "none")
			t.Setenv("AWS_CONFIG_FILE", none)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
			for _, variables := range []map[string]string{given, besides} {
				for name, value := range variables {
					t.Setenv(name, value)
				}
			}
			theirs, err := config.LoadDefaultConfig(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(settle(t, theirs), settle(t, edge.Config())); diff != "" {
				t.Error(diff)
			}
		})
	}
}
