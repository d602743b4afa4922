package resource_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/metric"
)

// forged are events that somebody has made up around a true ResponseURL: their own
// stack's, above all.
var forged = map[string]map[string]any{
	"of another stack":    {"StackId": strings.Replace(stackID, "migration", "victim", 1)},
	"of another account":  {"StackId": strings.Replace(stackID, "123456789012", "210987654321", 1)},
	"of another resource": {"LogicalResourceId": "Other"},
	"of another request":  {"RequestId": "11111111-1d8b-4a8a-b5c1-51f8c3a40cf5"},
}

// Whose ResponseURL is not its own is told and counted, and done all the same: AWS
// promises the form nowhere.
func TestAnEventWithAnothersResponseURLIsTold(t *testing.T) {
	for what, fields := range forged {
		for _, requestType := range []string{"Create", "Update", "Delete"} {
			var out bytes.Buffer
			w := world{metrics: &metric.Sink{Function: "f", Out: &out}}
			if got := w.answered(t, t.Context(), event(t, requestType, fields)); got.Status != "SUCCESS" || len(w.did) != 1 {
				t.Errorf("%s of an event %s: did %v, %+v", requestType, what, w.did, got)
			}
			if log := w.log.String(); strings.Count(log, `"level":"WARN"`) != 1 || !strings.Contains(log, "the ResponseURL is not of this event") || strings.Contains(log, "amazonaws.com/") {
				t.Errorf("%s: the log says %s", what, log)
			}
			if !strings.Contains(out.String(), `"Unbound":1`) {
				t.Errorf("%s: %s", what, out.String())
			}
		}
	}
}

// With UNBOUND_EVENTS=Refuse it is as with a ResponseURL that is not CloudFormation's.
func TestAnEventWithAnothersResponseURLIsRefused(t *testing.T) {
	also := maps.Clone(forged)
	also["of a local run"] = map[string]any{"ResponseURL": "http://responses/x"}
	for what, fields := range also {
		for _, requestType := range []string{"Create", "Update", "Delete"} {
			var out bytes.Buffer
			w := world{refuse: true, hosts: []string{"responses"}, metrics: &metric.Sink{Function: "f", Out: &out}}
			err := w.handle(t.Context(), event(t, requestType, fields))
			if err == nil || !strings.Contains(err.Error(), "nothing was done and nothing is sent") || len(w.did)+len(w.sent) > 0 {
				t.Errorf("%s of an event %s: %v, did %v, sent %v", requestType, what, err, w.did, w.sent)
			}
			if !strings.Contains(out.String(), `"Unbound":1`) || !strings.Contains(out.String(), `"Cause":"Unanswerable"`) || strings.Contains(w.log.String(), "5167a7") {
				t.Errorf("%s: %s, %s", what, out.String(), w.log.String())
			}
		}
	}
}

// CloudFormation's own events are neither told nor refused, and where nobody asks for
// it a local run's are not, whose URLs are made up.
func TestAnEventWithItsOwnResponseURL(t *testing.T) {
	const responses = "responses"
	for what, c := range map[string]struct {
		refuse bool
		url    string
	}{
		"its own":        {false, responseURL},
		"and refusing":   {true, responseURL},
		"a local run's":  {false, "http://" + responses + "/x"},
		"its own, there": {true, "http://" + responses + strings.SplitN(responseURL, "amazonaws.com", 2)[1]},
	} {
		var out bytes.Buffer
		w := world{refuse: c.refuse, hosts: []string{responses}, metrics: &metric.Sink{Function: "f", Out: &out}}
		got := w.answered(t, t.Context(), event(t, "Create", map[string]any{"ResponseURL": c.url}))
		if got.Status != "SUCCESS" || strings.Contains(w.log.String(), "WARN") || !strings.Contains(out.String(), `"Unbound":0`) {
			t.Errorf("%s: %+v, %s, %s", what, got, w.log.String(), out.String())
		}
	}
}
