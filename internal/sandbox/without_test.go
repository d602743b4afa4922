package sandbox_test

import (
	"os"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/sandbox"
)

// On a Mac the sandbox has no function; who asks it for one hears what to do.
func TestWithoutFunction(t *testing.T) {
	turn(t, false)
	s, err := sandbox.Start(ctxOf(t), sandbox.Options{Root: "../..", WithoutFunction: true})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	must(t, s.MakeBuckets(ctxOf(t)))
	must(t, s.DeployProvider(ctxOf(t)))
	_, err = s.AWS(ctxOf(t), "lambda", "invoke", "--function-name", sandbox.ProviderStack, "--payload", "file://events/create-source.json", os.DevNull)
	if err == nil || !strings.Contains(err.Error(), "run it by make invoke EVENT=") {
		t.Errorf("the AWS CLI says %v", err)
	}
	// Its custom resources wait until somebody answers: here the test does.
	operationsGoOn(t, s)
}
