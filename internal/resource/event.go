package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"cloney-s3-credentials/internal/lazyregexp"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/numbered"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/reply"
)

// RequestType is the kind of an event.
type RequestType string

// The three kinds of events of a custom resource.
const (
	Create RequestType = "Create"
	Update RequestType = "Update"
	Delete RequestType = "Delete"
)

// event is an event as it came: the request object of a custom resource.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
type event struct {
	RequestType           RequestType
	RequestID             string `json:"RequestId"`
	ResponseURL           string
	ResourceType          string
	StackID               string `json:"StackId"`
	LogicalResourceID     string `json:"LogicalResourceId"`
	PhysicalResourceID    string `json:"PhysicalResourceId"`
	ResourceProperties    map[string]any
	OldResourceProperties map[string]any
}

// decode reads what it can. It leaves a field of the wrong type empty, so that an event
// with a usable ResponseURL can be answered, whatever else is wrong with it. The error
// names the fields.
func decode(raw json.RawMessage) (event, error) {
	fields, err := fieldsOf(raw)
	if err == nil && wrapped(fields) {
		fields, err = unwrap(fields)
	}
	if err != nil {
		return event{}, err
	}
	var e event
	var problems []error
	read := func(field string, into any) {
		value, present := fields[field]
		if !present {
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(value))
		decoder.UseNumber()
		if decoder.Decode(into) != nil {
			problems = append(problems, fmt.Errorf("%s has the wrong type", field))
		}
	}
	read("RequestType", &e.RequestType)
	read("RequestId", &e.RequestID)
	read("ResponseURL", &e.ResponseURL)
	read("StackId", &e.StackID)
	read("LogicalResourceId", &e.LogicalResourceID)
	read("PhysicalResourceId", &e.PhysicalResourceID)
	others := len(problems)
	read("ResourceType", &e.ResourceType)
	read("ResourceProperties", &e.ResourceProperties)
	read("OldResourceProperties", &e.OldResourceProperties)
	if e.RequestType == Delete {
		// Neither the properties nor the type stop a Delete.
		problems = problems[:others]
	}
	return e, together(problems...)
}

func fieldsOf(raw json.RawMessage) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return nil, errors.New("the event is not a JSON object")
	}
	return fields, nil
}

// problems are several errors in one line, which errors.Join does not write.
type problems []error

func together(errs ...error) error {
	var found problems
	for _, err := range errs {
		if several, ok := err.(problems); ok {
			found = append(found, several...)
		} else if err != nil {
			found = append(found, err)
		}
	}
	if found == nil {
		return nil
	}
	return found
}

func (p problems) Unwrap() []error { return p }

func (p problems) Error() string {
	texts := make([]string, len(p))
	for i, problem := range p {
		texts[i] = problem.Error()
	}
	return numbered.Join(texts)
}

// request is an event that can be carried out.
type request struct {
	event
	owner   name.Owner
	address reply.Address
	run     order.Run
	// problems are what decoding found; nil: nothing
	problems error
}

// CloudFormation's logical ids are alphanumeric, at most 255 characters.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html
var logicalID = lazyregexp.New(`^[A-Za-z0-9]+$`)

// A RequestId is a UUID; what matters is that it fits a tag of the user.
var requestID = lazyregexp.New(`^[A-Za-z0-9_.:/=+@-]+$`)

// mostID bounds what is copied into a response: a physical id has at most 1,024 bytes.
const mostID = 1024

// validate returns what is wrong with an event that can be answered.
func (r request) validate() error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch r.RequestType {
	case Create:
	case Update, Delete:
		if r.PhysicalResourceID == "" {
			refuse("PhysicalResourceId is missing")
		}
	default:
		refuse("RequestType is not one of Create, Update, Delete")
	}
	if len(r.RequestID) > 128 || !requestID.MatchString(r.RequestID) {
		refuse("RequestId is missing, or has characters that a tag cannot hold")
	}
	if len(r.LogicalResourceID) > 255 || !logicalID.MatchString(r.LogicalResourceID) {
		refuse("LogicalResourceId is not 1 to 255 letters and digits")
	}
	if len(r.PhysicalResourceID) > mostID || !utf8.ValidString(r.PhysicalResourceID) {
		refuse("PhysicalResourceId is longer than %d bytes, or is not UTF-8", mostID)
	} else if r.RequestType == Update && r.PhysicalResourceID != "" && !name.IsUser(r.PhysicalResourceID) {
		// The provider never returned such an id, so there is nothing to update. A
		// Delete of such an id is not a mistake: CloudFormation makes up some ids.
		refuse("PhysicalResourceId is not the name of an IAM user, as all ids of this resource are")
	}
	return together(problems...)
}
