package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/wait"
)

// The user of both servers. Its password is one of the secrets that tests look
// for where it must not be.
const (
	serverUser     = "rig"
	ServerPassword = "planted-server-password"
)

// server is a container and the address of its one port.
type server struct {
	container testcontainers.Container
	addr      string
}

// serve starts a container and returns when answers says that it does.
func serve(ctx context.Context, request testcontainers.ContainerRequest, session, port string, answers func(ctx context.Context, addr string) error) (server, error) {
	request.ExposedPorts = []string{port}
	request.Labels = map[string]string{label: session}
	request.HostConfigModifier = func(c *container.HostConfig) { c.ShmSize = 256 << 20 }
	request.WaitingFor = wait.ForNop(func(ctx context.Context, target wait.StrategyTarget) error {
		return poll(ctx, func() error {
			addr, err := address(ctx, target, port)
			if err != nil {
				return err
			}
			return answers(ctx, addr)
		})
	}).WithStartupTimeout(90 * time.Second)
	c, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: request, Started: true, Logger: tclog.NewNoopLogger(),
	})
	if err != nil {
		return server{}, fmt.Errorf("start %s: %w", request.Image, err)
	}
	addr, err := address(ctx, c, port)
	return server{container: c, addr: addr}, err
}

func address(ctx context.Context, c wait.StrategyTarget, port string) (string, error) {
	state, err := c.State(ctx)
	if err != nil {
		return "", err
	}
	if !state.Running {
		return "", fmt.Errorf("the container ended with code %d", state.ExitCode)
	}
	host, err := c.Host(ctx)
	if err != nil {
		return "", err
	}
	mapped, err := c.MappedPort(ctx, port)
	if err != nil {
		return "", err
	}
	if mapped.Num() == 0 {
		return "", errors.New("the port is not mapped yet")
	}
	return net.JoinHostPort(host, fmt.Sprint(mapped.Num())), nil
}
