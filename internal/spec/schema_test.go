package spec

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/name"
)

// schemaFile is what cfn-lint and editors check properties by, before a deployment.
const schemaFile = "../../schema/custom-cloneys3credentials.json"

// schema is JSON Schema as cfn-lint takes it. It refuses less than Parse does: what a
// pattern cannot say well, the provider says in a sentence.
type schema struct {
	Schema               string     `json:"$schema,omitempty"`
	TypeName             string     `json:"typeName,omitempty"`
	Description          string     `json:"description,omitempty"`
	Type                 any        `json:"type,omitempty"`
	Pattern              string     `json:"pattern,omitempty"`
	Not                  *schema    `json:"not,omitempty"`
	Minimum              int        `json:"minimum,omitempty"`
	Maximum              int        `json:"maximum,omitempty"`
	MinLength            int        `json:"minLength,omitempty"`
	MaxLength            int        `json:"maxLength,omitempty"`
	MinItems             int        `json:"minItems,omitempty"`
	MaxItems             int        `json:"maxItems,omitempty"`
	Items                *schema    `json:"items,omitempty"`
	Properties           properties `json:"properties,omitempty"`
	Required             []string   `json:"required,omitempty"`
	AdditionalProperties *bool      `json:"additionalProperties,omitempty"`
}

// properties are written in the order of the contract's table.
type properties []property

type property struct {
	name   string
	schema schema
}

func (p properties) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	for i, one := range p {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		value, err := json.Marshal(one.schema)
		if err != nil {
			return nil, err
		}
		text.WriteByte(separator)
		text.WriteString(`"` + one.name + `":`)
		text.Write(value)
	}
	text.WriteByte('}')
	return text.Bytes(), nil
}

// list is a list of texts that match the pattern; or a single string, which is split at
// commas, of entries. No entry has a comma: a string could be split in many ways, and
// comparing it with the pattern would take for ever.
func list(description, pattern, entry string) schema {
	return schema{
		Description: description, Type: []string{"array", "string"},
		Pattern: `^\s*` + entry + `\s*(,\s*` + entry + `\s*)*$`,
		Items:   &schema{Type: "string", Pattern: pattern},
	}
}

// inner is a pattern without its anchors, as a part of another one.
func inner(pattern string) string {
	return "(?:" + strings.TrimSuffix(strings.TrimPrefix(pattern, "^"), "$") + ")"
}

func integer(description string, least, most int) schema {
	return schema{Description: description, Type: "integer", Minimum: least, Maximum: most}
}

var (
	// mayReadSecret is an account id, or the ARN of an account, a user or a role.
	mayReadSecret = "^(?:" + inner(accountID.String()) + "|" + inner(readerARN.String()) + ")$"
	// address is the form of an IPv4 or IPv6 address or CIDR.
	address = `^[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?$`
)

// place is a bucket's name or ARN, with or without a prefix, and without the characters of
// except. A prefix does not begin with a slash or a space, nor end in a space or in a *,
// which is meant as a wildcard. A * alone is the whole bucket.
func place(except string) string {
	one, first, any, last := `[^/*\s`+except+`]`, `[^/\s`+except+`]`, `[^\n`+except+`]`, `[^*\s`+except+`]`
	return `^(?:arn:[a-z0-9-]*:s3:::)?` + inner(oldBucketName.String()) + `(?:/(?:\*|` + one + `|` + first + any + `*` + last + `)?)?$`
}

// private is how an entry of a list begins that names a private IPv4 address, most often
// the one that a machine has inside its network.
func private() string {
	var begins []string
	for _, special := range notPublic {
		if special.what == "private" && special.prefix.Addr().Is4() {
			begins = append(begins, octets(special.prefix))
		}
	}
	return `(?:^|,)\s*(?:` + strings.Join(begins, "|") + `)`
}

// octets is a pattern of how the addresses of an IPv4 prefix begin.
func octets(prefix netip.Prefix) string {
	var begin strings.Builder
	four := prefix.Addr().As4()
	whole, bits := prefix.Bits()/8, prefix.Bits()%8
	for _, octet := range four[:whole] {
		fmt.Fprintf(&begin, `%d\.`, octet)
	}
	if bits == 0 {
		return begin.String()
	}
	var numbers []string
	for i := range 1 << (8 - bits) {
		numbers = append(numbers, strconv.Itoa(int(four[whole])+i))
	}
	return begin.String() + "(?:" + strings.Join(numbers, "|") + `)\.`
}

func object(described schema, required ...string) schema {
	described.Type, described.Required, described.AdditionalProperties = "object", required, new(bool)
	return described
}

