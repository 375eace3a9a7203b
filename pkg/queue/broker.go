package queue

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"

	"example.org/ncm/pkg/config"
)

// Broker holds the settings with which all that speaks to RabbitMQ reaches it.
// It is embedded in the configuration of each service.
type Broker struct {
	RabbitMQURL config.Secret `envconfig:"RABBITMQ_URL" required:"true" desc:"amqp:// or amqps:// URL of the broker"`
	RabbitMQCA  string        `envconfig:"RABBITMQ_CA_FILE" desc:"PEM file of the authorities that an amqps:// broker's certificate may be from; else those of the system"`
}

// Validate reports every fault of the settings together, and quotes none.
func (b *Broker) Validate() error {
	var faults []error
	u, err := url.Parse(b.RabbitMQURL.Reveal())
	if b.RabbitMQURL != "" && (err != nil || u.Host == "" || u.Scheme != "amqp" && u.Scheme != "amqps") {
		faults = append(faults, errors.New("RABBITMQ_URL: not an amqp:// or amqps:// URL"))
	}
	if _, err := b.TLS(); err != nil {
		faults = append(faults, err)
	}
	if b.RabbitMQCA != "" && err == nil && u.Scheme != "amqps" {
		faults = append(faults, errors.New("RABBITMQ_CA_FILE: needs an amqps:// URL"))
	}
	return errors.Join(faults...)
}

// TLS trusts the authorities of the file and no others. Without a file it is nil,
// which leaves everything to the parameters of the URL.
func (b *Broker) TLS() (*tls.Config, error) {
	if b.RabbitMQCA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(b.RabbitMQCA)
	if err != nil {
		return nil, fmt.Errorf("RABBITMQ_CA_FILE: read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("RABBITMQ_CA_FILE: the file holds no certificate")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
