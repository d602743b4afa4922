package metric

import (
	"encoding/json"
	"io"
	"time"
)

// Namespace of the metrics in CloudWatch.
const Namespace = "CloneyS3Credentials"

// Cause is why an event was not answered with SUCCESS. Each cause is a metric of its own, so
// there are few, and none contains words of an event.
type Cause string

// These are the causes of failure.
const (
	None         Cause = ""
	Event        Cause = "Event"        // malformed
	Account      Cause = "Account"      // a stack that is not served
	Properties   Cause = "Properties"   // invalid
	Refused      Cause = "Refused"      // a name is taken, a key in use …
	Verification Cause = "Verification" // the key does not do what it should
	Denied       Cause = "Denied"       // AWS denied the function something
	Invalid      Cause = "Invalid"      // the function sent AWS an invalid request
	Limit        Cause = "Limit"        // a quota of AWS
	Throttled    Cause = "Throttled"    // until the deadline
	Deadline     Cause = "Deadline"     // time ran out in another way
	Unclear      Cause = "Unclear"      // any other failure of AWS or on the way there
	Internal     Cause = "Internal"     // a panic
	Settings     Cause = "Settings"     // the function's environment is not the template's
	Unanswerable Cause = "Unanswerable" // the ResponseURL is refused
	Unanswered   Cause = "Unanswered"   // CloudFormation accepted no response
)

// Told is what one event reports.
type Told struct {
	Type  string // Create, Update, Delete; nothing else is counted
	Cause Cause
	Took  time.Duration
	Counts
}

// Sink writes metrics. A nil Sink writes nothing.
type Sink struct {
	Function string    // the dimension FunctionName
	Out      io.Writer // a Lambda function's standard output
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []definition
}

type definition struct{ Name, Unit string }

// Tell writes one line, a JSON object: CloudWatch Logs makes metrics of it. Lambda passes
// lines of JSON through unchanged, also in its JSON format.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func (s *Sink) Tell(e Told) {
	if s == nil {
		return
	}
	line := map[string]any{"FunctionName": s.Function}
	always := directive{Namespace: Namespace, Dimensions: [][]string{{"FunctionName"}}}
	tell := func(name, unit string, value any) {
		line[name] = value
		always.Metrics = append(always.Metrics, definition{name, unit})
	}
	if counted := map[string]string{"Create": "Creates", "Update": "Updates", "Delete": "Deletes"}[e.Type]; counted != "" {
		tell(counted, "Count", 1)
	}
	tell("Duration", "Milliseconds", e.Took.Milliseconds())
	tell("AwsRequests", "Count", e.Requests)
	tell("AwsRetries", "Count", e.Retries)
	tell("KeysIssued", "Count", e.Issued)
	tell("KeysRetired", "Count", e.Retired)
	tell("Warnings", "Count", e.Warnings)
	tell("Unbound", "Count", e.Unbound)
	if e.Verified {
		tell("VerificationSeconds", "Seconds", e.Verifying.Seconds())
	}
	directives := []directive{always}
	line["Failures"] = 0
	failures := directive{Namespace: Namespace, Dimensions: [][]string{{"FunctionName"}}, Metrics: []definition{{"Failures", "Count"}}}
	if e.Cause != None {
		line["Failures"], line["Cause"] = 1, e.Cause
		failures.Dimensions = append(failures.Dimensions, []string{"FunctionName", "Cause"})
	}
	s.write(line, append(directives, failures)...)
}

// write writes a line with the metrics that CloudWatch makes of it.
func (s *Sink) write(line map[string]any, directives ...directive) {
	line["_aws"] = map[string]any{"Timestamp": time.Now().UnixMilli(), "CloudWatchMetrics": directives}
	// Numbers and strings cannot fail to marshal. If the log cannot be written, that must
	// not fail an event.
	text, _ := json.Marshal(line)
	_, _ = s.Out.Write(append(text, '\n'))
}
