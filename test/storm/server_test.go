package storm_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"example.org/ncm/test/rig"
)

// server is a container of the storm's own and the link by which the migrators
// reach it.
type server struct {
	name string
	link *rig.Link
	cut  bool

	t        *testing.T
	own      *rig.Own
	down     atomic.Bool
	starting sync.WaitGroup
}

func (s *server) kill() {
	s.t.Helper()
	s.down.Store(true)
	s.own.Kill(s.t)
}

// start brings the server back and does not wait until it answers.
func (s *server) start() {
	s.starting.Go(func() {
		s.own.Start(s.t)
		s.down.Store(false)
	})
}
