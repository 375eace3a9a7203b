package transfer_test

import (
	"sync"
	"testing"
	"time"

	"example.org/ncm/services/migrator/internal/pace"
	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

// pacedSource and pacedTarget are servers with a pace.
type pacedSource struct {
	*transfertest.Source
	pace transfer.Pace
}

func (s pacedSource) Pace() transfer.Pace { return s.pace }

type pacedTarget struct {
	transfer.Target
	pace transfer.Pace
}

func (t pacedTarget) Pace() transfer.Pace { return t.pace }

// most notes how many places are taken at once.
type most struct {
	*pace.Limit
	mu   sync.Mutex
	used int
	busy int
}

func (m *most) Release(took time.Duration) {
	m.mu.Lock()
	_, used := m.Now()
	m.used = max(m.used, used)
	m.mu.Unlock()
	m.Limit.Release(took)
}

func (m *most) Busy() {
	m.mu.Lock()
	m.busy++
	m.mu.Unlock()
	m.Limit.Busy()
}

func TestServersAreAskedForNoMoreThanTheirPace(t *testing.T) {
	t.Parallel()
	files := tree(300)
	b := newBench(files)
	source, target := &most{Limit: pace.New(2)}, &most{Limit: pace.New(3)}
	fault := b.source.Fault
	var once sync.Once
	b.source.Fault = func(call, path string) (err error) {
		if call == "open" {
			once.Do(func() { err = transfertest.Again(transfer.SideSource, transfer.ReasonBusy) })
		}
		if err == nil && fault != nil {
			return fault(call, path)
		}
		return err
	}
	end, err := transfer.Run(t.Context(), transfer.Config{
		Source: pacedSource{b.source, source}, Target: pacedTarget{b.target, target}, Ledger: b.ledger,
	})
	if err != nil || end.Kind != transfer.Complete {
		t.Fatalf("end %+v, error %v", end, err)
	}
	b.mustHave(t, withFolders(files))
	if source.used > 2 || target.used > 3 || source.used == 0 || target.used == 0 {
		t.Errorf("%d places at the source, want at most 2; %d at the target, want at most 3", source.used, target.used)
	}
	if source.busy != 1 || target.busy != 0 {
		t.Errorf("busy: source %d times, target %d times", source.busy, target.busy)
	}
	for name, p := range map[string]*most{"source": source, "target": target} {
		if _, used := p.Now(); used != 0 {
			t.Errorf("%d places of the %s are not given back", used, name)
		}
	}
}
