package iamtest

import (
	"cmp"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// operator reads the values of a policy, and compares.
type operator struct {
	negated bool
	read    func(values []string, variables bool) (compare, error)
}

var operators = map[string]operator{
	"StringEquals":              {false, texts(false, false)},
	"StringNotEquals":           {true, texts(false, false)},
	"StringEqualsIgnoreCase":    {false, texts(false, true)},
	"StringNotEqualsIgnoreCase": {true, texts(false, true)},
	"StringLike":                {false, texts(true, false)},
	"StringNotLike":             {true, texts(true, false)},
	// The two behave identically.
	"ArnEquals":                {false, arns},
	"ArnLike":                  {false, arns},
	"ArnNotEquals":             {true, arns},
	"ArnNotLike":               {true, arns},
	"Bool":                     {false, compared(flag, sameFlag)},
	"Null":                     {false, compared(flag, sameFlag)},
	"IpAddress":                {false, addresses},
	"NotIpAddress":             {true, addresses},
	"DateEquals":               {false, dates(equal)},
	"DateNotEquals":            {true, dates(equal)},
	"DateLessThan":             {false, dates(less)},
	"DateLessThanEquals":       {false, dates(atMost)},
	"DateGreaterThan":          {false, dates(more)},
	"DateGreaterThanEquals":    {false, dates(atLeast)},
	"NumericEquals":            {false, numbers(equal)},
	"NumericNotEquals":         {true, numbers(equal)},
	"NumericLessThan":          {false, numbers(less)},
	"NumericLessThanEquals":    {false, numbers(atMost)},
	"NumericGreaterThan":       {false, numbers(more)},
	"NumericGreaterThanEquals": {false, numbers(atLeast)},
}

func texts(wild, fold bool) func([]string, bool) (compare, error) {
	return func(values []string, variables bool) (compare, error) {
		globs := make([]glob, len(values))
		for i, value := range values {
			var err error
			if globs[i], err = compile(value, wild, variables); err != nil {
				return nil, err
			}
		}
		return func(value string, variables map[string][]string) bool {
			for i := range globs {
				if globs[i].match(value, fold, variables) {
					return true
				}
			}
			return false
		}, nil
	}
}

func arns(values []string, variables bool) (compare, error) {
	globs := make([]arnGlob, len(values))
	for i, value := range values {
		var err error
		if globs[i], err = compileARN(value, variables, true); err != nil {
			return nil, err
		}
	}
	return func(value string, variables map[string][]string) bool {
		segments, ok := splitARN(value)
		if !ok {
			panic(refuse("%q, which is not an ARN, by an ARN operator", value))
		}
		for i := range globs {
			if globs[i].matchARN(value, &segments, variables) {
				return true
			}
		}
		return false
	}, nil
}

// compared reads values of one kind, and reports whether one of the policy's matches the
// request's.
func compared[T any](read func(string) (T, error), takes func(value, limit T) bool) func([]string, bool) (compare, error) {
	return func(texts []string, _ bool) (compare, error) {
		limits := make([]T, len(texts))
		for i, text := range texts {
			var err error
			if limits[i], err = read(text); err != nil {
				return nil, err
			}
		}
		return func(text string, _ map[string][]string) bool {
			value, err := read(text)
			if err != nil {
				panic(err)
			}
			for _, limit := range limits {
				if takes(value, limit) {
					return true
				}
			}
			return false
		}, nil
	}
}

func dates(takes func(order int) bool) func([]string, bool) (compare, error) {
	return compared(date, func(value, limit time.Time) bool { return takes(value.Compare(limit)) })
}

func numbers(takes func(order int) bool) func([]string, bool) (compare, error) {
	return compared(number, func(value, limit float64) bool { return takes(cmp.Compare(value, limit)) })
}

func equal(order int) bool   { return order == 0 }
func less(order int) bool    { return order < 0 }
func atMost(order int) bool  { return order <= 0 }
func more(order int) bool    { return order > 0 }
func atLeast(order int) bool { return order >= 0 }

func flag(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, refuse("%q as true or false", text)
}

func sameFlag(value, limit bool) bool { return value == limit }

var (
	numberForm = regexp.MustCompile(`^-?[0-9]{1,15}(\.[0-9]{1,6})?$`)
	epochForm  = regexp.MustCompile(`^[0-9]{9,12}$`)
	dateForms  = []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly}
)

func number(text string) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !numberForm.MatchString(text) {
		return 0, refuse("%q as a number", text)
	}
	return value, nil
}

// date reads W3C's forms of ISO 8601 that name a day, and seconds since 1970.
func date(text string) (time.Time, error) {
	if epochForm.MatchString(text) {
		seconds, err := strconv.ParseInt(text, 10, 64)
		return time.Unix(seconds, 0), err
	}
	for _, form := range dateForms {
		if value, err := time.Parse(form, text); err == nil {
			return value, nil
		}
	}
	return time.Time{}, refuse("%q as a date", text)
}

func addresses(values []string, _ bool) (compare, error) {
	ranges := make([]netip.Prefix, len(values))
	for i, value := range values {
		var err error
		if ranges[i], err = readRange(value); err != nil {
			return nil, refuse("%q as an address or a range of them", value)
		}
	}
	return func(value string, _ map[string][]string) bool {
		address, err := readAddress(value)
		if err != nil {
			panic(refuse("%q as an address", value))
		}
		for _, r := range ranges {
			if r.Contains(address) {
				return true
			}
		}
		return false
	}, nil
}

// readRange reads a range; an address alone is a range of one.
func readRange(text string) (netip.Prefix, error) {
	alone, bits, ok := strings.Cut(text, "/")
	address, err := readAddress(alone)
	if err != nil || !ok {
		return netip.PrefixFrom(address, address.BitLen()), err
	}
	return netip.ParsePrefix(address.String() + "/" + bits)
}

// readAddress reads an address in the forms of aws:SourceIp.
func readAddress(text string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err == nil && (address.Is4In6() || address.Zone() != "") {
		err = refuse("%q as an address", text)
	}
	return address, err
}
