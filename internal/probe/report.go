package probe

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/numbered"
)

// mostBytes is the length of the longest error. A response to CloudFormation has 4,096
// bytes. Its ids and the name of the log stream take up to 1,000 of them.
const mostBytes = 3000

// report is the result for all places.
type report struct {
	places     []*place
	user       string // ARN of the key's user
	subject    access.Subject
	word       string // for the places: buckets, or buckets and prefixes
	groups     []group
	answered   int // places that work or fail
	failed     int
	denied     bool // at least one of them is denied
	unfinished []string
}

// group is the places that fail in the same way.
type group struct {
	cause    cause
	sentence string
	names    []string
	places   []*place
}

func newReport(buckets []*bucket, user string, scope access.Scope, subject access.Subject) *report {
	r := &report{user: user, subject: subject, word: "buckets"}
	for _, b := range buckets {
		for _, p := range b.places {
			if p.name.Prefix() != "" {
				r.word = "buckets and prefixes"
			}
			r.add(p, scope)
		}
	}
	slices.SortStableFunc(r.groups, func(a, b group) int { return cmp.Compare(a.cause, b.cause) })
	return r
}

func (r *report) add(p *place, scope access.Scope) {
	r.places = append(r.places, p)
	switch {
	case p.state == works:
		r.answered++
		return
	case len(p.failures) == 0:
		r.unfinished = append(r.unfinished, string(p.name))
		return
	case p.state == fails:
		r.answered++
	}
	r.failed++
	r.denied = r.denied || slices.ContainsFunc(p.failures, func(a answer) bool { return a.cause == denied })
	text := sentences(p, scope)
	i := slices.IndexFunc(r.groups, func(g group) bool { return g.sentence == text })
	if i < 0 {
		i, r.groups = len(r.groups), append(r.groups, group{cause: p.cause(), sentence: text})
	}
	r.groups[i].names = append(r.groups[i].names, string(p.name))
	r.groups[i].places = append(r.groups[i].places, p)
}

// log writes a line for each place that failed or has a note, and a summary. A failure is
// not a warning here: the response reports it.
func (r *report) log(ctx context.Context, log *slog.Logger, took time.Duration) {
	notes := 0
	for _, g := range r.groups {
		for _, p := range g.places {
			log.InfoContext(ctx, "verification", "place", p.name, "outcome", "failed", "cause", names[g.cause], "code", p.code(), "looks", p.looks, "says", g.sentence)
		}
	}
	for _, p := range r.places {
		for _, note := range p.notes {
			notes++
			log.Log(ctx, note.level, "verification", "place", p.name, "outcome", "note", "note", note.text)
		}
	}
	for _, name := range r.unfinished {
		log.InfoContext(ctx, "verification", "place", name, "outcome", "unfinished")
	}
	log.InfoContext(ctx, "verification", "outcome", "summary", "places", len(r.places), "failed", r.failed, "unfinished", len(r.unfinished), "notes", notes, "milliseconds", took.Milliseconds())
}

// err names what failed, the most useful first, as far as there is room.
func (r *report) err() error {
	if r.failed+len(r.unfinished) == 0 {
		return nil
	}
	head, tail := "Buckets: ", ""
	if len(r.unfinished) > 0 {
		head += fmt.Sprintf("the function's time was up when %d of %d %s had answered; try again, or spread them over several resources. ", r.answered, len(r.places), r.word)
	}
	if r.failed > 0 && !r.alone() {
		head += fmt.Sprintf("%d of %d %s cannot be used: ", r.failed, len(r.places), r.word)
	}
	if r.denied {
		tail = r.whom()
	}
	return access.Obstacles(strings.TrimSuffix(head+r.failures(mostBytes-len(head)-len(tail))+tail, ". "))
}

// alone reports whether there is one place, so that nothing is to be counted.
func (r *report) alone() bool { return len(r.places) == 1 }

// byARN is the condition key by which a next step lets a policy name the user.
const byARN = "aws:PrincipalArn"

// whom names the user, and says how a policy can name it so that a stack that is created
// again can still use the bucket. In the Principal of a policy, AWS replaces the ARN by
// the id of the one user that has the name now.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-users
func (r *report) whom() string {
	text := ". The user is " + r.user
	if r.subject.MadeUp {
		text += ". Set UserName before a policy names the user: a new stack makes up another name"
	}
	if slices.ContainsFunc(r.groups, func(g group) bool { return strings.Contains(g.sentence, byARN) }) {
		text += ". A policy names the user by " + byARN + " in a condition, not as Principal: a Principal stops matching when the user is created again"
	}
	return text
}

// failures gives each group its sentence, and an even share of the room for its names.
func (r *report) failures(left int) string {
	const unsaidBytes = len("; 300 more for other reasons, see the log")
	left -= unsaidBytes
	var parts []string
	unsaid := 0
	for i, g := range r.groups {
		text := r.within(g, left/(len(r.groups)-i)-numbered.Room)
		if len(text)+numbered.Room > left {
			unsaid += len(g.names)
			continue
		}
		parts = append(parts, text)
		left -= len(text) + numbered.Room
	}
	text := numbered.Join(parts)
	if unsaid > 0 {
		text += fmt.Sprintf("; %d more for other reasons, see the log", unsaid)
	}
	return text
}

// few is how many names can stand before the sentence and still be easy to read.
const few = 3

// within writes a group with as many names as there is room for, and at least one.
func (r *report) within(g group, bytes int) string {
	switch {
	case r.alone():
		return fmt.Sprintf("%q cannot be used: %s", g.names[0], g.sentence)
	case len(g.names) <= few:
		return strings.Join(g.names, ", ") + ": " + g.sentence
	}
	head := g.sentence + ": "
	if len(r.groups) > 1 {
		head = fmt.Sprintf("%d of them: %s", len(g.names), head)
	}
	for shown := len(g.names); ; shown-- {
		text := head + strings.Join(g.names[:shown], ", ")
		if shown < len(g.names) {
			text += fmt.Sprintf(" and %d more, see the log", len(g.names)-shown)
		}
		if len(text) <= bytes || shown == 1 {
			return text
		}
	}
}
