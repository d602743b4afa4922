package probe

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// regionHeader is the header in which S3 names a bucket's region.
const regionHeader = "X-Amz-Bucket-Region"

// keepRegion puts the bucket's region into the SDK's errors also where S3 names it only
// in the body, which the SDK drops.
func keepRegion(stack *middleware.Stack) error {
	// After: between the SDK's own reading of the body and the network.
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("KeepRegion",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			response, ok := out.RawResponse.(*smithyhttp.Response)
			if err == nil && ok && response.StatusCode >= 300 && response.Header.Get(regionHeader) == "" {
				err = regionFromBody(response)
			}
			return out, metadata, err
		}), middleware.After)
}

// closeAnswer closes the answer to GetBucketLocation, which the SDK's deserializer of
// that one operation leaves open: otherwise the credentials that signed the request
// would stay in memory until the HTTP client gives up the call, fifteen seconds later.
func closeAnswer(stack *middleware.Stack) error {
	return stack.Deserialize.Insert(middleware.DeserializeMiddlewareFunc("CloseAnswer",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if response, ok := out.RawResponse.(*smithyhttp.Response); ok {
				smithyhttp.CloseResponseBody(ctx, response, false, err)
			}
			return out, metadata, err
		}), "OperationDeserializer", middleware.Before)
}

// regionFromBody sets the header from the body's <Region>, if it has one.
func regionFromBody(response *smithyhttp.Response) error {
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return err
	}
	var told struct{ Region string }
	if xml.Unmarshal(body, &told) == nil && told.Region != "" {
		response.Header.Set(regionHeader, told.Region)
	}
	return nil
}
