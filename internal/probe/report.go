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
)

// mostBytes is how long an error gets. An answer to CloudFormation has 4,096
// bytes, of which its ids, the step's name and the log stream's take up to
// 1,000.
const mostBytes = 3000

// report is what became of all places.
type report struct {
	places     []*place
	user       string // ARN of the key's user
	subject    access.Subject
	word       string // what the places are
	groups     []group
	answered   int // places that work or fail
	failed     int
	denied     bool // one of them at least
	unfinished []string
}

// group is places that fail in the same way.
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

// log writes a line for each place that failed or has a note, and a summary. What
// failed is answered too, hence no warning.
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

// err names what failed, the most useful first, as far as fits.
func (r *report) err() error {
	if r.failed+len(r.unfinished) == 0 {
		return nil
	}
	var head, tail string
	if len(r.unfinished) > 0 {
		head = fmt.Sprintf("%d of %d %s answered, then the function's time was up; try again, or spread them over several resources. ", r.answered, len(r.places), r.word)
	}
	if r.failed > 0 {
		head += fmt.Sprintf("%d of %d %s cannot be used: ", r.failed, len(r.places), r.word)
	}
	if r.denied {
		tail = r.whom()
	}
	return access.Obstacles(strings.TrimSuffix(head+r.failures(mostBytes-len(head)-len(tail))+tail, ". "))
}

// byARN is how a next step names the user in someone's policy.
const byARN = "aws:PrincipalArn"

// whom tells who the user is, and how a policy names it so that it still does in
// a stack that is created again. A policy's Principal turns into the id of the one
// user that has the name now.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-users
func (r *report) whom() string {
	text := ". The user is " + r.user
	if r.subject.MadeUp {
		text += ". Set UserName before a policy names the user: a new stack makes another name"
	}
	if slices.ContainsFunc(r.groups, func(g group) bool { return strings.Contains(g.sentence, byARN) }) {
		text += ". A policy names the user by " + byARN + " in a condition, not as Principal: that stops matching when the user is made again"
	}
	return text
}

// failures gives each group its sentence and an even share of the room for
// its names.
func (r *report) failures(left int) string {
	const unsaidBytes = len("; 300 more for other reasons, see the log")
	left -= unsaidBytes
	var parts []string
	unsaid := 0
	for i, g := range r.groups {
		text := g.within(left/(len(r.groups)-i), len(r.groups) == 1)
		if len(text) > left {
			unsaid += len(g.names)
			continue
		}
		parts = append(parts, text)
		left -= len(text) + len(". ")
	}
	text := strings.Join(parts, ". ")
	if unsaid > 0 {
		text += fmt.Sprintf("; %d more for other reasons, see the log", unsaid)
	}
	return text
}

// few is how many names are read before the sentence without losing its thread.
const few = 3

// within writes the group with as many names as fit, one at the least.
func (g group) within(bytes int, alone bool) string {
	if len(g.names) <= few {
		return strings.Join(g.names, ", ") + ": " + g.sentence
	}
	head := g.sentence + ": "
	if !alone {
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
