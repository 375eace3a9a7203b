package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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
	const user, system = 11, 12 // counted from behind the name, which may hold spaces
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= system {
		return usage{}, errors.New("process times are missing")
	}
	var u usage
	for _, field := range []string{fields[user], fields[system]} {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("read process times: %w", err)
		}
		u.cpu += time.Duration(ticks) * clockTick
	}
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
