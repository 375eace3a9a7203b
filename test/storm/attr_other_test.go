//go:build !linux

package storm_test

import "syscall"

func mortal() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
