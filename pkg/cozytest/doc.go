// Package cozytest simulates a Cozy stack over HTTP for tests, benchmarks and
// the demo: several instances chosen by the request's Host, their files, data,
// permission and realtime routes, and the two APIs that give tokens.
//
// What it answers follows recorded exchanges with a real stack, odd answers
// included, and replay_test.go holds it to them. Metadata lives in memory.
// Contents are written below Config.Dir or, without one, hashed and dropped,
// so that a run of any size needs no more than the metadata's memory. Faults,
// latency and ceilings are ordered with Stack.Inject and InstanceOptions, or
// over HTTP below /_sim/ when the simulator runs in a process of its own.
//
// Everything exported is safe for concurrent use.
package cozytest
