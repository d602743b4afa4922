package sandbox

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

// A second sandbox of a checkout names the process and the port of the first one.
func TestASecondSandboxFindsTheFirst(t *testing.T) {
	directory := t.TempDir()
	first, err := OpenShellFiles(directory)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Note(4700); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("running already: process %d, port 4700. End it first", os.Getpid())
	if _, err := OpenShellFiles(directory); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the second one: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := OpenShellFiles(directory)
	if err != nil {
		t.Fatal(err)
	}
	_ = second.Close()
}

// Another port helps where another program uses this one, and nowhere else.
func TestAPortThatCannotBeUsed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, used := net.Listen("tcp", listener.Addr().String())
	if text := unusable(4599, used).Error(); !strings.HasSuffix(text, "Choose another one, such as make sandbox PORT=4600") {
		t.Errorf("a port in use: %s", text)
	}
	if text := unusable(80, os.ErrPermission).Error(); strings.Contains(text, "PORT=") {
		t.Errorf("a port that needs rights: %s", text)
	}
}
