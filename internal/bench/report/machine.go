package report

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Machine describes the machine that the benchmark runs on: the processor, its cores,
// the memory, the system, and the versions of Go and of the Python at that path. It
// leaves out what the system does not report. It never names the machine or its user.
func Machine(python string) string {
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	meminfo, _ := os.ReadFile("/proc/meminfo")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	// Python 3 prints it on standard output.
	version, _ := exec.Command(python, "--version").Output()
	return machine(string(cpuinfo), string(meminfo), string(kernel), string(version))
}

var (
	modelName = regexp.MustCompile(`(?m)^model name\s*:\s*(.+)$`)
	memTotal  = regexp.MustCompile(`(?m)^MemTotal:\s*(\d+) kB$`)
	// release is the version in a kernel's name. After it come words of those that built it.
	release = regexp.MustCompile(`^\d+(\.\d+)*`)
)

func machine(cpuinfo, meminfo, kernel, python string) string {
	var parts []string
	processor := "an unnamed processor" // Arm's kernels report no name
	if m := modelName.FindStringSubmatch(cpuinfo); m != nil {
		processor = strings.TrimSpace(m[1])
	}
	parts = append(parts, fmt.Sprintf("%s (%s), %d cores", processor, runtime.GOARCH, runtime.NumCPU()))
	if m := memTotal.FindStringSubmatch(meminfo); m != nil {
		kilobytes, _ := strconv.ParseFloat(m[1], 64)
		parts = append(parts, rounded(kilobytes/(1<<20))+" GiB of memory")
	}
	system := runtime.GOOS
	if system == "linux" {
		system = strings.TrimSpace("Linux " + release.FindString(kernel))
	}
	parts = append(parts, system, "Go "+strings.TrimPrefix(runtime.Version(), "go"))
	if python = strings.TrimSpace(python); python != "" {
		parts = append(parts, python)
	}
	return strings.Join(parts, ", ")
}