// propertiesSchema has the limits and the expressions by which Parse judges a Create.
func propertiesSchema() schema {
	access := list("The roles of the credential: write Source to read, Destination to write, or a list of both.", `^(?:Source|Destination)$`, "(?:Source|Destination)")
	buckets := list("The buckets that the credential reaches: write BUCKET, BUCKET/PREFIX or an ARN, without s3:// and without wildcards. A prefix covers every key that begins with it.", place(""), inner(place(",")))
	buckets.MinItems = 1
	sources := list("The public addresses from which the key works: write them like 203.0.113.7 or 203.0.113.0/24. It works from no other address.", address, inner(address))
	sources.MinItems = 1
	sources.Not = &schema{Type: "string", Pattern: private()}
	sources.Items.Not = sources.Not
	tag := object(schema{Properties: properties{
		{"Key", schema{Type: "string", MinLength: 1, MaxLength: 128}},
		{"Value", schema{Type: "string", MaxLength: 256}},
	}}, "Key", "Value")
	return object(schema{
		Schema:      "http://json-schema.org/draft-07/schema#",
		TypeName:    "Custom::CloneyS3Credentials",
		Description: "Properties of Custom::CloneyS3Credentials. Written by go test ./internal/spec -run Schema -update.",
		Properties: properties{
			{"ServiceToken", schema{Description: "The ARN of the provider's function.", Type: "string"}},
			{"ServiceTimeout", integer("How many seconds CloudFormation waits for a response.", leastServiceTimeout, mostServiceTimeout)},
			{"Access", access},
			{"Buckets", buckets},
			{"KmsKeyArns", list("The KMS keys that encrypt the objects: write the ARN of each key, not of an alias.", kmsKeyARN.String(), inner(kmsKeyARN.String()))},
			{"BucketOwner", schema{Description: "The account that owns the buckets: write its 12 digits in quotes. The key does not work for buckets of other accounts.", Type: "string", Pattern: accountID.String()}},
			{"SourceIps", sources},
			{"ExpiresAt", schema{Description: "When access ends: write a time with its zone, like 2030-01-31T18:00:00Z.", Type: "string", Pattern: withZone.String()}},
			{"UserName", schema{Description: "The name of the IAM user: write letters, digits and _+=.@-.", Type: "string", Pattern: `^[A-Za-z0-9_+=.@-]+$`, MinLength: 1, MaxLength: name.MaxUser}},
			{"SecretName", schema{Description: "The name of the secret: write cloney/NAME, of letters, digits and /_+=.@-.", Type: "string", Pattern: `^cloney/[A-Za-z0-9/_+=.@-]+$`, MaxLength: name.MaxSecret}},
			{"SecretKmsKeyId", schema{Description: "The KMS key that encrypts the secret: write its ARN, its id or alias/NAME.", Type: "string", Pattern: kmsKey.String(), MaxLength: 256}},
			{"SecretReaders", list("The principals that may read the secret: write the id of an account, or the ARN of a user or a role, without wildcards.", mayReadSecret, "[^,*?]+")},
			{"Serial", integer("Raise it by one for a new key.", 1, math.MaxInt32)},
			{"RotationSchedule", schema{Description: "When the key is rotated: write rate(30 days), or a cron expression of Secrets Manager.", Type: "string", Pattern: `^(rate|cron)\([^()]*\)$`, MaxLength: mostSchedule}},
			{"RotationGraceDays", integer("How many days a previous key must go unused before it is retired.", 1, name.MostGraceDays)},
			{"Verify", schema{Description: "Whether the key is proven before the resource completes.", Type: "boolean"}},
			{"Tags", schema{Description: "Tags of the user, its policies and the secret.", Type: "array", MaxItems: MaxTags, Items: &tag}},
		},
	}, "ServiceToken", "Access", "Buckets")
}

// A property that is added to the provider is added to the schema: else cfn-lint would refuse
// a template that the provider takes.
func TestSchemaHasEveryProperty(t *testing.T) {
	var names []string
	for _, p := range propertiesSchema().Properties {
		names = append(names, p.name)
	}
	if diff := cmp.Diff(known, names); diff != "" {
		t.Error(diff)
	}
}

func TestSchemaIsWritten(t *testing.T) {
	text, err := json.MarshalIndent(propertiesSchema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	// The flag is golden_test.go's, which is of the other package of tests here.
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(schemaFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(written), string(text)); diff != "" {
		t.Errorf("go test ./internal/spec -run Schema -update writes %s again:\n%s", schemaFile, diff)
	}
}
