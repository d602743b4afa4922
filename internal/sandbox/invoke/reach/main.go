// Command reach asks, from within a container, whether the sandbox answers
// there: a host and a port. What it complains of is one sentence.
package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

func main() {
	if err := reach(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func reach(address string) error {
	const patience = 10 * time.Second
	connection, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(connection, "GET /moto-api/ HTTP/1.0\r\nHost: %s\r\n\r\n", address); err != nil {
		return err
	}
	start := make([]byte, len("HTTP/"))
	if n, err := connection.Read(start); err != nil || !strings.HasPrefix(string(start[:n]), "HTTP/") {
		return fmt.Errorf("what listens on %s is not the sandbox: %v", address, err)
	}
	return nil
}
