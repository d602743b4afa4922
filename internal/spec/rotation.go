package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cloney-s3-credentials/internal/lazyregexp"
	"cloney-s3-credentials/internal/name"
)

// The schedules that Secrets Manager takes. Others are refused here: Secrets Manager
// would refuse them last, when there is a key already.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
var (
	rateExpression = lazyregexp.New(`^rate\(([0-9]{1,4}) (hour|day)s?\)$`)
	cronExpression = lazyregexp.New(`^cron\(([^()]*)\)$`)
)

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html
const (
	leastHours   = 4    // between two rotations
	mostDays     = 1000 // of AutomaticallyAfterDays
	mostSchedule = 256  // characters
)

const howScheduleIsWritten = "write rate(30 days), or cron(0 16 1 * ? *) for the first day of each month at 16:00 UTC"

func (r *reader) schedule() string {
	schedule, given := r.scalar("RotationSchedule")
	if !given {
		return ""
	}
	if !r.rules.Rotates {
		r.refuse("RotationSchedule", "cannot be used: this provider has no function that rotates keys (ROTATION_FUNCTION_ARN is not set); leave it out, or ask the owner of the provider's stack to update it")
	} else if problem := scheduleProblem(schedule); problem != "" {
		r.wrong("RotationSchedule", schedule, "%s", problem)
	}
	return schedule
}

// scheduleProblem says what is wrong with a schedule, or nothing.
func scheduleProblem(schedule string) string {
	if len(schedule) > mostSchedule {
		return fmt.Sprintf("is longer than %d characters, which Secrets Manager does not take; %s", mostSchedule, howScheduleIsWritten)
	}
	if m := rateExpression.FindStringSubmatch(schedule); m != nil {
		return rateProblem(m[1], m[2])
	}
	if m := cronExpression.FindStringSubmatch(schedule); m != nil {
		return cronProblem(strings.Split(m[1], " "))
	}
	return "is neither a rate nor a cron expression that Secrets Manager takes; " + howScheduleIsWritten
}

func rateProblem(number, unit string) string {
	n, _ := strconv.Atoi(number)
	switch {
	case n == 0 || unit == "hour" && n < leastHours:
		return fmt.Sprintf("rotates more often than every %d hours, which Secrets Manager does not do; write rate(%d hours) or more", leastHours, leastHours)
	case unit == "day" && n > mostDays:
		return fmt.Sprintf("is longer than %d days, which Secrets Manager does not take; write fewer days", mostDays)
	}
	return ""
}

// field is one of a cron expression.
type field struct {
	called    string
	low, high int
	words     []string           // for its numbers, from low on
	also      *lazyregexp.Regexp // what it takes in addition to lists of numbers; nil: nothing
	write     string
}

var (
	hours       = field{called: "hours", high: 23, write: "0 to 23"}
	dayOfMonth  = field{called: "day of the month", low: 1, high: 31, also: lazyregexp.New(`^[?L]$`), write: "1 to 31, L for the last one, or ?"}
	month       = field{called: "month", low: 1, high: 12, words: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"), write: "1 to 12, or JAN to DEC"}
	dayOfWeek   = field{called: "day of the week", low: 1, high: 7, words: strings.Fields("SUN MON TUE WED THU FRI SAT"), also: lazyregexp.New(`^(?:\?|(?:[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)?L|(?:[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)#[1-5])$`), write: "1 to 7, SUN to SAT, SUN#1 for the first Sunday of a month, or ?"}
	cronNumbers = lazyregexp.New(`^(?:(\*)|([0-9A-Z]+)(?:-([0-9A-Z]+))?)?(?:/([0-9]+))?$`)
)

// cronProblem says what is wrong with the fields of a cron expression, or nothing.
func cronProblem(fields []string) string {
	if len(fields) != 6 {
		return "does not have six fields with one space between them; " + howScheduleIsWritten
	}
	minute, year := fields[0], fields[5]
	switch {
	case minute != "0":
		return "does not have 0 for its minutes, and Secrets Manager starts rotations at the full hour; " + howScheduleIsWritten
	case year != "*":
		return "does not have * for its year, and Secrets Manager takes nothing else; " + howScheduleIsWritten
	}
	for i, f := range []field{hours, dayOfMonth, month, dayOfWeek} {
		if _, ok := f.numbers(fields[i+1]); !ok {
			return fmt.Sprintf("has %s for its %s, which Secrets Manager does not take; write %s", quote(fields[i+1]), f.called, f.write)
		}
	}
	if (fields[2] == "?") == (fields[4] == "?") {
		return "does not have ? for exactly one of the day of the month and the day of the week; " + howScheduleIsWritten
	}
	if at, _ := hours.numbers(fields[1]); tooOften(at) {
		return fmt.Sprintf("rotates more often than every %d hours, which Secrets Manager does not do; leave at least %d hours between rotations, like cron(0 /%d * * ? *)", leastHours, leastHours, leastHours)
	}
	return ""
}

// tooOften reports whether two of the hours of a day are too near to each other.
func tooOften(hours []int) bool {
	for i := 1; i < len(hours); i++ {
		if hours[i]-hours[i-1] < leastHours {
			return true
		}
	}
	return false
}

// numbers returns the numbers that the text of a field stands for, sorted; none for what
// the field takes in addition to numbers. It returns false for what it does not take.
func (f field) numbers(text string) (numbers []int, ok bool) {
	if f.also != nil && f.also.MatchString(text) {
		return nil, true
	}
	for item := range strings.SplitSeq(text, ",") {
		from, to, step, ok := f.item(item)
		if !ok {
			return nil, false
		}
		for n := from; n <= to; n += step {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), true
}

// item reads one entry of a list: *, 5, 5-9, or any of them with /2. /2 alone begins at
// the lowest number.
func (f field) item(text string) (from, to, step int, ok bool) {
	m := cronNumbers.FindStringSubmatch(text)
	if m == nil || text == "" {
		return 0, 0, 0, false
	}
	from, to, step = f.low, f.high, 1
	if m[4] != "" {
		if step, ok = wholeNumber(m[4], f.high); !ok {
			return 0, 0, 0, false
		}
	}
	if m[2] != "" {
		if from, ok = f.number(m[2]); !ok {
			return 0, 0, 0, false
		}
		if m[4] == "" {
			to = from
		}
	}
	if m[3] != "" {
		if to, ok = f.number(m[3]); !ok {
			return 0, 0, 0, false
		}
	}
	return from, to, step, from <= to
}

// number reads a number of the field, or the word for it.
func (f field) number(text string) (int, bool) {
	if i := slices.Index(f.words, text); i >= 0 {
		return f.low + i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= f.low && n <= f.high
}

func (r *reader) graceDays() int {
	days, given := r.scalar("RotationGraceDays")
	if !given {
		return name.DefaultGraceDays
	}
	n, ok := wholeNumber(days, name.MostGraceDays)
	if !ok {
		r.wrong("RotationGraceDays", days, "is not a whole number of days from 1 to %d; write %d, or leave it out", name.MostGraceDays, name.DefaultGraceDays)
	}
	return n
}
