package operate

import "time"

// DeadLetter is a message that no redelivery could mend.
type DeadLetter struct {
	MessageID string    `json:"message_id"` // the migration's id
	Key       string    `json:"routing_key"`
	From      string    `json:"from_queue"`
	Reason    string    `json:"reason"`
	Published time.Time `json:"published_at"`
	Bytes     int       `json:"bytes"`
}
