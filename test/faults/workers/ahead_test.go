package workers_test

import (
	"crypto/md5"
	"encoding/hex"
	"testing"

	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/test/rig"
)

// claimed is a move of one file whose MD5 the source tells; tell may change it.
func claimed(t *testing.T, tell func(sum []byte)) *move {
	t.Helper()
	m := newMove(t, backends.New(t), "alice")
	content := []byte("what the user wrote")
	m.write(t, "precious.txt", content)
	sum := md5.Sum(content)
	if tell != nil {
		tell(sum[:])
	}
	m.Claim(m.user, "precious.txt", "SHA1:da39a3ee5e6b4b0d3255bfef95601890afd80709 MD5:"+hex.EncodeToString(sum[:]))
	return m
}

// What is mangled on its way to the target is refused there and never stored, so no
// worker can die with a bad copy.
func TestAMangledUploadBehindItsMD5IsNeverStored(t *testing.T) {
	t.Parallel()
	m := claimed(t, nil)
	m.SpoilCozy(rig.Fault{"host": m.cozy.Host, "method": "POST", "queryContains": "Type=file", "times": 1, "corruptByte": 3})
	m.StartMigrator(steady())
	m.request()
	m.awaitCompleted(t, rig.Patience)
	if made, refused := posted(m.Rig)[201], posted(m.Rig)[412]; made != 1+1 || refused != 1 { // and the target folder
		t.Errorf("%d files and folders were made for one, %d refused", made, refused)
	}
	aftermath(t, m)
}

// A worker dies with a file in the target whose sum the source tells wrongly: the next
// one finds it by its content.
func TestAFileWithAWrongMD5IsCountedOnceWhenItsWorkerDies(t *testing.T) {
	t.Parallel()
	m := claimed(t, func(sum []byte) { sum[0]++ })
	crossWindow(t, m, completes(failpoint.FileCreated, func(t *testing.T, m *move) {
		if files, _ := m.inTarget(t); files != 1 || m.done(t) != 0 {
			t.Errorf("the target has %d files, the ledger knows of %d", files, m.done(t))
		}
	}))
	if sent := rig.Value[int64](t, m.Ledger, "SELECT count(*) FROM file WHERE suspects IS NOT NULL OR target_name IS NOT NULL"); sent > 0 {
		t.Error("the file is suspected, or got a number")
	}
	aftermath(t, m)
}
