package edge

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/middleware"
)

// callTimeout limits one attempt of one call. AWS answers in well under a second.
const callTimeout = 15 * time.Second

// Config is the SDK's configuration from the environment of a Lambda function: its region,
// the credentials of its role, and the endpoint of a local AWS. It is valid as long as the
// process lives.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
//
// The SDK's own loader finds the same (TestConfigIsTheSDKs). But it also looks for files,
// single sign-on and a metadata service, which no function has, and the clients for them
// would be a tenth of the bootstrap.
//
// The SDK repeats attempts that failed on the way or inside AWS, without a retry quota. It
// does not repeat throttled calls: the flow waits and repeats those, up to its deadline.
// Four attempts of the SDK for each attempt of the flow would keep an account throttled in
// which many stacks work.
func Config() aws.Config {
	cfg := aws.Config{
		Region: os.Getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")),
		ConfigSources: []any{endpoints{}},
		APIOptions:    []func(*middleware.Stack) error{watched},
		HTTPClient:    awshttp.NewBuildableClient().WithTimeout(callTimeout),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = 4
				o.MaxBackoff = 5 * time.Second
				o.RateLimiter = ratelimit.None
				o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(notThrottled)}, o.Retryables...)
			})
		},
		// These are the loader's defaults that are not zero values.
		RequestMinCompressSizeBytes: 10240,
		AccountIDEndpointMode:       aws.AccountIDEndpointModePreferred,
		RequestChecksumCalculation:  aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation:  aws.ResponseChecksumValidationWhenSupported,
		DefaultsMode:                aws.DefaultsModeLegacy,
	}
	if url := os.Getenv("AWS_ENDPOINT_URL"); url != "" {
		cfg.BaseEndpoint = &url
	}
	return cfg
}

// endpoints answers the other questions of clients from the environment.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html
type endpoints struct{}

// GetServiceBaseEndpoint returns AWS_ENDPOINT_URL_IAM and the like.
func (endpoints) GetServiceBaseEndpoint(_ context.Context, service string) (url string, found bool, err error) {
	url = os.Getenv("AWS_ENDPOINT_URL_" + strings.ReplaceAll(strings.ToUpper(service), " ", "_"))
	return url, url != "", nil
}

// GetUseFIPSEndpoint returns AWS_USE_FIPS_ENDPOINT.
func (endpoints) GetUseFIPSEndpoint(context.Context) (use aws.FIPSEndpointState, found bool, err error) {
	switch strings.ToLower(os.Getenv("AWS_USE_FIPS_ENDPOINT")) {
	case "true":
		return aws.FIPSEndpointStateEnabled, true, nil
	case "false":
		return aws.FIPSEndpointStateDisabled, true, nil
	}
	return aws.FIPSEndpointStateUnset, false, nil
}
