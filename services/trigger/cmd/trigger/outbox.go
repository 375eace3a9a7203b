package main

import (
	"context"
	"encoding/json"
	"fmt"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/services/trigger/internal/request"
)

// outbox gives the domain's messages their form on the wire.
type outbox struct {
	publisher *queue.Publisher
}

var _ request.Queue = outbox{}

// Ready implements request.Queue.
func (o outbox) Ready() error { return o.publisher.Ready() } //nolint:wrapcheck // says it all

// Publish implements request.Queue.
func (o outbox) Publish(ctx context.Context, message contract.Requested) error {
	return o.send(ctx, contract.KeyRequested, message.MigrationID, message)
}

// Cancel implements request.Queue.
func (o outbox) Cancel(ctx context.Context, message contract.Canceled) error {
	return o.send(ctx, contract.KeyCanceled, message.MigrationID, message)
}

func (o outbox) send(ctx context.Context, key, id string, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	return o.publisher.Publish(ctx, key, id, body) //nolint:wrapcheck // names its operation
}
