package transfer_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
			once.Do(func() {
				err = &transfer.Error{Side: transfer.SideSource, Class: transfer.Again, Reason: transfer.ReasonBusy, Throttled: true, Err: errors.New("429")}
			})
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

func TestASlowFileDoesNotKeepOthersWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := small(20)
		files["a"] = "slow"
		delete(files, "large/1")
		delete(files, "large/2")
		b := newBench(files)
		b.source.Body = func(ctx context.Context, file, content string) io.Reader {
			if file != "a" {
				return strings.NewReader(content)
			}
			return io.MultiReader(after{ctx, time.Minute}, strings.NewReader(content))
		}
		began, last := time.Now(), atomic.Int64{}
		b.source.Fault = func(call, _ string) error {
			if call == "open" {
				last.Store(int64(time.Since(began)))
			}
			return nil
		}
		_, err := transfer.Run(t.Context(), transfer.Config{
			Source: pacedSource{b.source, pace.New(1)}, Target: pacedTarget{b.target, pace.New(1)}, Ledger: b.ledger,
		})
		if err != nil {
			t.Fatal(err)
		}
		b.mustHave(t, withFolders(files))
		if took := time.Duration(last.Load()); took > 30*time.Second {
			t.Errorf("the last file was begun after %v", took)
		}
	})
}

// after is a reader that ends after a while.
type after struct {
	ctx context.Context
	d   time.Duration
}

func (a after) Read([]byte) (int, error) {
	select {
	case <-time.After(a.d):
		return 0, io.EOF
	case <-a.ctx.Done():
		return 0, a.ctx.Err()
	}
}
