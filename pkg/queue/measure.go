package queue

import (
	"context"

	amqp "github.com/rabbitmq/amqp091-go"
)

// measure keeps the lengths of the queues until ctx ends. A length that can't be
// asked for is not shown: what is wrong ends the subscriptions.
func (c *Consumer) measure(ctx context.Context, l *link) error {
	defer c.metrics.messages.Reset()
	for {
		err := l.with(c.lengths)
		if err != nil && ctx.Err() == nil {
			c.metrics.messages.Reset()
			c.logger.WarnContext(ctx, "lengths of the queues not read", "error", err)
		}
		if !sleep(ctx, measureEvery) {
			return nil
		}
	}
}

func (c *Consumer) lengths(ch *amqp.Channel) error {
	queues := []string{c.cfg.Topology.DeadQueue}
	for _, b := range c.cfg.Topology.Bindings {
		queues = append(queues, b.Queue)
	}
	for _, name := range queues {
		q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
		if err != nil {
			return explain("queue "+name, err)
		}
		c.metrics.messages.WithLabelValues(name).Set(float64(q.Messages))
	}
	return nil
}
