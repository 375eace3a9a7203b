package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.org/ncm/pkg/queue"
)

// startTime is how long a database or broker may take to answer.
const startTime = time.Minute

// backends are the database and the broker of the migrator.
type backends struct {
	databaseURL string
	amqpURL     string
	databasePID int // 0: somebody else's
	publisher   *queue.Publisher
	stop        []func() // in the order of starting
}

// startBackends takes what the environment names and starts what it does not.
func startBackends(ctx context.Context, root string) (*backends, error) {
	b := &backends{
		databaseURL: cmp.Or(os.Getenv("BENCH_DATABASE_URL"), os.Getenv("TEST_DATABASE_URL")),
		amqpURL:     cmp.Or(os.Getenv("BENCH_AMQP_URL"), os.Getenv("TEST_AMQP_URL")),
	}
	if b.databaseURL == "" {
		id, address, err := b.container(ctx, root, "POSTGRES_IMAGE", "5432", "POSTGRES_PASSWORD=bench")
		if err != nil {
			return b, err
		}
		pid, err := output(ctx, "docker", "inspect", "--format", "{{.State.Pid}}", id)
		if err != nil {
			return b, fmt.Errorf("find the process of the database: %w", err)
		}
		if b.databasePID, err = strconv.Atoi(pid); err != nil {
			return b, fmt.Errorf("find the process of the database: %w", err)
		}
		b.databaseURL = "postgres://postgres:bench@" + address + "/postgres?sslmode=disable"
	}
	if b.amqpURL == "" {
		_, address, err := b.container(ctx, root, "RABBITMQ_IMAGE", "5672", "RABBITMQ_DEFAULT_USER=bench", "RABBITMQ_DEFAULT_PASS=bench")
		if err != nil {
			return b, err
		}
		b.amqpURL = "amqp://bench:bench@" + address + "/"
	}
	return b, nil
}

func (b *backends) close() {
	for i := len(b.stop) - 1; i >= 0; i-- {
		b.stop[i]()
	}
}

// container runs an image until close and gives its id and the address of its port.
func (b *backends) container(ctx context.Context, root, image, port string, env ...string) (id, address string, err error) {
	name, err := imageName(root, image)
	if err != nil {
		return "", "", err
	}
	args := []string{"run", "-d", "--label", "ncm.bench=" + strconv.Itoa(os.Getpid()), "-p", "127.0.0.1::" + port}
	for _, e := range env {
		args = append(args, "-e", e)
	}
	id, err = output(ctx, "docker", append(args, name)...)
	if err != nil {
		return "", "", fmt.Errorf("start %s: %w", name, err)
	}
	b.stop = append(b.stop, func() {
		_, _ = output(context.WithoutCancel(ctx), "docker", "rm", "-fv", id)
	})
	ports, err := output(ctx, "docker", "port", id, port+"/tcp")
	if err != nil {
		return "", "", fmt.Errorf("find the port of %s: %w", name, err)
	}
	address, _, _ = strings.Cut(ports, "\n")
	return id, address, nil
}

// imageName is the image of a variable, from the environment or .images.env.
func imageName(root, variable string) (string, error) {
	if name := os.Getenv(variable); name != "" {
		return name, nil
	}
	file, err := os.ReadFile(filepath.Join(root, ".images.env"))
	if err != nil {
		return "", fmt.Errorf("find %s: %w; `make images` writes it", variable, err)
	}
	for line := range strings.Lines(string(file)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), variable+"="); ok {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s is not in .images.env", variable)
}

// output runs a command to its end and gives what it printed.
func output(ctx context.Context, name string, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// connect waits for the database to take its schema, and for the broker.
func (b *backends) connect(ctx context.Context, migrator string) error {
	err := poll(ctx, startTime, 200*time.Millisecond, func() error {
		cmd := exec.CommandContext(ctx, migrator, "schema")
		cmd.Env = []string{"DATABASE_URL=" + b.databaseURL}
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apply the schema: %w: %s", err, said)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.publisher, err = queue.NewPublisher(queue.PublisherConfig{
		URL: b.amqpURL, Name: "bench", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = b.publisher.Run(ctx) })
	b.stop = append(b.stop, func() { cancel(); running.Wait() })
	return poll(ctx, startTime, 20*time.Millisecond, b.publisher.Ready)
}

// looks is how often poll asks at most in twice the time that it takes: a large
// document is dear to read, and that must not slow down what is measured.
const looks = 200

// poll asks until there is no error; the last one is returned.
func poll(ctx context.Context, most, every time.Duration, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for began := time.Now(); ; {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(max(every, time.Since(began)/looks)):
		}
	}
}
