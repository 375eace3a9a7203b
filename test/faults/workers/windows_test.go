package workers_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/test/rig"
)

// window is a moment between two writes to different systems at which a worker
// dies.
type window struct {
	at    string // the place, and which time it is passed
	moves func(t *testing.T, m *move)
	// open checks what is true while nobody has repaired it.
	open func(t *testing.T, m *move)
	// ends is the migration's final state.
	ends contract.Status
}

func completes(at string, open func(*testing.T, *move)) window {
	return window{at: at, moves: func(_ *testing.T, m *move) { m.request() }, open: open, ends: contract.StatusCompleted}
}

func TestAWorkerThatDiesBetweenTwoWritesIsRepaired(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]window{
		"ledger and acknowledgement of a request": completes(failpoint.Admitted, func(t *testing.T, m *move) {
			if state := m.state(t); state != "pending" {
				t.Errorf("the ledger has the request as %q", state)
			}
			rig.Await(t, rig.Patience, "back in the queue", func() bool { return m.waiting(queueRequested) == 1 })
		}),
		"ledger and acknowledgement of a cancellation": {
			at: failpoint.Canceled, ends: contract.StatusCanceled,
			moves: func(t *testing.T, m *move) {
				m.HealCozy()
				m.slow(400 * time.Millisecond)
				m.request()
				m.awaitMore(t, 0, 1, rig.Patience)
				m.cancel()
			},
			open: func(t *testing.T, m *move) {
				rig.Await(t, rig.Patience, "back in the queue", func() bool { return m.waiting(queueCanceled) == 1 })
			},
		},
		"claim and first renewal": completes(failpoint.Claimed, func(t *testing.T, m *move) {
			if m.term(t) != 1 || m.state(t) != "pending" {
				t.Errorf("term %d, %s", m.term(t), m.state(t))
			}
		}),
		"folder in the target and ledger": completes(failpoint.FolderMade+":3", func(t *testing.T, m *move) {
			_, folders := m.inTarget(t)
			if known := rig.Value[int64](t, m.Ledger, "SELECT count(target_id) - 1 FROM folder"); folders <= known {
				t.Errorf("the target has %d folders, the ledger knows of %d", folders, known)
			}
		}),
		"file in the target and ledger": completes(failpoint.FileCreated+":30", func(t *testing.T, m *move) {
			if files, _ := m.inTarget(t); files <= m.done(t) {
				t.Errorf("the target has %d files, the ledger knows of %d", files, m.done(t))
			}
			if len(m.unmarked(t)) == 0 {
				t.Error("all files in the target are favourites: none was met before it was marked")
			}
		}),
		"report in the target and final state in the ledger": completes(failpoint.Reported, func(t *testing.T, m *move) {
			if len(m.cozy.Reports()) != 1 || m.state(t) != "running" {
				t.Errorf("%d reports, the ledger says %s", len(m.cozy.Reports()), m.state(t))
			}
		}),
		"final state in the ledger and tracking document": completes(failpoint.Finished, func(t *testing.T, m *move) {
			if doc := m.cozy.Tracking(m.id); m.state(t) != "completed" || doc.Status.Final() {
				t.Errorf("the ledger says %s, the tracking document %s", m.state(t), doc.Status)
			}
		}),
		"tracking document and the ledger's note of it": completes(failpoint.Mirrored, func(t *testing.T, m *move) {
			if doc := m.cozy.Tracking(m.id); doc.LastHeartbeatAt == nil || m.mirrored(t) != 0 {
				t.Errorf("the tracking document was written at %v, the ledger notes %d", doc.LastHeartbeatAt, m.mirrored(t))
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMove(t, backends.New(t), "alice")
			m.fill(4, 30)
			m.mark(t)
			m.slow(30 * time.Millisecond)
			crossWindow(t, m, w)
			if reports := m.cozy.Reports(); len(reports) != 1 {
				t.Errorf("%d reports, want one", len(reports))
			}
			aftermath(t, m)
			if left := m.unmarked(t); w.ends == contract.StatusCompleted && len(left) > 0 {
				t.Errorf("no favourites are %q", left)
			}
		})
	}
}

// crossWindow lets a worker die in a window and another one repair it.
func crossWindow(t *testing.T, m *move, w window) {
	t.Helper()
	settings := with(quick(), rig.Env{"LEASE_TTL": "3s", "REPORT": "always"})
	dying := failpoints.StartMigrator(m.Rig, w.at, settings)
	w.moves(t, m)
	dying.AwaitCrash(t, rig.Patience)
	w.open(t, m)
	began := time.Now()
	m.StartMigrator(settings)
	m.cozy.AwaitStatus(m.id, w.ends, rig.Patience)
	measured(t, "death at %s: %s %v after the start of another worker, lease of 3s", w.at, w.ends, time.Since(began).Round(10*time.Millisecond))
}

// What a target stores otherwise than it was sent is removed, whoever lives to do it.
func TestABadCopyThatOutlivesItsWorkerGivesItsNameBack(t *testing.T) {
	t.Parallel()
	m := newMove(t, backends.New(t), "alice")
	m.write(t, "large.bin", bytes.Repeat([]byte("large"), 20_000)) // the MD5 of small files goes ahead of them
	m.SpoilCozy(rig.Fault{"host": m.cozy.Host, "method": "POST", "queryContains": "Type=file", "times": 1, "corruptByte": 3})
	crossWindow(t, m, completes(failpoint.BadCopy, func(t *testing.T, m *move) {
		if files, _ := m.inTarget(t); files != 1 || m.done(t) != 0 {
			t.Errorf("the target has %d files, the ledger knows of %d", files, m.done(t))
		}
	}))
	aftermath(t, m)
	if named := rig.Value[int64](t, m.Ledger, "SELECT count(target_name) FROM file"); named > 0 {
		t.Error("the file did not get its name back")
	}
}

// What the source mangles never gets as far as the target.
func TestABodyThatContradictsItsChecksumLeavesNothingInTheTarget(t *testing.T) {
	t.Parallel()
	m := newMove(t, backends.New(t), "alice")
	content := bytes.Repeat([]byte("what the user wrote"), 5_000) // it begins to leave before it was read
	m.write(t, "precious.txt", content)
	sum := md5.Sum(content)
	m.Claim(m.user, "precious.txt", "MD5:"+hex.EncodeToString(sum[:]))
	m.SpoilNextcloud(rig.Fault{"method": "GET", "path_suffix": "precious.txt", "corrupt_byte": 3, "times": 1})
	m.StartMigrator(steady())
	m.request()
	m.awaitCompleted(t, rig.Patience)
	if made := posted(m.Rig)[201]; made != 1+1 { // and the target folder
		t.Errorf("%d files and folders were made for one", made)
	}
	aftermath(t, m)
}

// write puts a file into the user's home.
func (m *move) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.user.Home, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// waiting is how many messages a queue holds, 0 where that can't be told.
func (m *move) waiting(queue string) int {
	state, _ := m.Queue(queue)
	return state.Messages
}

// inTarget counts what is there.
func (m *move) inTarget(t *testing.T) (files, folders int64) {
	t.Helper()
	for e, err := range m.cozy.Files(rig.TargetDir) {
		switch {
		case err != nil:
			t.Fatalf("list target: %v", err)
		case e.Folder:
			folders++
		default:
			files++
		}
	}
	return files, folders
}

func (m *move) mirrored(t *testing.T) int64 {
	t.Helper()
	return rig.Value[int64](t, m.Ledger, "SELECT mirrored FROM migration WHERE id = $1", m.id)
}
