package iamtest_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// dialect is a form on which the oracle and AWS's pages disagree. write says the same in a
// form on which they agree. If the difference then disappears, the dialect explains it.
type dialect struct {
	name  string
	right string // who is, by which page
	write func(*question)
}

const iamGuide = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"

var dialects = []dialect{
	{
		name:  "an empty string in a key of many values",
		right: "we: it counts as no value, " + iamGuide + "reference_policies_condition-single-vs-multi-valued-context-keys.html",
		write: emptied,
	},
	{
		name:  "variables and escapes in Version 2008-10-17",
		right: "we: they are literal there, " + iamGuide + "reference_policies_elements_version.html",
		write: func(q *question) {
			for _, policy := range q.policies() {
				if policy["Version"] == "2012-10-17" {
					continue
				}
				policy["Version"] = "2012-10-17"
				policy.rewrite(func(place, key, text string) string {
					if place == "Resource" || isText(place) {
						return strings.ReplaceAll(text, "$", "${$}")
					}
					return text
				})
			}
		},
	},
	{
		name:  "an asterisk in the name of what is asked for",
		right: "we: a request names one resource, and S3's keys may hold it, https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html; the oracle takes it for a wildcard",
		write: func(q *question) {
			if !strings.Contains(q.ARN, "*") {
				return
			}
			q.ARN = strings.ReplaceAll(q.ARN, "*", "¤")
			for _, policy := range q.policies() {
				policy.rewrite(func(place, key, text string) string {
					if place == "Resource" && policy["Version"] == "2012-10-17" {
						return strings.ReplaceAll(text, "${*}", "¤")
					}
					return text
				})
			}
		},
	},
	{
		name:  "escapes under StringEquals",
		right: "we: ${*}, ${?} and ${$} are variables with the values *, ? and $, " + iamGuide + "reference_policies_variables.html#policy-vars-specialchars",
		write: func(q *question) {
			for _, policy := range q.policies() {
				policy.rewrite(func(place, key, text string) string {
					if isText(place) && strings.Contains(place, "Equals") && policy["Version"] == "2012-10-17" {
						return strings.NewReplacer("${$}{", "${$}{", "${*}", "*", "${?}", "?", "${$}", "$").Replace(text)
					}
					return text
				})
			}
		},
	},
	{
		name:  "dates in seconds since 1970",
		right: "we: they are seconds, " + iamGuide + "reference_policies_elements_condition_operators.html#Conditions_Date; the oracle compares them as milliseconds",
		write: func(q *question) {
			for _, policy := range q.policies() {
				policy.rewrite(func(place, key, text string) string {
					if strings.HasPrefix(place, "Date") && text == "1795564800" {
						return "2026-11-25T00:00:00Z"
					}
					return text
				})
			}
		},
	},
	{
		name:  "single addresses",
		right: "we: without a prefix /32 or /128 is meant, " + iamGuide + "reference_policies_elements_condition_operators.html#Conditions_IPAddress; the oracle compares IPv6 as it is spelled, and takes an address to be neither equal nor unequal to one of the other family",
		write: func(q *question) {
			for _, policy := range q.policies() {
				policy.rewrite(func(place, key, text string) string {
					if address, err := netip.ParseAddr(text); err == nil && strings.Contains(place, "IpAddress") {
						return netip.PrefixFrom(address, address.BitLen()).String()
					}
					return text
				})
			}
		},
	},
}

// emptied removes a key with one empty string from the request.
func emptied(q *question) {
	for name, values := range q.Context {
		if !slices.Contains(many, name) || len(values) != 1 || values[0] != "" {
			continue
		}
		delete(q.Context, name)
		for _, policy := range q.policies() {
			policy.rewrite(func(place, key, text string) string {
				if place == "Null" && strings.EqualFold(key, name) {
					return map[string]string{"true": "false", "false": "true"}[text]
				}
				return text
			})
		}
	}
}

// isText reports whether the place is a string operator or an ARN operator.
func isText(place string) bool {
	return strings.Contains(place, "String") || strings.Contains(place, "Arn")
}

func (q *question) policies() []document {
	all := append([]document{}, q.Identity...)
	for _, policy := range []document{q.Boundary, q.Control, q.Resource} {
		if policy != nil {
			all = append(all, policy)
		}
	}
	return all
}

func (d document) statements() (all []map[string]any) {
	list, isList := d["Statement"].([]any)
	if !isList {
		list = []any{d["Statement"]}
	}
	for _, statement := range list {
		all = append(all, statement.(map[string]any))
	}
	return all
}

// rewrite rewrites every value of Resource, NotResource and Condition. The place is
// Resource or the operator.
func (d document) rewrite(write func(place, key, text string) string) {
	for _, statement := range d.statements() {
		for _, name := range []string{"Resource", "NotResource"} {
			if statement[name] != nil {
				statement[name] = rewritten(statement[name], "Resource", "", write)
			}
		}
		conditions, _ := statement["Condition"].(map[string]any)
		for operator, keys := range conditions {
			for key, values := range keys.(map[string]any) {
				keys.(map[string]any)[key] = rewritten(values, operator, key, write)
			}
		}
	}
}

func rewritten(values any, place, key string, write func(place, key, text string) string) any {
	switch values := values.(type) {
	case string:
		return write(place, key, values)
	case []any:
		for i := range values {
			values[i] = rewritten(values[i], place, key, write)
		}
	}
	return values
}

func (q question) clone() (copied question) {
	must(json.Unmarshal(q.text(), &copied))
	return copied
}

func (q question) text() []byte {
	text, err := json.Marshal(q)
	must(err)
	return text
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
