//go:build !linux

package rig

import "syscall"

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func mortal() *syscall.SysProcAttr { return ownGroup() }
