package iamtest_test

// document is a policy as JSON.
type document map[string]any

// question is policies and a request, as the oracle reads them.
type question struct {
	Identity  []document          `json:"identity"`
	Boundary  document            `json:"boundary"`
	Control   document            `json:"control"`
	Resource  document            `json:"resource"`
	Principal string              `json:"principal"`
	Action    string              `json:"action"`
	ARN       string              `json:"arn"`
	Context   map[string][]string `json:"context"`
	Many      []string            `json:"many"`

	shouting bool // its policies write keys in other capitals
	plain    bool // one policy of one statement with one condition
}

const principal = "arn:aws:iam::123456789012:user/cloney/us-east-1/dana"

// service is a family of requests: their actions, resources and keys.
type service struct {
	actions, arns []string
	keys          []contextKey
}

// contextKey is a key, its operators without Not, the values of requests, and the values of
// policies if they differ.
type contextKey struct {
	name             string
	operators        []string
	values, policies []string
}

var (
	texts = []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"}
	arns  = []string{"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"}
	dates = []string{"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"}
	sizes = []string{"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"}
)

var everywhere = []contextKey{
	{name: "aws:SourceIp", operators: []string{"IpAddress", "NotIpAddress"}, values: []string{"203.0.113.7", "203.0.113.128", "203.0.114.0", "2001:db8::7", "2001:db9::1"},
		policies: []string{"203.0.113.0/24", "203.0.113.0/25", "203.0.113.7/32", "203.0.113.7", "203.0.112.0/22", "2001:db8::/32", "2001:db8::7", "2001:0db8:0:0::7", "2001:db8::4/126"}},
	{name: "aws:CurrentTime", operators: dates, values: []string{"2026-11-25T00:00:00Z", "2026-11-24T23:59:59Z", "2026-11-25T00:00:01Z"},
		policies: []string{"2026-11-25T00:00:00Z", "2026-11-25T01:00:00+01:00", "2026-11-25", "1795564800", "2026-11-24T23:59:59Z", "2026-11-25T00:00Z"}},
	{name: "aws:SecureTransport", operators: []string{"Bool"}, values: []string{"true", "false"}},
	{name: "aws:ResourceAccount", operators: texts, values: []string{"123456789012", "123456789013"}},
	{name: "aws:PrincipalTag/team", operators: texts, values: []string{"blue", "Blue", "dana"}},
}

var services = []service{
	{
		actions: []string{"s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"},
		arns:    []string{"arn:aws:s3:::data/in/a", "arn:aws:s3:::data/in*/a", "arn:aws:s3:::data/in?/a", "arn:aws:s3:::data/in$/${x}", "arn:aws:s3:::data-2/in/a", "arn:aws:s3:::data/home/dana/x:y", "arn:aws:s3:::data/In/é"},
		keys:    []contextKey{{name: "s3:x-amz-acl", operators: texts, values: []string{"private", "public-read"}}},
	},
	{
		actions: []string{"s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketVersions"},
		arns:    []string{"arn:aws:s3:::data", "arn:aws:s3:::data-2", "arn:aws:s3:::dana"},
		keys: []contextKey{
			{name: "s3:prefix", operators: texts, values: []string{"", "in", "in/", "in/a", "in*/", "in?/a", "In/", "in$/{x}", "home/dana/"}},
			{name: "s3:max-keys", operators: sizes, values: []string{"0", "1", "10", "1000", "10.5"}},
		},
	},
	{
		actions: []string{"iam:CreateUser", "iam:AttachUserPolicy", "iam:PutUserPolicy", "iam:TagUser", "iam:CreateAccessKey"},
		arns:    []string{"arn:aws:iam::123456789012:user/cloney/us-east-1/dana", "arn:aws:iam::123456789012:user/dana", "arn:aws:iam::123456789012:user/cloney/us-east-2/u", "arn:aws:iam::123456789013:user/cloney/us-east-1/dana"},
		keys: []contextKey{
			{name: "iam:PermissionsBoundary", operators: arns, values: []string{"arn:aws:iam::123456789012:policy/cloney-boundary/b", "arn:aws:iam::123456789012:policy/b"}},
			{name: "iam:PolicyARN", operators: arns, values: []string{"arn:aws:iam::123456789012:policy/cloney/us-east-1/p", "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::123456789012:policy/cloney/us-east-1/dana-1"}},
			{name: "aws:RequestTag/cloney:stack-id", operators: texts, values: []string{"arn:aws:cloudformation:us-east-1:123456789012:stack/s/1", "arn:aws:cloudformation:us-east-1:123456789012:stack/S/1"}},
			{name: "aws:ResourceTag/cloney:logical-id", operators: texts, values: []string{"Source", "source", "dana"}},
			{name: "aws:TagKeys", operators: texts, values: []string{"cloney:stack-id", "cloney:logical-id", "Team", "team", "dana"}},
		},
	},
	{
		actions: []string{"kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"},
		arns:    []string{"arn:aws:kms:us-east-1:123456789012:key/1234abcd", "arn:aws:kms:us-east-2:123456789012:key/1234abcd", "arn:aws:kms:us-east-1:123456789012:key/1234abce"},
		keys: []contextKey{
			{name: "kms:ViaService", operators: texts, values: []string{"s3.us-east-1.amazonaws.com", "s3.us-east-2.amazonaws.com", "secretsmanager.us-east-1.amazonaws.com"}},
			{name: "kms:EncryptionContextKeys", operators: texts, values: []string{"aws:s3:arn", "SecretARN"}},
		},
	},
}

// many are the keys that hold lists.
var many = []string{"aws:TagKeys", "kms:EncryptionContextKeys"}

// These are the principals of resource policies.
var whom = []any{
	"*", map[string]any{"AWS": principal}, map[string]any{"AWS": []any{principal, "123456789012"}},
	map[string]any{"AWS": "arn:aws:iam::123456789012:root"}, map[string]any{"AWS": "arn:aws:iam::123456789012:user/dana"},
	map[string]any{"AWS": "arn:aws:iam::123456789013:root"}, map[string]any{"Service": "logging.s3.amazonaws.com"},
}
