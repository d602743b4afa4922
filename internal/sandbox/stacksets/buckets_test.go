//go:build stacksets

package stacksets_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// bucketsFrom plays BucketsFrom=Parameter, another value of the SSM parameter, and
// BucketsFrom=SameStack. The key stays the same, and reaches exactly the named buckets.
func (a *alone) bucketsFrom(t *testing.T) {
	one, two := bucketOf("data-live-one", a.joiner, a.region), bucketOf("data-live-two", a.joiner, a.region)
	for _, prefix := range []string{"data-live-one", "data-live-two"} {
		a.makeBucket(t, t.Context(), a.joiner, a.region, prefix)
		defer a.drop(t, bucketOf(prefix, a.joiner, a.region))
	}
	parameter := "in_account " + a.joiner + " aws ssm %s-parameter --region " + a.region + " --name /cloney/source-buckets"
	put := fmt.Sprintf(parameter, "put") + " --type String --overwrite --value "
	a.sh(t, put+one)
	defer a.sh(t, fmt.Sprintf(parameter, "delete"))
	a.deploy(t, aloneSource)
	first := a.key(t)
	a.opens(t, first, []string{one}, []string{two})
	t.Log("SEEN: {{resolve:ssm}} names the buckets of an instance")

	a.sh(t, put+one+","+two)
	a.revise(t, "Revision", "2")
	a.opens(t, first, []string{one, two}, nil)

	a.revise(t, "BucketsFrom", "SameStack")
	made := a.dataBucket(t)
	a.retained = append(a.retained, made)
	a.opens(t, first, []string{made}, []string{one, two})

	if a.key(t) != first {
		t.Error("the key has changed")
	}
}

// revise updates the set with another value of one parameter.
func (a *alone) revise(t *testing.T, name, value string) {
	t.Helper()
	_, err := a.sets(t).UpdateStackSet(t.Context(), &cloudformation.UpdateStackSetInput{
		StackSetName: aws.String(aloneSource), CallAs: types.CallAsDelegatedAdmin, UsePreviousTemplate: aws.Bool(true),
		Parameters: with(a.described(t, aloneSource).Parameters, name, value),
	})
	must(t, err)
	a.succeeded(t, aloneSource)
}

// key returns the account's key, as the reader's role sees it from the hub: nobody else may
// use the hub's KMS key.
func (a *alone) key(t *testing.T) key {
	t.Helper()
	line := a.sh(t, "AWS_PROFILE=reader stacksets/read-keys --show-keys "+aloneSource+" "+secretName)
	fields := strings.SplitN(line, "\t", 4)
	if len(fields) != 4 || fields[0] != a.joiner || fields[1] != a.region {
		t.Fatalf("read-keys does not show one key, of %s %s", a.joiner, a.region)
	}
	return decode(t, fields[3])
}

// dataBucket is the bucket that the account's stack has created.
func (a *alone) dataBucket(t *testing.T) string {
	t.Helper()
	found, err := cloudformation.NewFromConfig(a.in(t, a.joiner, a.region)).DescribeStackResource(t.Context(), &cloudformation.DescribeStackResourceInput{
		StackName: aws.String(a.stack(t, aloneSource)), LogicalResourceId: aws.String("DataBucket"),
	})
	must(t, err)
	return *found.StackResourceDetail.PhysicalResourceId
}

// opens fails unless the key lists the buckets of the first list, and none of the second.
func (a *alone) opens(t *testing.T, k key, open, closed []string) {
	t.Helper()
	who := a.in(t, a.joiner, a.region).Copy()
	who.Credentials = credentials.NewStaticCredentialsProvider(k.AccessKeyId, k.SecretAccessKey, "")
	client := a.s3As(who)
	if a.onAWS == nil {
		must(t, a.EnforceIAM(t.Context(), true))
		defer func() { must(t, a.EnforceIAM(t.Context(), false)) }()
	}
	a.await(t, func() string {
		for _, bucket := range slices.Concat(open, closed) {
			_, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
			switch shall := slices.Contains(open, bucket); {
			case shall && err != nil:
				return fmt.Sprintf("the key does not list %s: %v", bucket, err)
			case !shall && errorCode(err) != "AccessDenied":
				return fmt.Sprintf("the key, which may not list %s, is told: %v", bucket, err)
			}
		}
		return ""
	})
}
