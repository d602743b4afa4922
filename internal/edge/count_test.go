package edge_test

import (
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/metric"
)

// Each attempt is a request, those after a call's first are retries, and a key
// counts once AWS has said that it made it.
func TestWhatIsCounted(t *testing.T) {
	const made = `<R><CreateAccessKeyResult><AccessKey><UserName>u</UserName><AccessKeyId>AKIA</AccessKeyId><Status>Active</Status><SecretAccessKey>s</SecretAccessKey></AccessKey></CreateAccessKeyResult></R>`
	broken, throttled := edgetest.Answer{}, edgetest.Answer{Status: 400, Body: `<E><Error><Code>Throttling</Code></Error></E>`}
	for label, c := range map[string]struct {
		answers []edgetest.Answer
		want    metric.Counts
	}{
		"at once":         {[]edgetest.Answer{{Status: 200, Body: made}}, metric.Counts{Requests: 1, Issued: 1}},
		"third time":      {[]edgetest.Answer{broken, {Status: 500}, {Status: 200, Body: made}}, metric.Counts{Requests: 3, Retries: 2, Issued: 1}},
		"never":           {[]edgetest.Answer{broken, broken, broken, broken}, metric.Counts{Requests: 4, Retries: 3}},
		"throttled":       {[]edgetest.Answer{throttled}, metric.Counts{Requests: 1}},
		"refused at once": {[]edgetest.Answer{{Status: 403, Body: `<E><Error><Code>AccessDenied</Code></Error></E>`}}, metric.Counts{Requests: 1}},
	} {
		synctest.Test(t, func(t *testing.T) {
			service := &edgetest.AWS{Answer: func(_ edgetest.Call, n int) edgetest.Answer { return c.answers[n-1] }}
			client := iam.NewFromConfig(service.Config(t))
			ctx, tally := metric.Start(t.Context())
			_, _ = client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("u")})
			if diff := cmp.Diff(c.want, tally.Counts()); diff != "" {
				t.Errorf("%s: %s", label, diff)
			}
		})
	}
}
