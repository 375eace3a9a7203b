// Package queue is the only place that speaks AMQP: it publishes with
// confirmation, consumes with verdicts, declares the queues and looks after the
// dead letters.
//
// A connection is never repaired. When something about it ends, the supervisor
// drops it whole and makes a new one after a random pause, for as long as its
// context lives; an acknowledgement can therefore never reach a channel other
// than the one its message came from. Publishing and consuming have connections
// of their own, because a broker that runs out of memory stops reading from
// those that publish.
package queue
