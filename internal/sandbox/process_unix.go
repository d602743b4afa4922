package sandbox

import (
	"os/exec"
	"syscall"
)

// isolate gives the process a group of its own, so that what it starts (the
// bootstrap under the emulator) ends with it.
func isolate(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func terminate(command *exec.Cmd) {
	_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
}
