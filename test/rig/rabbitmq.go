package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"sync"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
)

// vhostsAtOnce are made together, because a call of rabbitmqctl costs seconds and
// a virtual host does not.
const vhostsAtOnce = 12

// rabbitmq is a broker without queues; each test gets a virtual host of it.
type rabbitmq struct {
	server

	mu     sync.Mutex
	vhosts []string // that no test has
}

func startRabbitMQ(ctx context.Context, image, session string) (*rabbitmq, error) {
	s, err := serve(ctx, testcontainers.ContainerRequest{
		Image: image,
		Env:   map[string]string{"RABBITMQ_DEFAULT_USER": serverUser, "RABBITMQ_DEFAULT_PASS": ServerPassword},
	}, session, "5672/tcp", func(_ context.Context, addr string) error {
		conn, err := amqp.Dial(brokerURL(addr, "/"))
		if err != nil {
			return fmt.Errorf("connect to RabbitMQ: %w", err)
		}
		return conn.Close()
	})
	if err != nil {
		return nil, err
	}
	r := &rabbitmq{server: s}
	r.vhosts, err = r.makeVhosts(ctx)
	return r, err
}

func brokerURL(addr, vhost string) string {
	u := url.URL{Scheme: "amqp", User: url.UserPassword(serverUser, ServerPassword), Host: addr}
	return u.String() + "/" + url.PathEscape(vhost)
}

// takeVhost gives a virtual host to a test.
func (r *rabbitmq) takeVhost(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.vhosts) == 0 {
		made, err := r.makeVhosts(ctx)
		if err != nil {
			return "", err
		}
		r.vhosts = made
	}
	vhost := r.vhosts[0]
	r.vhosts = r.vhosts[1:]
	return vhost, nil
}

func (r *rabbitmq) makeVhosts(ctx context.Context) ([]string, error) {
	type vhost struct {
		Name string `json:"name"`
	}
	type permission struct {
		User      string `json:"user"`
		Vhost     string `json:"vhost"`
		Configure string `json:"configure"`
		Write     string `json:"write"`
		Read      string `json:"read"`
	}
	var definitions struct {
		Vhosts      []vhost      `json:"vhosts"`
		Permissions []permission `json:"permissions"`
	}
	var names []string
	for range vhostsAtOnce {
		name := uuid.NewString()
		names = append(names, name)
		definitions.Vhosts = append(definitions.Vhosts, vhost{name})
		definitions.Permissions = append(definitions.Permissions, permission{serverUser, name, ".*", ".*", ".*"})
	}
	content, err := json.Marshal(definitions)
	if err != nil {
		return nil, fmt.Errorf("encode definitions: %w", err)
	}
	const file = "/tmp/rig-definitions.json"
	if err := r.container.CopyToContainer(ctx, content, file, 0o644); err != nil {
		return nil, fmt.Errorf("copy definitions: %w", err)
	}
	return names, r.control(ctx, "import_definitions", file)
}

// control runs rabbitmqctl in the container.
func (r *rabbitmq) control(ctx context.Context, args ...string) error {
	code, out, err := r.container.Exec(ctx, append([]string{"rabbitmqctl"}, args...), exec.Multiplexed())
	if err != nil {
		return fmt.Errorf("run rabbitmqctl: %w", err)
	}
	if code != 0 {
		said, _ := io.ReadAll(out)
		return fmt.Errorf("rabbitmqctl %v ended with code %d: %s", args, code, said)
	}
	return nil
}
