package nextcloudtest_test

import (
	"net/http"
	"testing"
	"time"

	"example.org/ncm/pkg/nextcloudtest"
)

func TestReplayOCS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.zero()
	replay(t, "01-ocs.txt", w, nil)
}

func TestReplayListings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.listed(readTranscript(t, "04-propfind.txt"))
	w.zero()
	w.folder("alice", "Empty dir")
	w.file("alice", "Videos/clip-050.mp4", 52428800, "Sun, 27 Jan 2019 14:39:15 GMT")
	replay(t, "04-propfind.txt", w, nil)
}

func TestReplayBruteForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{BruteForce: 11})
	replay(t, "02-bruteforce.txt", w, map[string]func(*world){
		"bad password while throttled (OCS)": func(w *world) {
			bad := readTranscript(t, "01-ocs.txt")[5]
			for range 11 {
				if got := w.send(bad); got.status != bad.Status {
					t.Errorf("%s: status %d, recorded %d", bad.Title, got.status, bad.Status)
				}
			}
		},
	})
}

func TestReplayMaintenance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.srv.SetMaintenance(true)
	replay(t, "03-maintenance.txt", w, nil)
}

func TestReplayGet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.zero()
	w.seedVideo()
	deep := "Deep/level-01/level-02/level-03/level-04/level-05/level-06/level-07/level-08/level-09/level-10/at-10.txt"
	w.file("alice", deep, 100, "Thu, 13 Jun 2024 16:40:58 GMT")
	w.must(w.srv.SetChecksum("alice", deep, "MD5:bd84febf7f90253edc2b45fd09a8f568"))
	replay(t, "05-get.txt", w, nil)
}

// seedVideo offers the one big file of the recordings, time and checksum included.
func (w *world) seedVideo() {
	p := "Videos/clip-050.mp4"
	w.must(w.srv.AddGenerated("alice", p, 52428800, 1))
	at, err := http.ParseTime("Sun, 27 Jan 2019 14:39:15 GMT")
	w.must(err)
	w.must(w.srv.SetModified("alice", p, at))
	w.must(w.srv.SetChecksum("alice", p, "SHA1:666c69c4aac6a761a33430fb5b5db4464d77c430"))
}

func TestReplayGzip(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.file("alice", "Notes/compressible.txt", 40000, "")
	replay(t, "06-get-gzip-etag.txt", w, nil)
}

func TestReplayChecksums(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.folder("alice", "Notes")
	w.seedVideo()
	replay(t, "07-checksums.txt", w, nil)
}

func TestReplayDepthInfinity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.listed(readTranscript(t, "08-depth-infinity-search-report.txt"))
	replay(t, "08-depth-infinity-search-report.txt", w, nil)
}

func TestReplayNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.listed(readTranscript(t, "09-names.txt"))
	replay(t, "09-names.txt", w, nil)
}

func TestReplayDiskSide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.file("alice", "DiskSide/plain.txt", 5, "")
	w.file("alice", "DiskSide/\xe9.txt", 5, "")
	replay(t, "10-disk-side.txt", w, nil)
}

func TestReplaySharesAndMounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.listed(readTranscript(t, "11-shares-mounts.txt"))
	w.folder("alice", "Ext dead")
	w.content("alice", "single.txt", "hello", "")
	w.content("alice", "NoDownload/secret.txt", "hello", "")
	w.content("alice", "From bob/sub/b.txt", "hello", "")
	shared := nextcloudtest.Mount{Type: nextcloudtest.MountShared, Owner: "bob"}
	for p, m := range map[string]nextcloudtest.Mount{
		"From bob": shared, "NoDownload": shared, "single.txt": shared,
		"Ext dead":    {Type: nextcloudtest.MountExternal, Offline: true},
		"Ext local":   {Type: nextcloudtest.MountExternal, Unscanned: true},
		"Team folder": {Type: nextcloudtest.MountGroup},
	} {
		w.must(w.srv.SetMount("alice", p, m))
	}
	refuse := func(w *world) {
		m := shared
		m.NoDownload = true
		w.must(w.srv.SetMount("alice", "NoDownload", m))
	}
	for p, permissions := range map[string]string{
		"NoDownload": "SGD", "NoDownload/secret.txt": "SG", "single.txt": "SGDNV",
	} {
		w.must(w.srv.SetPermissions("alice", p, permissions))
	}
	replay(t, "11-shares-mounts.txt", w, map[string]func(*world){
		"GET no-download share file, shareapi_allow_view_without_download=no": refuse,
	})
}

func TestReplayArchives(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.zero()
	for _, name := range []string{"f1.txt", "f2.txt", "f3.txt", "f4.txt"} {
		w.content("alice", "ZipBad/"+name, "hello", "")
	}
	w.must(w.srv.SetGone("alice", "ZipBad/f3.txt", true))
	replay(t, "12-zip.txt", w, nil)
}

func TestReplayLoginsAndTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.zero()
	revoke := func(after time.Duration) func(*world) {
		return func(w *world) { w.srv.Revoke(w.extra, after) }
	}
	replay(t, "13-auth-tokens.txt", w, map[string]func(*world){
		"revoked app password (OCS)":                        revoke(time.Hour),
		"revoked app password (OCS), after token cache ttl": revoke(0),
		"OCS DELETE core/apppassword (self-revoke)": func(w *world) {
			w.must(w.srv.AddAppPassword("alice", nextcloudtest.AppPassword{Token: w.extra + "2"}))
		},
		"alice disabled during migration, app password OCS": func(w *world) { w.must(w.srv.Disable("alice")) },
	})
}

func TestReplayTrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.zero()
	for _, p := range []string{"single-trash.txt", "TrashMe/in.txt", "TrashMe/two.txt", "NoDownload/secret.txt", "From bob/a.txt"} {
		w.content("alice", p, "hello", "")
	}
	w.content("bob", "NoDownload/secret.txt", "hello", "")
	for _, p := range []string{"NoDownload", "From bob"} {
		w.must(w.srv.SetMount("alice", p, nextcloudtest.Mount{Type: nextcloudtest.MountShared, Owner: "bob"}))
	}
	replay(t, "14-trash.txt", w, nil)
}

func TestReplayLocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.zero()
	w.content("alice", "Notes/locked.txt", "hello", "")
	w.content("alice", "From bob/sub/b.txt", "hello", "")
	w.file("alice", "Backups/disk-200.img", 1<<20, "")
	release := func() {}
	replay(t, "15-locks-changes.txt", w, map[string]func(*world){
		"alice GET bob-locked file": func(w *world) {
			w.must(w.srv.SetLock("alice", "From bob/sub/b.txt", nextcloudtest.Lock{Owner: "bob"}))
		},
		"PUT while another GET is in progress (shared lock)": func(w *world) { release = w.holdGet("Backups/disk-200.img") },
		"GET with an exclusive (upload in progress / stale) transactional lock": func(w *world) {
			release()
			w.must(w.srv.SetLock("alice", "Zero/one-byte.bin", nextcloudtest.Lock{Exclusive: true}))
		},
	})
}

// holdGet begins to read a file and stops in the middle, until release.
func (w *world) holdGet(p string) (release func()) {
	w.t.Helper()
	stall := w.srv.Inject(nextcloudtest.Fault{Method: "GET", PathSuffix: p, StallAfter: 10})
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.addr+"/remote.php/dav/files/alice/"+p, nil)
	w.must(err)
	req.Host = "127.0.0.1:8090"
	req.SetBasicAuth("alice", w.tokens["alice"])
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	w.must(err)
	stall.Remove()
	return func() { _ = res.Body.Close() }
}

func TestReplayBigFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{})
	w.must(w.srv.AddGenerated("bench", "huge5g-sparse.bin", 5368709127, 1))
	w.must(w.srv.AddGenerated("bench", "huge2500.bin", 2621440000, 2))
	replay(t, "17-bigfile.txt", w, nil)
}

func TestReplayMisc(t *testing.T) {
	t.Parallel()
	root := newWorld(t, nextcloudtest.Config{})
	root.content("bob", "single.txt", "hello", "")
	root.must(root.srv.AddAppPassword("bob", nextcloudtest.AppPassword{Token: "no-files", NoFiles: true}))
	answer := func(f nextcloudtest.Fault) func(*world) {
		return func(w *world) { w.srv.Inject(f) }
	}
	down := answer(nextcloudtest.Fault{Status: http.StatusBadGateway, Page: true})
	dead := answer(nextcloudtest.Fault{Status: http.StatusInternalServerError})
	replay(t, "18-misc.txt", root, map[string]func(*world){
		"2FA enforced: OCS login password":             func(w *world) { w.must(w.srv.SetTwoFactor("alice", true)) },
		"token_auth_enforced: on, login password":      func(w *world) { w.must(w.srv.SetTwoFactor("alice", false)) },
		"token_auth_enforced=true: OCS login password": func(w *world) { w.must(w.srv.SetTwoFactor("alice", true)) },
		"php-fpm down (server restart): GET":           down,
		"php-fpm down: OCS":                            down,
		"database down: GET":                           dead,
		"database down: OCS":                           dead,
		"redis (locking) down: GET": answer(nextcloudtest.Fault{
			Status: http.StatusServiceUnavailable, Exception: nextcloudtest.ExceptionUnavailable,
			Message: "RedisException: Redis server went away",
		}),
	})
}

func TestReplaySubPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{SubPath: "/nextcloud/"})
	w.zero()
	replay(t, "18-misc.txt", w, nil)
}

func TestReplayNextcloud24(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nextcloudtest.Config{Version: nextcloudtest.Version24})
	for _, name := range []string{"f1.txt", "f2.txt", "f3.txt"} {
		w.content("alice", "Zero/"+name, "hello", "")
	}
	w.folder("alice", "Zero/sub")
	replay(t, "20-nc24.txt", w, nil)
}
