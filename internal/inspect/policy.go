package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/screen"
	"cloney-s3-credentials/internal/spec"
)

// The stack that properties are judged for: of a made-up account, in the region that
// the environment names.
const (
	exampleAccount = "111122223333"
	exampleStack   = "arn:%s:cloudformation:%s:" + exampleAccount + ":stack/example/00000000-0000-0000-0000-000000000000"
	usualRegion    = "us-east-1"
)

// writePolicies prints the policies of each resource to out, and to about what they
// belong to. The error says all that is wrong, as the provider says it.
func writePolicies(text []byte, given []string, out, about *screen.Screen) error {
	resources, err := readProperties(text, given)
	if err != nil {
		return err
	}
	var wrong []error
	for _, resource := range resources {
		if err := resource.write(out, about); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", resource.logical, err))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	about.Line(screen.Faint, "", "The provider also sets its permissions boundary on the user. A boundary adds no permission. "+
		"Limits that the provider's owner has set, such as AllowedBuckets, are not known here.")
	return nil
}

// region is the one that the environment names.
func region() string {
	return cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), usualRegion)
}

// write prints the policies of one resource.
func (d declared) write(out, about *screen.Screen) error {
	region := region()
	partition := name.Partition(region)
	stack, err := name.ParseStackID(fmt.Sprintf(exampleStack, partition, region))
	if err != nil {
		return fmt.Errorf("%q is not a region: %w", region, err)
	}
	owner := name.Owner{Stack: stack, Logical: d.logical}
	s, err := spec.Parse(d.properties, spec.Rules{Owner: owner, Rotates: true, Now: time.Now()})
	if err != nil {
		return err
	}
	documents, err := policy.Documents(name.MaxPolicies, s.Scope, partition, nil)
	if err != nil {
		return err
	}
	for _, document := range documents {
		about.Line(screen.Bold, "", fmt.Sprintf("%s: policy %d of %d, %d of %d characters", d.logical, document.Number, len(documents), utf8.RuneCountInString(document.Text), policy.MaxSize))
		out.JSON(screen.Plain, "", document.Text)
	}
	for _, place := range s.Scope.Places {
		if strings.ContainsAny(place.Prefix(), "*?$") {
			about.Line(screen.Yellow, "note: ", fmt.Sprintf("%s: a prefix has no wildcards: *, ? and $ are characters of the key", place))
		}
	}
	return nil
}
