// Package confinement is a model of what the provider's function and the keys
// that it issues may do, for tests: the policies of the published template, as
// CloudFormation makes them, and what the code asks of AWS, as it crosses the
// wire. Only tests import it.
//
// It refuses to guess: a function or an operation that it does not know is an
// error, so that nothing new goes unjudged. What it takes of AWS it takes from
// the service authorization reference; AWS itself it cannot replace.
//
// https://docs.aws.amazon.com/service-authorization/latest/reference/
//
// Its tests also hold tables of who may do what by the policies in stacksets/.
package confinement

// Place is where a stack of the provider is.
type Place struct{ Partition, Region, Account string }

// Suffix is the partition's AWS::URLSuffix.
func (p Place) Suffix() string {
	switch p.Partition {
	case "aws-cn":
		return "amazonaws.com.cn"
	case "aws-eusc":
		return "amazonaws.eu"
	case "aws-iso":
		return "c2s.ic.gov"
	}
	return "amazonaws.com"
}

// ARN of an entity of IAM, as in user/cloney/x.
func (p Place) ARN(entity string) string {
	return "arn:" + p.Partition + ":iam::" + p.Account + ":" + entity
}

// RegionalARN of a service's resource in the place's region.
func (p Place) RegionalARN(service, resource string) string {
	return "arn:" + p.Partition + ":" + service + ":" + p.Region + ":" + p.Account + ":" + resource
}

// BoundaryARN is the ARN that UserBoundary gets. The name is one of those that
// CloudFormation makes up.
func (p Place) BoundaryARN() string {
	return p.ARN("policy/cloney-boundary/cloney-s3-credentials-UserBoundary-1A2B3C4D5E6F")
}

// Function is the ARN of the function.
func (p Place) Function() string {
	return p.RegionalARN("lambda", "function:cloney-s3-credentials")
}

// FunctionARN is the principal that the function's calls come from.
func (p Place) FunctionARN() string {
	return "arn:" + p.Partition + ":sts::" + p.Account + ":assumed-role/cloney-s3-credentials-ProviderRole-1A2B3C4D5E6F/cloney-s3-credentials"
}

// KeyARN is the ARN of a KMS key of the account.
func (p Place) KeyARN() string {
	return p.RegionalARN("kms", "key/1234abcd-12ab-34cd-56ef-1234567890ab")
}
