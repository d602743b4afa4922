// Package confinement is a model of the rights of the provider's two functions and of the
// keys that they issue. It has the policies of the published template, as CloudFormation
// creates them, and the code's calls to AWS, as they are sent. Only tests import it.
//
// It refuses to guess: an unknown function or operation is an error, so that nothing new
// stays unjudged. Its knowledge of AWS comes from the service authorization reference. It
// cannot replace AWS itself.
//
// https://docs.aws.amazon.com/service-authorization/latest/reference/
//
// Its tests also have tables of the rights that the policies in stacksets/ give.
package confinement

// Place is the place of a stack of the provider.
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

// BoundaryARN is the ARN of UserBoundary, with a name like those that CloudFormation
// generates.
func (p Place) BoundaryARN() string {
	return p.ARN("policy/cloney-boundary/cloney-s3-credentials-UserBoundary-1A2B3C4D5E6F")
}

// Function is a function of the provider's stack, by its name.
type Function string

// The functions of the stack.
const (
	Provider Function = "cloney-s3-credentials"
	Rotator  Function = "cloney-s3-credentials-rotator"
)

// Functions are all functions of the stack.
var Functions = []Function{Provider, Rotator}

// roles are the logical ids of their roles.
var roles = map[Function]string{Provider: "ProviderRole", Rotator: "RotatorRole"}

// Role is the logical id of the function's role.
func (f Function) Role() string { return roles[f] }

// LogGroup is the name that the template gives the function's log.
func (f Function) LogGroup() string { return "/aws/lambda/" + string(f) }

// Lambda is the ARN of a function.
func (p Place) Lambda(f Function) string {
	return p.RegionalARN("lambda", "function:"+string(f))
}

// Principal is the principal of a function's calls.
func (p Place) Principal(f Function) string {
	return "arn:" + p.Partition + ":sts::" + p.Account + ":assumed-role/cloney-s3-credentials-" + f.Role() + "-1A2B3C4D5E6F/" + string(f)
}

// Topic is the ARN of an SNS topic of the account.
func (p Place) Topic() string { return p.RegionalARN("sns", "alarms") }

// KeyARN is the ARN of a KMS key of the account.
func (p Place) KeyARN() string {
	return p.RegionalARN("kms", "key/1234abcd-12ab-34cd-56ef-1234567890ab")
}
