package storm_test

import "syscall"

// mortal makes a child end with the tests, whatever ends them.
func mortal() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
