package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

// At is a fault at one call alone.
func At(at Call, fault Fault) Fault {
	return func(call Call, r *http.Request, do func() *Reply) *Reply {
		if call.Kind() == at.Kind() && call.Nth == at.Nth {
			return fault(call, r, do)
		}
		return do()
	}
}

// From is a fault at one call and at all of AWS's that come after it.
func From(at Call, fault Fault) Fault {
	var begun atomic.Bool
	begin := At(at, func(Call, *http.Request, func() *Reply) *Reply {
		begun.Store(true)
		return nil
	})
	return func(call Call, r *http.Request, do func() *Reply) *Reply {
		begin(call, r, func() *Reply { return nil })
		if begun.Load() && call.Name != ToCloudFormation {
			return fault(call, r, do)
		}
		return do()
	}
}

// After does something once AWS has done the call; the reply is lost.
func After(something func()) Fault {
	return func(_ Call, _ *http.Request, do func() *Reply) *Reply {
		do()
		something()
		return nil
	}
}

// Meanwhile does something while AWS does the call.
func Meanwhile(something func()) Fault {
	return func(_ Call, _ *http.Request, do func() *Reply) *Reply {
		something()
		return do()
	}
}

// Lose has the call done and loses the reply.
func Lose(call Call, r *http.Request, do func() *Reply) *Reply { return After(func() {})(call, r, do) }

// Hang never answers, and does nothing.
func Hang(_ Call, r *http.Request, _ func() *Reply) *Reply {
	<-r.Context().Done()
	return nil
}

// Break answers as AWS does when something is broken on its side.
func Break(call Call, _ *http.Request, _ func() *Reply) *Reply {
	return refuse(call, http.StatusInternalServerError, "InternalFailure", "The request processing has failed because of an unknown error, exception or failure.")
}

// Throttle answers as AWS does when it is asked too often.
func Throttle(call Call, _ *http.Request, _ func() *Reply) *Reply {
	switch service, _, _ := strings.Cut(call.Name, " "); service {
	case "secretsmanager":
		return refuse(call, http.StatusBadRequest, "ThrottlingException", "Rate exceeded")
	case "s3", "cloudformation":
		return refuse(call, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	}
	return refuse(call, http.StatusBadRequest, "Throttling", "Rate exceeded")
}

// Deny answers as AWS does when a policy forbids the call.
func Deny(call Call, _ *http.Request, _ func() *Reply) *Reply {
	status, code := http.StatusForbidden, "AccessDenied"
	if strings.HasPrefix(call.Name, "secretsmanager ") {
		status, code = http.StatusBadRequest, "AccessDeniedException"
	}
	return refuse(call, status, code, "You are not authorized to perform this operation.")
}

// refuse writes an error in the protocol of the service.
func refuse(call Call, status int, code, message string) *Reply {
	switch service, _, _ := strings.Cut(call.Name, " "); service {
	case "secretsmanager":
		return &Reply{status, http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amzn-Errortype": {code}},
			fmt.Appendf(nil, `{"__type": %q, "Message": %q}`, code, message)}
	case "s3", "cloudformation":
		return &Reply{status, http.Header{"Content-Type": {"application/xml"}},
			fmt.Appendf(nil, `<Error><Code>%s</Code><Message>%s</Message><RequestId>X</RequestId></Error>`, code, message)}
	}
	return &Reply{status, http.Header{"Content-Type": {"text/xml"}},
		fmt.Appendf(nil, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>X</RequestId></ErrorResponse>`, code, message)}
}
