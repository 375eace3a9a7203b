package queue

import "time"

// Pauses gives the waits after a number of failures in a row.
func Pauses(n int) []time.Duration {
	var p pause
	pauses := make([]time.Duration, n)
	for i := range pauses {
		pauses[i] = p.next()
	}
	return pauses
}
