package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

const (
	// reaperEnv holds the scratch folder of the tests that started the reaper.
	reaperEnv = "NCM_RIG_REAPER"
	// label marks the containers of one process of tests with its session.
	label = "ncm.rig"
	// farewell tells the reaper that nothing is being created any more.
	farewell = "done"
)

// reaper is a child process, the test binary once more, that waits for the end of
// its standard input. That end comes whether the tests finish, panic, run into
// their time limit or are killed, so containers and binaries go by the same way
// always.
type reaper struct {
	scratch string // folder for the binaries
	session string // names the containers' owner
	cmd     *exec.Cmd
	stdin   io.WriteCloser
}

func startReaper(ctx context.Context) (*reaper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the test binary: %w", err)
	}
	scratch, err := os.MkdirTemp("", "ncm-rig-")
	if err != nil {
		return nil, fmt.Errorf("make a scratch folder: %w", err)
	}
	r := &reaper{scratch: scratch, session: filepath.Base(scratch)}
	r.cmd = exec.CommandContext(context.WithoutCancel(ctx), self)
	r.cmd.Env = append(os.Environ(), reaperEnv+"="+scratch)
	r.cmd.Stderr = os.Stderr
	r.cmd.SysProcAttr = ownGroup() // an interrupt from the terminal is not for it
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("make the reaper's pipe: %w", err)
	}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the reaper: %w", err)
	}
	return r, nil
}

// finish returns when everything is gone.
func (r *reaper) finish() error {
	_, writeErr := io.WriteString(r.stdin, farewell)
	_ = r.stdin.Close()
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("wait for the reaper: %w", errors.Join(err, writeErr))
	}
	return nil
}

// reap is the reaper's program; it returns the exit code.
func reap(scratch string, stdin io.Reader) int {
	said, _ := io.ReadAll(stdin)
	passes := 1
	if string(said) != farewell {
		passes = 10 // a container may have been on its way
	}
	for pass := range passes {
		if pass > 0 {
			<-time.After(time.Second)
		}
		err := errors.Join(removeContainers(filepath.Base(scratch)), os.RemoveAll(scratch))
		if err != nil {
			fmt.Fprintln(os.Stderr, "rig: clean up:", err)
			return 1
		}
	}
	return 0
}

func removeContainers(session string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer docker.Close()
	found, err := docker.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", label+"="+session),
	})
	if err != nil {
		return err
	}
	for _, c := range found.Items {
		_, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err != nil {
			return err
		}
	}
	return nil
}
