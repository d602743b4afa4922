package probe

import (
	"cmp"
	"context"
	"errors"
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
	word       string // what the places are
	groups     []group
	answered   int // places that work or fail
	failed     int
	unfinished []string
}

// group is places that fail in the same way.
type group struct {
	cause    cause
	sentence string
	names    []string
	places   []*place
}

func newReport(buckets []*bucket, user string, scope access.Scope) *report {
	r := &report{user: user, word: "buckets"}
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
	case p.last.cause == nothing:
		r.unfinished = append(r.unfinished, string(p.name))
		return
	case p.state == fails:
		r.answered++
	}
	r.failed++
	text := sentence(p, scope)
	i := slices.IndexFunc(r.groups, func(g group) bool { return g.sentence == text })
	if i < 0 {
		i, r.groups = len(r.groups), append(r.groups, group{cause: p.last.cause, sentence: text})
	}
	r.groups[i].names = append(r.groups[i].names, string(p.name))
	r.groups[i].places = append(r.groups[i].places, p)
}

// log writes a line for each place that failed or has a note, and a summary.
func (r *report) log(ctx context.Context, log *slog.Logger, took time.Duration) {
	notes := 0
	for _, g := range r.groups {
		for _, p := range g.places {
			log.WarnContext(ctx, "verification", "place", p.name, "outcome", "failed", "cause", names[g.cause], "code", p.last.code, "looks", p.looks, "says", g.sentence)
		}
	}
	for _, p := range r.places {
		for _, note := range p.notes {
			notes++
			log.InfoContext(ctx, "verification", "place", p.name, "outcome", "note", "note", note)
		}
	}
	for _, name := range r.unfinished {
		log.WarnContext(ctx, "verification", "place", name, "outcome", "unfinished")
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
	if slices.ContainsFunc(r.groups, func(g group) bool { return g.cause == denied }) {
		tail = ". The user is " + r.user
	}
	return errors.New(strings.TrimSuffix(head+r.failures(mostBytes-len(head)-len(tail))+tail, ". "))
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
