package resource

import (
	"encoding/json"
	"errors"
)

// A ServiceToken may be an SNS topic that the function subscribes to. SNS delivers each
// message separately, as the text in a list of one record. Every principal that may
// publish to the topic may send events. So the event in the record is checked like any
// other event.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-custom-resources-sns.html
// https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html

// snsRecord is the part of an SNS record that matters. Other services write eventSource,
// which Go's decoder takes for the same field.
type snsRecord struct {
	EventSource string
	Sns         struct{ Message string }
}

// wrapped reports whether the fields are those of a list of records, not of an event.
func wrapped(fields map[string]json.RawMessage) bool {
	_, records := fields["Records"]
	_, event := fields["ResponseURL"]
	return records && !event
}

// unwrap returns the fields of the event in the record. CloudFormation never sends an
// event in a second record.
func unwrap(fields map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	var records []snsRecord
	if json.Unmarshal(fields["Records"], &records) != nil || len(records) != 1 {
		return nil, errors.New("the event is not one record of SNS")
	}
	if source := records[0].EventSource; source != "" && source != "aws:sns" {
		return nil, errors.New("the event is a record of another service than SNS")
	}
	inner, err := fieldsOf(json.RawMessage(records[0].Sns.Message))
	switch {
	case err != nil:
		return nil, errors.New("the message in the SNS record is not a JSON object")
	case wrapped(inner):
		return nil, errors.New("the message in the SNS record is another record")
	}
	return inner, nil
}
