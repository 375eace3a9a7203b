package queue

import (
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	// ErrUnavailable means that nothing was sent, or nothing was taken: there
	// is no connection, it is blocked, or the exchange is missing.
	ErrUnavailable = errors.New("broker is unavailable")
	// ErrUnroutable means that the broker has no queue for the message and
	// dropped it.
	ErrUnroutable = errors.New("message is unroutable")
	// ErrNotConfirmed means that the outcome is not known: the message may have
	// been taken.
	ErrNotConfirmed = errors.New("message was not confirmed")
	// ErrTopology means that the broker's exchanges or queues are not what this
	// version needs; its text says what an operator can do.
	ErrTopology = errors.New("topology does not fit")
)

var (
	errBlocked  = errors.New("broker blocks the connection (memory or disk alarm)")
	errReplaced = errors.New("connection is replaced after an unknown outcome")
	errClosed   = errors.New("connection closed")
	errQueue    = errors.New("consumer was canceled by the broker (queue deleted or moved)")
	errLater    = errors.New("handler asked to stop for a while")
)

// explain turns what the broker says about a declaration into advice.
func explain(what string, err error) error {
	var fault *amqp.Error
	if !errors.As(err, &fault) {
		return fmt.Errorf("declare %s: %w", what, err)
	}
	advice := ""
	switch {
	case fault.Code == amqp.PreconditionFailed && strings.Contains(fault.Reason, "inequivalent arg"):
		advice = "it exists with other arguments; drain and delete it so that it is declared anew, or turn on passive mode and keep it"
	case fault.Code == amqp.NotFound:
		advice = "it does not exist; declare it, or turn off passive mode"
	case fault.Code == amqp.AccessRefused:
		advice = "the user may not declare it; grant configure permission, or declare it beforehand and turn on passive mode"
	default:
		return fmt.Errorf("declare %s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %s: %w", ErrTopology, what, advice, err)
}

// hasCode says whether the broker closed the channel with this reply code.
func hasCode(err error, code int) bool {
	var fault *amqp.Error
	return errors.As(err, &fault) && fault.Code == code
}
