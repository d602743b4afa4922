package iamtest

import "strings"

// splitARN splits at the first five colons. The last segment may contain more colons.
func splitARN(text string) (segments [6]string, ok bool) {
	if !strings.HasPrefix(text, "arn:") {
		return segments, false
	}
	for i := range 5 {
		if segments[i], text, ok = strings.Cut(text, ":"); !ok {
			return segments, false
		}
	}
	segments[5] = text
	return segments, text != ""
}

// arnGlob is an ARN with wildcards. They stay within their segment: a * before the fifth
// colon does not match a colon.
type arnGlob struct {
	all      bool // it is * alone
	segments [6]glob
	// whole is the same text as one pattern, if a wildcard is before the fifth colon. A
	// text that only whole matches is not judged, because AWS's pages disagree: they speak
	// of segments, and of a * at the end of a segment that matches beyond it.
	whole *glob
}

// compileARN reads a Resource or, with wildcards anywhere, the value of an ARN condition.
// Variables may come after the fifth colon.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func compileARN(text string, variables, anywhere bool) (arnGlob, error) {
	segments, ok := splitARN(text)
	if !ok {
		return arnGlob{}, refuse("%q: it is not an ARN of six parts", text)
	}
	if strings.ContainsAny(segments[2], "*?") && !anywhere {
		return arnGlob{}, refuse("%q: a wildcard for a service", text)
	}
	if variables && strings.Contains(strings.Join(segments[:5], ":"), "${") {
		return arnGlob{}, refuse("%q: a variable before the fifth colon", text)
	}
	kind := strings.FieldsFunc(segments[5], func(c rune) bool { return c == '/' || c == ':' })
	if !anywhere && segments[2] != "s3" && segments[5] != "*" && (len(kind) == 0 || strings.ContainsAny(kind[0], "*?")) {
		return arnGlob{}, refuse("%q: a wildcard for a type of resource", text)
	}
	var a arnGlob
	for i, segment := range segments {
		var err error
		if a.segments[i], err = compile(segment, true, variables && i == 5); err != nil {
			return arnGlob{}, err
		}
	}
	if strings.ContainsAny(strings.Join(segments[:5], ""), "*?") {
		whole, err := compile(text, true, variables)
		if err != nil {
			return arnGlob{}, err
		}
		a.whole = &whole
	}
	return a, nil
}

func (a *arnGlob) match(q *query) bool {
	return a.all || q.isARN && a.matchARN(q.resource, &q.segments, q.variables)
}

func (a *arnGlob) matchARN(text string, segments *[6]string, variables map[string][]string) bool {
	for i := range segments {
		if !a.segments[i].match(segments[i], false, variables) {
			a.checkDiffers(text, variables)
			return false
		}
	}
	return true
}

// checkDiffers checks that the ARN differs from the text by each reading of AWS's page.
func (a *arnGlob) checkDiffers(text string, variables map[string][]string) {
	if a.whole != nil && a.whole.match(text, false, variables) {
		panic(refuse("whether a wildcard that runs over a colon takes %q", text))
	}
}
