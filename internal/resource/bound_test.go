package resource_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/metric"
)

// forged are made-up events with a real ResponseURL, above all one of the forger's own stack.
var forged = map[string]map[string]any{
	"of another stack":    {"StackId": strings.Replace(stackID, "migration", "victim", 1)},
	"of another account":  {"StackId": strings.Replace(stackID, "123456789012", "210987654321", 1)},
	"of another resource": {"LogicalResourceId": "Other"},
	"of another request":  {"RequestId": "11111111-1d8b-4a8a-b5c1-51f8c3a40cf5"},
}

// An event whose ResponseURL is not its own is logged and counted, and still carried out: AWS
// promises the form of the URL nowhere.
func TestAnEventWithAnothersResponseURLIsTold(t *testing.T) {
	for what, fields := range forged {
		for _, requestType := range []string{"Create", "Update", "Delete"} {
			var out bytes.Buffer
			w := world{metrics: &metric.Sink{Function: "f", Out: &out}}
			if got := w.answered(t, t.Context(), event(t, requestType, fields)); got.Status != "SUCCESS" || len(w.did) != 1 {
				t.Errorf("%s of an event %s: did %v, %+v", requestType, what, w.did, got)
			}
			if log := w.log.String(); strings.Count(log, `"level":"WARN"`) != 1 || !strings.Contains(log, "the path of the ResponseURL does not have") || strings.Contains(log, "amazonaws.com/") {
				t.Errorf("%s: the log says %s", what, log)
			}
			if !strings.Contains(out.String(), `"Unbound":1`) {
				t.Errorf("%s: %s", what, out.String())
			}
		}
	}
}

// With UNBOUND_EVENTS=Refuse such an event is refused, like one with a foreign ResponseURL.
func TestAnEventWithAnothersResponseURLIsRefused(t *testing.T) {
	also := maps.Clone(forged)
	also["of a local run"] = map[string]any{"ResponseURL": "http://responses/x"}
	for what, fields := range also {
		for _, requestType := range []string{"Create", "Update", "Delete"} {
			var out bytes.Buffer
			w := world{refuse: true, hosts: []string{"responses"}, metrics: &metric.Sink{Function: "f", Out: &out}}
			err := w.handle(t.Context(), event(t, requestType, fields))
			if err == nil || !strings.Contains(err.Error(), "nothing was changed, and no response is sent") || len(w.did)+len(w.sent) > 0 {
				t.Errorf("%s of an event %s: %v, did %v, sent %v", requestType, what, err, w.did, w.sent)
			}
			if !strings.Contains(out.String(), `"Unbound":1`) || !strings.Contains(out.String(), `"Cause":"Unanswerable"`) || strings.Contains(w.log.String(), "5167a7") {
				t.Errorf("%s: %s, %s", what, out.String(), w.log.String())
			}
		}
	}
}

// CloudFormation's own events are neither logged nor refused; nor are those of a local run,
// whose URLs are made up, unless refusing is set.
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
