package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/services/migrator/internal/operate"
)

// deadLettersCommand looks after messages that no redelivery can mend.
type deadLettersCommand struct {
	List   listDeadLetters   `cmd:"" default:"withargs" help:"Print the dead letters and leave them where they are (the default)."`
	Replay replayDeadLetters `cmd:"" help:"Send dead letters again, as they first were."`
	Drop   dropDeadLetters   `cmd:"" help:"Delete dead letters."`
}

func (*deadLettersCommand) settings() any { return new(queue.Broker) }

func openDeadLetters() (*queue.DeadLetters, error) {
	var broker queue.Broker
	if err := config.Load("", &broker); err != nil {
		return nil, err
	}
	return deadLetters(&broker)
}

func deadLetters(broker *queue.Broker) (*queue.DeadLetters, error) {
	authorities, err := broker.TLS()
	if err != nil {
		return nil, err
	}
	return queue.NewDeadLetters(queue.DeadLettersConfig{
		URL: broker.RabbitMQURL.Reveal(), TLS: authorities, Name: "migrator dead-letters", Topology: queue.NewTopology(0, true),
	})
}

// aboutBroker says what to do about an error of the broker, where that is known.
func aboutBroker(err error) error {
	if advice := queue.Advice(err); advice != "" {
		return errors.New("the broker can't be used: " + advice)
	}
	return err
}

type listDeadLetters struct {
	Most atMost `default:"100" help:"How many to print at most."`
	JSON bool   `name:"json" help:"One JSON object a line instead of a table."`
}

// shown is a dead letter as operators see it.
func shown(d queue.DeadLetter) operate.DeadLetter {
	return operate.DeadLetter{
		MessageID: d.MessageID, Key: d.RoutingKey, From: d.From, Reason: d.Reason, Published: d.Published.UTC(), Bytes: len(d.Body),
	}
}

// Run implements the command.
func (c *listDeadLetters) Run(ctx context.Context, stdout io.Writer) error {
	letters, err := openDeadLetters()
	if err != nil {
		return err
	}
	found, err := letters.List(ctx, int(c.Most))
	if err != nil {
		return aboutBroker(err)
	}
	if len(found) == 0 && !c.JSON {
		_, err := fmt.Fprintln(stdout, "there are no dead letters")
		return err
	}
	return c.print(stdout, found)
}

func (c *listDeadLetters) print(stdout io.Writer, found []queue.DeadLetter) (err error) {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	encoder := json.NewEncoder(stdout)
	if !c.JSON {
		fmt.Fprintln(table, "MESSAGE\tKEY\tFROM\tPUBLISHED\tBYTES\tREASON")
	}
	for _, d := range found {
		l := shown(d)
		if c.JSON {
			err = encoder.Encode(l)
		} else {
			_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n",
				printable(l.MessageID), printable(l.Key), printable(l.From), l.Published.Format(time.RFC3339), l.Bytes, printable(l.Reason))
		}
		if err != nil {
			return err
		}
	}
	return table.Flush()
}

// chosen says which dead letters a command is about.
type chosen struct {
	Message string `arg:"" optional:"" help:"Message id, which is the migration's."`
	All     bool   `help:"All of them, up to --most."`
	Most    atMost `default:"1000" help:"How many of the first are looked at."`
}

// Validate wants one way of choosing, so that nothing is hit by accident.
func (c *chosen) Validate() error {
	if (c.Message == "") != c.All {
		return errors.New("either a message id or --all is needed")
	}
	return nil
}

func (c *chosen) match(d queue.DeadLetter) bool { return c.All || d.MessageID == c.Message }

type replayDeadLetters struct{ chosen }

// Run implements the command.
func (c *replayDeadLetters) Run(ctx context.Context, stdout io.Writer) error {
	return c.each(ctx, stdout, "replayed", (*queue.DeadLetters).Replay)
}

type dropDeadLetters struct{ chosen }

// Run implements the command.
func (c *dropDeadLetters) Run(ctx context.Context, stdout io.Writer) error {
	return c.each(ctx, stdout, "dropped", (*queue.DeadLetters).Drop)
}

func (c *chosen) each(
	ctx context.Context, stdout io.Writer, done string,
	do func(*queue.DeadLetters, context.Context, int, func(queue.DeadLetter) bool) (int, error),
) error {
	letters, err := openDeadLetters()
	if err != nil {
		return err
	}
	n, err := do(letters, ctx, int(c.Most), c.match)
	switch {
	case err == nil && n == 0 && !c.All:
		return fmt.Errorf("no dead letter has the message id %q; migrator dead-letters list prints those there are", c.Message)
	case err == nil || n > 0:
		fmt.Fprintln(stdout, done, operate.Count(int64(n), "dead letter", "dead letters"))
	}
	return aboutBroker(err)
}
