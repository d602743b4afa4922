package published

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"time"
)

// firstTime is the earliest time that a zip can hold. Each zip has it, so that its bytes
// do not depend on the day.
var firstTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// level is zlib's default. The best level saves a hundredth of a megabyte, and needs four
// times as long.
const level = 6

// Zip packs a function's program as Lambda requires it: one executable file called
// bootstrap. The same program gives the same bytes with the Go that go.mod names.
// https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html
func Zip(bootstrap []byte) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, level) })
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: firstTime}
	header.SetMode(0o755)
	file, err := archive.CreateHeader(header)
	if err != nil {
		return nil, fmt.Errorf("packing the bootstrap: %w", err)
	}
	if _, err := file.Write(bootstrap); err != nil {
		return nil, fmt.Errorf("packing the bootstrap: %w", err)
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("packing the bootstrap: %w", err)
	}
	return out.Bytes(), nil
}
