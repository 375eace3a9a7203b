package queue

import (
	"context"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/tracing"
)

// traceHeaders carry the trace of ctx with a message; nil where there is none.
func traceHeaders(ctx context.Context) amqp.Table { return traceTable(tracing.Parent(ctx)) }

// traceOf are the headers that keep a message in its trace when it is sent on.
func traceOf(d *amqp.Delivery) amqp.Table { return traceTable(text(d, tracing.Header)) }

func traceTable(parent string) amqp.Table {
	if parent == "" {
		return nil
	}
	return amqp.Table{tracing.Header: parent}
}
