package queue

import (
	"math"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/contract"
)

// Names of what the migrator declares.
const (
	QueueRequested = "migrator.nextcloud.requested"
	QueueCanceled  = "migrator.nextcloud.canceled"
	DeadExchange   = "migrator.nextcloud.dead"
	DeadQueue      = "migrator.nextcloud.dead"
)

// DefaultDeliveryLimit is how often a message may come back before it goes to
// the dead letters. Each broken connection counts for what it held.
const DefaultDeliveryLimit = 20

// Binding is a queue and the routing key of its messages.
type Binding struct {
	Queue string
	Key   string
}

// Topology is what a consumer needs to find at the broker: a topic exchange, a
// quorum queue per routing key, and a fanout exchange with a quorum queue for
// dead letters, which keep their routing key.
type Topology struct {
	Exchange      string
	Bindings      []Binding
	DeadExchange  string
	DeadQueue     string
	DeliveryLimit int
	// Passive only checks that exchanges and queues exist, for brokers whose
	// operator declares them; bindings can't be checked.
	Passive bool
}

// NewTopology is the migrator's topology; a limit of zero means
// DefaultDeliveryLimit.
func NewTopology(deliveryLimit int, passive bool) Topology {
	if deliveryLimit <= 0 {
		deliveryLimit = DefaultDeliveryLimit
	}
	return Topology{
		Exchange: contract.Exchange,
		Bindings: []Binding{
			{Queue: QueueRequested, Key: contract.KeyRequested},
			{Queue: QueueCanceled, Key: contract.KeyCanceled},
		},
		DeadExchange:  DeadExchange,
		DeadQueue:     DeadQueue,
		DeliveryLimit: deliveryLimit,
		Passive:       passive,
	}
}

// declare makes or checks everything, the dead letters first: from the moment a
// queue exists it must have somewhere to put what it can't deliver.
func (t Topology) declare(ch *amqp.Channel) error {
	if err := t.declareExchange(ch, t.DeadExchange, amqp.ExchangeFanout); err != nil {
		return err
	}
	if err := t.declareQueue(ch, t.DeadQueue, t.DeadExchange, "", deadQueueArgs()); err != nil {
		return err
	}
	if err := t.declareExchange(ch, t.Exchange, amqp.ExchangeTopic); err != nil {
		return err
	}
	for _, b := range t.Bindings {
		if err := t.declareQueue(ch, b.Queue, t.Exchange, b.Key, t.queueArgs()); err != nil {
			return err
		}
	}
	return nil
}

func (t Topology) declareExchange(ch *amqp.Channel, name, kind string) error {
	declare := ch.ExchangeDeclare
	if t.Passive {
		declare = ch.ExchangeDeclarePassive
	}
	if err := declare(name, kind, true, false, false, false, nil); err != nil {
		return explain("exchange "+name, err)
	}
	return nil
}

func (t Topology) declareQueue(ch *amqp.Channel, name, exchange, key string, args amqp.Table) error {
	if t.Passive {
		if _, err := ch.QueueDeclarePassive(name, true, false, false, false, nil); err != nil {
			return explain("queue "+name, err)
		}
		return nil
	}
	if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
		return explain("queue "+name, err)
	}
	if err := ch.QueueBind(name, key, exchange, false, nil); err != nil {
		return explain("binding of queue "+name, err)
	}
	return nil
}

// queueArgs let a message that comes back too often go to the dead letters and
// leave its queue only when it has arrived there; the strategy demands that
// overflow.
func (t Topology) queueArgs() amqp.Table {
	return amqp.Table{
		amqp.QueueTypeArg:        amqp.QueueTypeQuorum,
		amqp.QueueOverflowArg:    amqp.QueueOverflowRejectPublish,
		"x-delivery-limit":       t.DeliveryLimit,
		"x-dead-letter-exchange": t.DeadExchange,
		"x-dead-letter-strategy": "at-least-once",
	}
}

// deadQueueArgs lift the delivery limit, which is 20 by default from RabbitMQ
// 4.0 on: looking at a dead letter and putting it back would count, and the
// message be dropped in the end.
func deadQueueArgs() amqp.Table {
	return amqp.Table{
		amqp.QueueTypeArg:  amqp.QueueTypeQuorum,
		"x-delivery-limit": math.MaxInt32,
	}
}
