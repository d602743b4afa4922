package metric_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/metric"
)

// The template's alarms and dashboard show metrics by their names: each that
// they show is told, and the dashboard shows each that is told.
func TestTheTemplateKnowsTheMetrics(t *testing.T) {
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "DashboardBody: !Sub |\n")
	body, _, _ := strings.Cut(rest, "\n\nOutputs:")
	// What stands in ${…} is a name or an ARN.
	if !json.Valid([]byte(regexp.MustCompile(`\$\{[A-Za-z:.]+\}`).ReplaceAllString(body, "x"))) {
		t.Errorf("the dashboard is not JSON:\n%s", body)
	}
	shown := map[string]bool{}
	// A dot stands for what the line before says.
	of, function := "", ""
	for _, found := range regexp.MustCompile(`\["([A-Za-z0-9/.]+)", "([A-Za-z0-9.]+)", "(?:FunctionName|\.)", "(?:\$\{(\w+)\}|\.)"`).FindAllStringSubmatch(body, -1) {
		if found[1] != "." {
			of, function = found[1], found[3]
		}
		if of == "CloneyS3Credentials" && found[2] != "." {
			shown[function+" "+found[2]] = true
		}
	}
	told := map[string]bool{}
	for _, kind := range []string{"Create", "Update", "Delete"} {
		var out bytes.Buffer
		(&metric.Sink{Function: "f", Out: &out}).Tell(metric.Told{Type: kind, Cause: metric.Denied, Took: time.Second, Counts: metric.Counts{Verified: true}})
		for name := range published(t, out.String()) {
			name, _, _ = strings.Cut(name, " of ")
			told["ProviderFunction "+name] = true
		}
	}
	for _, tell := range []func(*metric.Sink){
		func(s *metric.Sink) { s.Sweep(metric.Swept{}) }, func(s *metric.Sink) { s.Rotation(false) }, func(s *metric.Sink) { s.Rotation(true) },
	} {
		var out bytes.Buffer
		tell(&metric.Sink{Function: "f", Out: &out})
		for name := range published(t, out.String()) {
			name, _, _ = strings.Cut(name, " of ")
			told["RotatorFunction "+name] = true
		}
	}
	for name := range told {
		if !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
	for name := range shown {
		if !told[name] {
			t.Errorf("the dashboard shows %s, which nobody tells", name)
		}
	}
	for _, watched := range []string{"ProviderFunction Failures", "ProviderFunction Warnings", "RotatorFunction RotationFailures"} {
		function, name, _ := strings.Cut(watched, " ")
		alarm := "Namespace: CloneyS3Credentials\n      MetricName: " + name + "\n      Dimensions:\n        - Name: FunctionName\n          Value: !Ref " + function + "\n"
		if !told[watched] || !strings.Contains(string(text), alarm) {
			t.Errorf("no alarm is about %s", watched)
		}
	}
	// The dashboard shows each alarm.
	for _, alarm := range regexp.MustCompile(`(?m)^  ([A-Za-z]+):\n    Type: AWS::CloudWatch::Alarm$`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(body, "${"+alarm[1]+".Arn}") {
			t.Errorf("the dashboard does not show %s", alarm[1])
		}
	}
	if !strings.Contains(body, `{CloneyS3Credentials,Cause,FunctionName} MetricName=\"Failures\"`) {
		t.Error("the dashboard does not show the causes")
	}
}
