package edge_test

import (
	"testing"

	"cloney-s3-credentials/internal/edge"
	"cloney-s3-credentials/internal/edge/edgetest"
)

// The account is what the owner gave, without a call, or what STS says.
func TestAccount(t *testing.T) {
	for own, want := range map[string]struct {
		partition, id string
		calls         int
	}{
		"arn:aws-cn:lambda:cn-north-1:210987654321:function:rotator": {"aws-cn", "210987654321", 0},
		"":          {"aws", "123456789012", 1},
		"a-rotator": {"aws", "123456789012", 1},
		"arn:aws:lambda:eu-west-1::function:rotator":          {"aws", "123456789012", 1},
		"arn:aws:iam::210987654321:role/rotator":              {"aws", "123456789012", 1},
		"arn:aws:lambda:eu-west-1:21098765432:function:short": {"aws", "123456789012", 1},
	} {
		service := &edgetest.AWS{Answer: func(edgetest.Call, int) edgetest.Answer {
			return edgetest.Query("GetCallerIdentity", "<Arn>arn:aws:sts::123456789012:assumed-role/provider/x</Arn>")
		}}
		partition, id, err := edge.Account(service.Config(t), own)(t.Context())
		if err != nil || partition != want.partition || id != want.id || len(service.Calls()) != want.calls {
			t.Errorf("%q: %s, %s, %v, %v", own, partition, id, err, service.Operations())
		}
	}
}
