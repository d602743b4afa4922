package iamtest

import "strings"

// kind says how many values a condition key has in a request.
type kind int

const (
	one    kind = iota
	many        // only ForAllValues and ForAnyValue compare it
	always      // one, and every request has it
)

// keys are the known condition keys. A key that ends in / or : is a prefix: a tag's key or
// the like follows.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
// https://docs.aws.amazon.com/service-authorization/latest/reference/
var keys = map[string]kind{
	"aws:CalledVia":                   many,
	"aws:CalledViaFirst":              one,
	"aws:CalledViaLast":               one,
	"aws:CurrentTime":                 always,
	"aws:EpochTime":                   always,
	"aws:MultiFactorAuthPresent":      one,
	"aws:PrincipalAccount":            always,
	"aws:PrincipalArn":                always,
	"aws:PrincipalIsAWSService":       always,
	"aws:PrincipalOrgID":              one,
	"aws:PrincipalOrgPaths":           many,
	"aws:PrincipalTag/":               one,
	"aws:PrincipalType":               always,
	"aws:RequestTag/":                 one,
	"aws:RequestedRegion":             one,
	"aws:ResourceAccount":             one,
	"aws:ResourceOrgID":               one,
	"aws:ResourceTag/":                one,
	"aws:SecureTransport":             always,
	"aws:SourceAccount":               one,
	"aws:SourceArn":                   one,
	"aws:SourceIp":                    one,
	"aws:SourceVpc":                   one,
	"aws:SourceVpce":                  one,
	"aws:TagKeys":                     many,
	"aws:TokenIssueTime":              one,
	"aws:UserAgent":                   one,
	"aws:ViaAWSService":               always,
	"aws:VpcSourceIp":                 one,
	"aws:userid":                      always,
	"aws:username":                    one,
	"events:detail-type":              many,
	"events:source":                   many,
	"iam:AWSServiceName":              one,
	"iam:PassedToService":             one,
	"iam:PermissionsBoundary":         one,
	"iam:PolicyARN":                   one,
	"iam:ResourceTag/":                one,
	"kms:CallerAccount":               one,
	"kms:EncryptionContext:":          one,
	"kms:EncryptionContextKeys":       many,
	"kms:GrantIsForAWSResource":       one,
	"kms:ViaService":                  one,
	"lambda:FunctionArn":              one,
	"lambda:SourceFunctionArn":        one, // of what a function's own code asks, of any service
	"s3:ExistingObjectTag/":           one,
	"s3:RequestObjectTag/":            one,
	"s3:RequestObjectTagKeys":         many,
	"s3:ObjectCreationOperation":      one,
	"s3:ResourceAccount":              one,
	"s3:TlsVersion":                   one,
	"s3:VersionId":                    one,
	"s3:authType":                     one,
	"s3:delimiter":                    one,
	"s3:if-match":                     one,
	"s3:if-none-match":                one,
	"s3:max-keys":                     one,
	"s3:prefix":                       one,
	"s3:signatureAge":                 one,
	"s3:signatureversion":             one,
	"s3:x-amz-acl":                    one,
	"s3:x-amz-content-sha256":         one,
	"s3:x-amz-copy-source":            one,
	"s3:x-amz-grant-full-control":     one,
	"s3:x-amz-grant-read":             one,
	"s3:x-amz-grant-read-acp":         one,
	"s3:x-amz-grant-write":            one,
	"s3:x-amz-grant-write-acp":        one,
	"s3:x-amz-metadata-directive":     one,
	"s3:x-amz-server-side-encryption": one,
	"s3:x-amz-server-side-encryption-customer-algorithm": one,
	"s3:x-amz-server-side-encryption-aws-kms-key-id":     one,
	"s3:x-amz-storage-class":                             one,
	"secretsmanager:BlockPublicPolicy":                   one,
	"secretsmanager:ForceDeleteWithoutRecovery":          one,
	"secretsmanager:KmsKeyId":                            one,
	"secretsmanager:ModifyRotationRules":                 one,
	"secretsmanager:Name":                                one,
	"secretsmanager:RecoveryWindowInDays":                one,
	"secretsmanager:ResourceTag/":                        one,
	"secretsmanager:RotateImmediately":                   one,
	"secretsmanager:RotationLambdaARN":                   one,
	"secretsmanager:SecretId":                            one,
	"secretsmanager:SecretPrimaryRegion":                 one,
	"secretsmanager:VersionId":                           one,
	"secretsmanager:VersionStage":                        one,
	"secretsmanager:resource/AllowRotationLambdaArn":     one,
	"ssm:resourceTag/":                                   one,
	"sts:ExternalId":                                     one,
	"sts:RoleSessionName":                                one,
}

// The map has both spellings, so that a lookup needs no lower-case copy.
func init() {
	lowered := make(map[string]kind, len(keys))
	for key, kind := range keys {
		lowered[strings.ToLower(key)] = kind
	}
	for key, kind := range lowered {
		keys[key] = kind
	}
}

// keyOf returns a key's kind. It ignores case.
func keyOf(key string) (kind, bool) {
	if kind, known := keys[key]; known {
		return kind, !strings.HasSuffix(key, "/") && !strings.HasSuffix(key, ":")
	}
	first := strings.IndexByte(key, ':')
	stem := first + 1 + strings.IndexByte(key[first+1:], ':') // the second colon, or the only one
	if slash := strings.IndexByte(key, '/'); slash >= 0 {
		stem = slash
	}
	if kind, known := keys[key[:stem+1]]; known {
		return kind, true
	}
	if small := strings.ToLower(key); small != key {
		return keyOf(small)
	}
	return one, false
}

// lookUp returns the request's values of a key, none if it is missing.
func lookUp(variables map[string][]string, key string, k kind) (found []string) {
	seen := false
	for name, values := range variables {
		if len(name) != len(key) || !strings.EqualFold(name, key) {
			continue
		}
		if seen {
			panic(refuse("context key %s twice", key))
		}
		seen, found = true, values
	}
	if k != many && len(found) > 1 {
		panic(refuse("context key %s with %d values", key, len(found)))
	}
	if k == always && len(found) == 0 {
		panic(refuse("a request without %s, which none is", key))
	}
	return found
}
