package queue

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// InspectConfig is what an Inspector needs to know.
type InspectConfig struct {
	URL      string      // amqp:// or amqps://, holds the password
	TLS      *tls.Config // for amqps; nil: from the URL's parameters
	Topology Topology
	// Management is the URL of the broker's management API; empty: there is none.
	// AMQP itself has no question for bindings.
	Management string
	HTTP       *http.Client // for Management; nil: http.DefaultClient
}

// QueueState is what the broker says of one queue.
type QueueState struct {
	Binding

	Messages  int // ready to be delivered
	Consumers int
}

// ErrMissing is wrapped when an exchange or a queue does not exist.
var ErrMissing = errors.New("does not exist at the broker")

// Inspect looks at the exchange and at each queue, the dead letters last, and
// changes nothing. The error of one that is missing wraps ErrMissing.
func Inspect(ctx context.Context, cfg InspectConfig) ([]QueueState, error) {
	e := endpoint{url: cfg.URL, tls: cfg.TLS, name: "inspect"}
	if err := e.check(); err != nil {
		return nil, err
	}
	l, err := connect(ctx, e)
	if err != nil {
		return nil, err
	}
	defer l.close()
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	ask := func(what string, question func(*amqp.Channel) error) error {
		ch, _, err := l.channel() // of its own: a no closes it
		if err != nil {
			return err
		}
		defer ch.Close()
		if err := question(ch); hasCode(err, amqp.NotFound) {
			return fmt.Errorf("%s %w", what, ErrMissing)
		} else if err != nil {
			return fmt.Errorf("look at %s: %w", what, err)
		}
		return nil
	}
	t := cfg.Topology
	err = ask("exchange "+t.Exchange, func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(t.Exchange, amqp.ExchangeTopic, true, false, false, false, nil)
	})
	if err != nil {
		return nil, err
	}
	var states []QueueState
	for _, b := range append(t.Bindings[:len(t.Bindings):len(t.Bindings)], Binding{Queue: t.DeadQueue}) {
		err := ask("queue "+b.Queue, func(ch *amqp.Channel) error {
			q, err := ch.QueueDeclarePassive(b.Queue, true, false, false, false, nil)
			states = append(states, QueueState{Binding: b, Messages: q.Messages, Consumers: q.Consumers})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return states, nil
}

// Unbound asks the management API which of the queues do not get the messages of
// their routing key.
func Unbound(ctx context.Context, cfg InspectConfig) ([]Binding, error) {
	var missing []Binding
	for _, b := range cfg.Topology.Bindings {
		keys, err := boundKeys(ctx, cfg, b.Queue)
		if err != nil {
			return nil, err
		}
		bound := false
		for _, key := range keys {
			bound = bound || matches(strings.Split(key, "."), strings.Split(b.Key, "."))
		}
		if !bound {
			missing = append(missing, b)
		}
	}
	return missing, nil
}

// boundKeys gives the patterns with which a queue is bound to the exchange.
func boundKeys(ctx context.Context, cfg InspectConfig, queue string) ([]string, error) {
	broker, err := amqp.ParseURI(cfg.URL)
	if err != nil {
		return nil, errors.New("the AMQP URL is malformed")
	}
	address := strings.TrimRight(cfg.Management, "/") + "/api/queues/" + url.PathEscape(broker.Vhost) + "/" + url.PathEscape(queue) + "/bindings"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, errors.New("the management URL is malformed")
	}
	req.SetBasicAuth(broker.Username, broker.Password)
	client := cfg.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the management API: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the management API: status %d", res.StatusCode)
	}
	var bindings []struct {
		Source string `json:"source"`
		Key    string `json:"routing_key"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&bindings); err != nil {
		return nil, fmt.Errorf("read the management API's answer: %w", err)
	}
	var keys []string
	for _, b := range bindings {
		if b.Source == cfg.Topology.Exchange {
			keys = append(keys, b.Key)
		}
	}
	return keys, nil
}

// matches says whether a topic exchange's pattern covers a key, word by word: *
// stands for one, # for any number.
func matches(pattern, key []string) bool {
	switch {
	case len(pattern) == 0:
		return len(key) == 0
	case pattern[0] == "#":
		return matches(pattern[1:], key) || len(key) > 0 && matches(pattern, key[1:])
	default:
		return len(key) > 0 && (pattern[0] == "*" || pattern[0] == key[0]) && matches(pattern[1:], key[1:])
	}
}

// Advice says what an operator can do about an error of the broker; empty where
// there is nothing to add. It quotes nothing of the URL.
func Advice(err error) string {
	var dns *net.DNSError
	var network net.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, amqp.ErrCredentials), errors.Is(err, amqp.ErrSASL):
		return "the broker refuses the user or the password of RABBITMQ_URL; check the secret"
	case errors.Is(err, amqp.ErrVhost), hasCode(err, amqp.NotAllowed):
		return "the user of RABBITMQ_URL has no access to its virtual host, or there is none of that name; check the URL's path and the user's permissions"
	case hasCode(err, amqp.AccessRefused):
		return "the user of RABBITMQ_URL lacks rights; grant configure, write and read on migrator.nextcloud.*, and configure and read on migration"
	case errors.Is(err, ErrMissing), hasCode(err, amqp.NotFound):
		return "a queue or exchange is missing; start a migrator, which declares it at connect; with PASSIVE_TOPOLOGY=true the broker's operator has to declare it"
	case errors.As(err, &dns):
		return "the host of RABBITMQ_URL has no address; check its name, and the DNS of this place"
	case errors.As(err, &network), errors.Is(err, io.EOF):
		return "the broker does not answer; check host and port of RABBITMQ_URL, that it runs, and that the network lets this place reach it"
	}
	return ""
}
