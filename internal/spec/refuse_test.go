package spec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/spec"
)

// problems returns what is wrong with the properties.
func problems(t *testing.T, text string, rules spec.Rules) spec.Problems {
	t.Helper()
	_, err := spec.Parse(properties(t, text), rules)
	var found spec.Problems
	if err != nil && !errors.As(err, &found) {
		t.Errorf("%s: %T is not Problems", text, err)
	}
	return found
}

// only fails unless there is one problem, of that property, that says what to
// do.
func only(t *testing.T, text, property, advice string, rules spec.Rules) {
	t.Helper()
	found := problems(t, text, rules)
	if len(found) != 1 || found[0].Property != property || !strings.Contains(found[0].Text, advice) {
		t.Errorf("%s\n got: %v\nwant: %s: … %s", text, found, property, advice)
	}
}

func TestEveryRefusalSaysWhatToWrite(t *testing.T) {
	tag := func(key, value string) string { return fmt.Sprintf(`"Tags": [{"Key": %q, "Value": %q}]`, key, value) }
	for text, want := range map[string][2]string{
		`{"Buckets": "data"}`:                                                                                     {"Access", "write Source (read), Destination (write), or a list of both"},
		`{"Access": null, "Buckets": "data"}`:                                                                     {"Access", "write Source (read)"},
		`{"Access": [], "Buckets": "data"}`:                                                                       {"Access", "write Source (read)"},
		`{"Access": "source", "Buckets": "data"}`:                                                                 {"Access", `"source" is no role; write Source (read) or Destination (write)`},
		`{"Access": "Dest", "Buckets": "data"}`:                                                                   {"Access", "write Source (read) or Destination (write)"},
		`{"Access": ["Source", "Target"], "Buckets": "data"}`:                                                     {"Access[1]", "is no role; write"},
		`{"Access": "Source,Sink", "Buckets": "data"}`:                                                            {"Access[1]", `"Sink" is no role; write Source`},
		`{"Access": ["Source,Destination"], "Buckets": "data"}`:                                                   {"Access[0]", "is no role; write"},
		`{"Access": "", "Buckets": "data"}`:                                                                       {"Access", "is empty; leave it out (AWS::NoValue does)"},
		`{"Access": {"Role": "Source"}, "Buckets": "data"}`:                                                       {"Access", "is a map; write a list"},
		`{"Access": [["Source"]], "Buckets": "data"}`:                                                             {"Access[0]", "is a list; write one value"},
		`{"Access": [null], "Buckets": "data"}`:                                                                   {"Access[0]", "is a null; write one value"},
		`{"Access": true, "Buckets": "data"}`:                                                                     {"Access", `"true" is no role`},
		`{"Access": "Source"}`:                                                                                    {"Buckets", "is missing; name at least one bucket"},
		`{"Access": "Source", "Buckets": []}`:                                                                     {"Buckets", "name at least one bucket"},
		`{"Access": "Source", "Buckets": ["data", ""]}`:                                                           {"Buckets[1]", "is empty; leave it out"},
		`{"Access": "Source", "Buckets": "data,,more"}`:                                                           {"Buckets[1]", "is empty; leave it out"},
		`{"Access": "Source", "Buckets": ["data,more"]}`:                                                          {"Buckets[0]", "use a–z, 0–9, dots and hyphens"},
		`{"Access": "Source", "Buckets": [{"Name": "data"}]}`:                                                     {"Buckets[0]", "is a map; write one value"},
		`{"Access": "Source", "Buckets": {"Fn::Sub": "data"}}`:                                                    {"Buckets", "is a map; write a list"},
		with(`"KmsKeyArns": "alias/x"`):                                                                           {"KmsKeyArns", "is an alias, which a policy cannot name; write the ARN of the key behind it"},
		with(`"KmsKeyArns": ["arn:aws:kms:eu-west-1:123456789012:alias/x"]`):                                      {"KmsKeyArns[0]", "is an alias"},
		with(`"KmsKeyArns": ["arn:aws:kms:eu-west-1:123456789012:key/*"]`):                                        {"KmsKeyArns[0]", "without wildcards"},
		with(`"KmsKeyArns": ["arn:aws:kms:*:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]`):             {"KmsKeyArns[0]", "is not the ARN of a KMS key"},
		with(`"KmsKeyArns": ["1234abcd-12ab-34cd-56ef-1234567890ab"]`):                                            {"KmsKeyArns[0]", "is not the ARN of a KMS key"},
		with(`"KmsKeyArns": ["arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]`): {"KmsKeyArns[0]", "is of another partition than the stack; write arn:aws:kms:…"},
		with(`"KmsKeyArns": [""]`):                                                                                {"KmsKeyArns[0]", "is empty; leave it out"},
		with(`"BucketOwner": "12345678901"`):                                                                      {"BucketOwner", "write its 12 digits in quotes, leading zeros too"},
		with(`"BucketOwner": 1.2e11`):                                                                             {"BucketOwner", "is no account id"},
		with(`"BucketOwner": ["123456789012"]`):                                                                   {"BucketOwner", "is a list; write one value"},
		with(`"SourceIps": "10.1.2.3"`):                                                                           {"SourceIps", "is or holds private addresses (10.0.0.0/8)"},
		with(`"SourceIps": ["172.20.0.0/16"]`):                                                                    {"SourceIps[0]", "private addresses (172.16.0.0/12)"},
		with(`"SourceIps": ["192.0.0.0/8"]`):                                                                      {"SourceIps[0]", "holds private addresses (192.168.0.0/16)"},
		with(`"SourceIps": ["127.0.0.1"]`):                                                                        {"SourceIps[0]", "loopback"},
		with(`"SourceIps": ["169.254.169.254"]`):                                                                  {"SourceIps[0]", "link-local"},
		with(`"SourceIps": ["100.64.1.0/24"]`):                                                                    {"SourceIps[0]", "carrier-grade"},
		with(`"SourceIps": ["0.0.0.0/0"]`):                                                                        {"SourceIps[0]", "is every address, which narrows nothing; leave SourceIps out"},
		with(`"SourceIps": ["::/0"]`):                                                                             {"SourceIps[0]", "is every address"},
		with(`"SourceIps": ["0.0.0.0/1"]`):                                                                        {"SourceIps[0]", "unspecified addresses"},
		with(`"SourceIps": ["::1"]`):                                                                              {"SourceIps[0]", "loopback"},
		with(`"SourceIps": ["fd00::/8"]`):                                                                         {"SourceIps[0]", "private addresses (fc00::/7)"},
		with(`"SourceIps": ["fe80::1%eth0"]`):                                                                     {"SourceIps[0]", "is no IPv4 or IPv6 address or CIDR"},
		with(`"SourceIps": ["::ffff:203.0.113.7"]`):                                                               {"SourceIps[0]", "mapped IPv4"},
		with(`"SourceIps": ["203.0.113.7/33"]`):                                                                   {"SourceIps[0]", "write 203.0.113.7 or 203.0.113.0/24"},
		with(`"SourceIps": ["example.org"]`):                                                                      {"SourceIps[0]", "is no IPv4 or IPv6 address"},
		with(`"SourceIps": ["203.0.113.7", "203.0.113.256"]`):                                                     {"SourceIps[1]", "is no IPv4"},
		with(`"ExpiresAt": "2030-01-31"`):                                                                         {"ExpiresAt", "is no time with a zone; write it like 2030-01-31T18:00:00Z"},
		with(`"ExpiresAt": "2030-01-31T18:00:00"`):                                                                {"ExpiresAt", "is no time with a zone"},
		with(`"ExpiresAt": "2030-13-31T18:00:00Z"`):                                                               {"ExpiresAt", "is no time with a zone"},
		with(`"ExpiresAt": "1969-12-31T23:59:59Z"`):                                                               {"ExpiresAt", "is not between 1970 and 9999"},
		with(`"ExpiresAt": "0001-01-01T00:00:00Z"`):                                                               {"ExpiresAt", "is not between 1970 and 9999"},
		with(`"ExpiresAt": "9999-12-31T23:59:59-01:00"`):                                                          {"ExpiresAt", "is not between 1970 and 9999"},
		with(`"ExpiresAt": 1893456000`):                                                                           {"ExpiresAt", "is no time with a zone"},
		with(`"UserName": ""`):                                                                                    {"UserName", "use 1 to 64 letters, digits and _+=.@-"},
		with(`"UserName": "a,b", "SecretName": "cloney/x"`):                                                       {"UserName", "no comma, which tags cannot hold"},
		with(`"UserName": "a b"`):                                                                                 {"UserName", "use 1 to 64 letters"},
		with(`"UserName": "team/x"`):                                                                              {"UserName", "use 1 to 64 letters"},
		with(`"UserName": "x\n"`):                                                                                 {"UserName", `"x\n" cannot be the name of a user`},
		with(`"UserName": "` + strings.Repeat("u", 65) + `"`):                                                     {"UserName", "use 1 to 64 letters"},
		with(`"UserName": ["x"]`):                                                                                 {"UserName", "is a list; write one value"},
		with(`"UserName": "for-abc123"`):                                                                          {"UserName", "set SecretName as well"},
		with(`"UserName": "reader-abc123"`):                                                                       {"UserName", "set SecretName as well"},
		with(`"SecretName": "other"`):                                                                             {"SecretName", "does not begin with cloney/"},
		with(`"SecretName": "cloney/"`):                                                                           {"SecretName", "does not begin with cloney/"},
		with(`"SecretName": "Cloney/x"`):                                                                          {"SecretName", "does not begin with cloney/"},
		with(`"SecretName": "cloney/a b"`):                                                                        {"SecretName", "letters, digits and /_+=.@-"},
		with(`"SecretName": "cloney/x-abcdef"`):                                                                   {"SecretName", "ends in a hyphen and six characters"},
		with(`"SecretName": {"Ref": "X"}`):                                                                        {"SecretName", "is a map; write one value"},
		with(`"SecretKmsKeyId": "my key"`):                                                                        {"SecretKmsKeyId", "write its ARN, its id or alias/NAME"},
		with(`"SecretKmsKeyId": ""`):                                                                              {"SecretKmsKeyId", "write its ARN, its id or alias/NAME"},
		with(`"SecretKmsKeyId": "arn:aws:s3:::data"`):                                                             {"SecretKmsKeyId", "write its ARN, its id or alias/NAME"},
		with(`"SecretKmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"`): {"SecretKmsKeyId", "is of another region than the stack, where the secret is; write arn:aws:kms:eu-west-1:…"},
		with(`"SecretKmsKeyId": "arn:aws:kms:us-east-1:123456789012:alias/k"`):                                  {"SecretKmsKeyId", "is of another region than the stack"},
		with(`"SecretKmsKeyId": "arn:aws-cn:kms:eu-west-1:123456789012:alias/k"`):                               {"SecretKmsKeyId", "is of another partition than the stack; write arn:aws:kms:eu-west-1:…"},
		with(`"SecretKmsKeyId": "arn:aws-cn:kms:cn-north-1:123456789012:alias/k"`):                              {"SecretKmsKeyId", "is of another partition than the stack"},
		with(`"Serial": "0"`):                                    {"Serial", "whole number from 1 to 2147483647; raise it by one"},
		with(`"Serial": -1`):                                     {"Serial", `"-1" is no whole number`},
		with(`"Serial": "1.5"`):                                  {"Serial", "is no whole number"},
		with(`"Serial": 1.0`):                                    {"Serial", "is no whole number"},
		with(`"Serial": "01"`):                                   {"Serial", "is no whole number"},
		with(`"Serial": " 1"`):                                   {"Serial", "is no whole number"},
		with(`"Serial": "2147483648"`):                           {"Serial", "is no whole number"},
		with(`"Serial": true`):                                   {"Serial", `"true" is no whole number`},
		with(`"Serial": ""`):                                     {"Serial", "is no whole number"},
		with(`"Verify": "yes"`):                                  {"Verify", `"yes" is neither true nor false`},
		with(`"Verify": 1`):                                      {"Verify", `"1" is neither true nor false`},
		with(`"Verify": ""`):                                     {"Verify", "neither true nor false"},
		with(`"Verify": " true"`):                                {"Verify", "neither true nor false"},
		with(`"Verify": {}`):                                     {"Verify", "is a map; write one value"},
		with(`"Tags": {"team": "data"}`):                         {"Tags", "is a map; write a list of {Key: …, Value: …}"},
		with(`"Tags": "team=data"`):                              {"Tags", "is a single value; write a list of {Key: …, Value: …}"},
		with(`"Tags": ["team"]`):                                 {"Tags[0]", "is not {Key: …, Value: …}"},
		with(`"Tags": [{"Key": "team"}]`):                        {"Tags[0]", "is not {Key: …, Value: …}"},
		with(`"Tags": [{"Key": "a", "Value": "b", "Also": ""}]`): {"Tags[0]", "is not {Key: …, Value: …}"},
		with(`"Tags": [{"Key": "a", "Value": ["b"]}]`):           {"Tags[0]", "is not {Key: …, Value: …}"},
		with(tag("", "v")):                                       {"Tags[0]", "1 to 128 letters"},
		with(tag(strings.Repeat("k", 129), "v")):                 {"Tags[0]", "1 to 128 letters"},
		with(tag("k*", "v")):                                     {"Tags[0]", "1 to 128 letters"},
		with(tag("k", strings.Repeat("v", 257))):                 {"Tags[0]", `the value of "k" is not 0 to 256 letters`},
		with(tag("k", "a;b")):                                    {"Tags[0]", "0 to 256 letters"},
		with(tag("aws:name", "v")):                               {"Tags[0]", "not the stack's to use (aws:, cloney:)"},
		with(tag("AWS:name", "v")):                               {"Tags[0]", "not the stack's to use"},
		with(tag("cloney:stack-id", "v")):                        {"Tags[0]", "not the stack's to use"},
		with(tag("Cloney:x", "v")):                               {"Tags[0]", "not the stack's to use"},
		with(`"Tags": [{"Key": "team", "Value": "a"}, {"Key": "Team", "Value": "b"}]`): {"Tags[1]", "there already, as Tags[0]"},

		with(`"Acess": "Source"`):                    {`"Acess"`, "did you mean Access?"},
		with(`"access": "Source"`):                   {`"access"`, "did you mean Access?"},
		with(`"Bucket": "x"`):                        {`"Bucket"`, "did you mean Buckets?"},
		with(`"Username": "x"`):                      {`"Username"`, "did you mean UserName?"},
		with(`"SecretKmsKey": "x"`):                  {`"SecretKmsKey"`, "did you mean SecretKmsKeyId?"},
		with(`"Tag": null`):                          {`"Tag"`, "did you mean Tags?"},
		with(`"": "x"`):                              {`""`, "is no property of Custom::CloneyS3Credentials"},
		with(`"Nul\u0000": "x"`):                     {`"Nul\x00"`, "did you mean"},
		with(`"RotationSchedule": "rate(30 days)"`):  {"RotationSchedule", "not supported by this version"},
		with(`"RotationGraceDays": 7`):               {"RotationGraceDays", "not supported by this version"},
		with(`"SecretAccessKey": "wJalrXUtnFEMI/K"`): {`"SecretAccessKey"`, "is no property"},
	} {
		only(t, text, want[0], want[1], rules(t))
		// What stands under a name that means nothing here is not shown.
		if found := problems(t, text, rules(t)); strings.Contains(found.Error(), "wJalr") {
			t.Errorf("the message shows the value: %v", found)
		}
	}
}

func TestMoreTagsThanAWSTakes(t *testing.T) {
	tags := func(n int) string {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = fmt.Sprintf(`{"Key": "k%d", "Value": "v"}`, i)
		}
		return with(`"Tags": [` + strings.Join(entries, ",") + `]`)
	}
	if found := problems(t, tags(spec.MaxTags), rules(t)); found != nil {
		t.Errorf("%d tags: %v", spec.MaxTags, found)
	}
	only(t, tags(spec.MaxTags+1), "Tags", "AWS takes 50 on a user, of which 40 are for the stack", rules(t))
}

func TestSecretNameOfTooManyCharacters(t *testing.T) {
	only(t, with(`"SecretName": "cloney/`+strings.Repeat("s", 506)+`"`), "SecretName", "is longer than 512 characters", rules(t))
}
