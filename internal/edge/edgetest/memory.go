package edgetest

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// Forgotten fails the test if what make returns is still in any live object. make makes
// it again each time, so that the test itself holds none.
func Forgotten(t *testing.T, make func() string) {
	t.Helper()
	// A closed connection still exists for a moment.
	for began := time.Now(); reachable(t, make); runtime.Gosched() {
		if time.Since(began) > 5*time.Minute {
			t.Fatal("the secret is still within reach")
		}
	}
	held := make()
	if found := reachable(t, make); !found {
		t.Error("what is held is not found: the test tests nothing")
	}
	runtime.KeepAlive(held)
}

// reachable reports whether it is in any live object.
func reachable(t *testing.T, make func() string) bool {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for range 3 {
		runtime.GC()
	}
	debug.WriteHeapDump(file.Fd())
	dump, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(dump, []byte(make()))
}
