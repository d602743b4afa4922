package spec_test

import (
	"testing"

	"cloney-s3-credentials/internal/spec"
)

// The examples of AWS's page on schedules, and similar ones. Schedules that are refused are
// in the golden file.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
func TestSchedules(t *testing.T) {
	for _, schedule := range []string{
		"rate(4 hours)", "rate(12 hours)", "rate(1 day)", "rate(1 days)", "rate(30 days)", "rate(1000 days)",
		"cron(0 10 * * ? *)", "cron(0 /8 * * ? *)", "cron(0 8/8 * * ? *)", "cron(0 4/12 * * ? *)", "cron(0 8 1/7 * ? *)", "cron(0 18 ? * SAT *)",
		"cron(0 16 L * ? *)", "cron(0 0 ? * SUN#1 *)", "cron(0 0 ? * SUN#2 *)", "cron(0 6 ? * MON-FRI *)", "cron(0 0 ? * 6L *)", "cron(0 0 ? * L *)",
		"cron(0 8 1 JAN,APR,JUL,OCT ? *)", "cron(0 8,20 1-7,15 */3 ? *)", "cron(0 0-23/4 ? * 1,7 *)",
	} {
		given := properties(t, with(""))
		given["RotationSchedule"] = schedule
		if got, err := spec.Parse(given, rules(t)); err != nil || got.Schedule != schedule {
			t.Errorf("%s: %q, %v", schedule, got.Schedule, err)
		}
	}
}
