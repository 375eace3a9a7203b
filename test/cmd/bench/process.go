package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What the processes say on their standard output.
const (
	lineReady = "ready"
	lineDone  = "done"
)

// stopTime is how long a process may take to end.
const stopTime = 30 * time.Second

// process is one that the bench has started.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader // of its standard output; nil where that is the log
}

// startTalking starts a process that takes orders on its standard input and ends
// when that is closed, also because the bench was killed.
func startTalking(ctx context.Context, log io.Writer, name string, args ...string) (*process, error) {
	cmd := command(ctx, log, name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &process{cmd: cmd, stdin: in, lines: bufio.NewReader(out)}, cmd.Start()
}

// startService starts a process that ends at SIGTERM.
func startService(ctx context.Context, log io.Writer, env []string, name string, args ...string) (*process, error) {
	cmd := command(ctx, log, name, args...)
	cmd.Stdout = log
	cmd.Env = env
	return &process{cmd: cmd}, cmd.Start()
}

func command(ctx context.Context, log io.Writer, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	return cmd
}

// say sends one line.
func (p *process) say(line []byte) error {
	_, err := p.stdin.Write(append(bytes.TrimRight(line, "\n"), '\n'))
	return err
}

// hear waits for a line.
func (p *process) hear() (string, error) {
	line, err := p.lines.ReadString('\n')
	return strings.TrimSpace(line), err
}

func (p *process) expect(want string) error {
	line, err := p.hear()
	if err == nil && line != want {
		err = fmt.Errorf("%q instead of %q", line, want)
	}
	return err
}

// stop ends the process and waits for it.
func (p *process) stop() error {
	if p.stdin != nil {
		_ = p.stdin.Close()
	} else if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	giveUp := time.AfterFunc(stopTime, func() { _ = p.cmd.Process.Kill() })
	defer giveUp.Stop()
	return p.cmd.Wait()
}

// usage is what a process has cost so far.
type usage struct {
	cpu     time.Duration // user and system
	peakRSS int64         // bytes
}

// clockTick is the unit of times in /proc, the same on all Linux machines.
const clockTick = 10 * time.Millisecond

func (p *process) usage() (usage, error) {
	dir := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return usage{}, err
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return usage{}, err
	}
	return parseUsage(string(stat), string(status))
}

// parseUsage reads /proc/PID/stat and /proc/PID/status.
func parseUsage(stat, status string) (usage, error) {
	cpu, err := parseCPU(stat, user, system)
	if err != nil {
		return usage{}, err
	}
	u := usage{cpu: cpu}
	_, rest, found := strings.Cut(status, "VmHWM:")
	if !found {
		return usage{}, errors.New("peak memory is missing")
	}
	if _, err := fmt.Sscan(rest, &u.peakRSS); err != nil {
		return usage{}, fmt.Errorf("read peak memory: %w", err)
	}
	u.peakRSS *= 1024
	return u, nil
}

// familyCPU is what a process and all that it started have cost so far.
func familyCPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	cpu, err := parseCPU(string(stat), user, system, endedUser, endedSystem)
	if err != nil {
		return 0, err
	}
	children, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		return 0, err
	}
	for _, file := range children {
		list, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		for field := range strings.FieldsSeq(string(list)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return 0, err
			}
			of, err := familyCPU(child)
			ended := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) // ESRCH: between open and read
			if err != nil && !ended {
				return 0, err
			}
			cpu += of
		}
	}
	return cpu, nil
}

// Fields of /proc/PID/stat with times, counted from behind the name, which may hold
// spaces. What has ended are children.
const (
	user = iota + 11
	system
	endedUser
	endedSystem
)

func parseCPU(stat string, fields ...int) (cpu time.Duration, err error) {
	values := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	for _, f := range fields {
		if len(values) <= f {
			return 0, errors.New("process times are missing")
		}
		ticks, err := strconv.ParseInt(values[f], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read process times: %w", err)
		}
		cpu += time.Duration(ticks) * clockTick
	}
	return cpu, nil
}
