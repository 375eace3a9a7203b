package transfer_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

// mixed is a source of small files, and of large ones behind them.
func mixed(small, large int) map[string]string {
	files, content := map[string]string{}, strings.Repeat("l", transfer.LargeFile)
	for i := range small {
		files[fmt.Sprintf("s%03d.txt", i)] = "small"
	}
	for i := range large {
		files[isLarge+fmt.Sprintf("%02d.bin", i)] = content
	}
	return files
}

const isLarge = "z large "

// uploads notes when files begin, and has each take its time of the bubble's clock.
type uploads struct {
	mu    sync.Mutex
	begun []string
	now   map[bool]int // under way, by whether they are large
	most  map[bool]int
	small int // that did not begin yet
	// mostWhileSmall is how many large ones were under way at most with small ones left.
	mostWhileSmall int
}

func (u *uploads) take(name string, small, large time.Duration) {
	kind, takes := strings.HasPrefix(name, isLarge), small
	if kind {
		takes = large
	}
	u.mu.Lock()
	u.begun = append(u.begun, name)
	u.now[kind]++
	u.most[kind] = max(u.most[kind], u.now[kind])
	if !kind {
		u.small--
	}
	if u.small > 0 {
		u.mostWhileSmall = max(u.mostWhileSmall, u.now[true])
	}
	u.mu.Unlock()
	time.Sleep(takes) //nolint:forbidigo // the bubble's clock
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now[kind]--
}

// move runs a migration of files that take so long each.
func (u *uploads) move(t *testing.T, transfers, small, large int, takesSmall, takesLarge time.Duration) (took time.Duration) {
	t.Helper()
	u.now, u.most, u.small = map[bool]int{}, map[bool]int{}, small
	b := newBench(mixed(small, large))
	b.target.Fault = func(call, name string) error {
		if call == "create" {
			u.take(name, takesSmall, takesLarge)
		}
		return nil
	}
	began := time.Now()
	end, err := transfer.Run(t.Context(), transfer.Config{Source: b.source, Target: b.target, Ledger: b.ledger, Transfers: transfers})
	if err != nil || end.Kind != transfer.Complete {
		t.Fatalf("end %+v, error %v", end, err)
	}
	if got := b.target.Creates(); got != small+large || len(u.begun) != got {
		t.Errorf("%d files made in %d tries, want %d", got, len(u.begun), small+large)
	}
	return time.Since(began)
}

func TestALargeFileBeginsBeforeTheSmallOnesThatWereListedBeforeIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var u uploads
		took := u.move(t, 16, 400, 1, 100*time.Millisecond, 2*time.Second)
		if at := slices.Index(u.begun, isLarge+"00.bin"); at > 2*16+1 {
			t.Errorf("the large file was the %dth to begin", at)
		}
		// 15 others at 100 ms take 2.7 s for 400 files; one after the other, it would be 4.5 s.
		if took > 3500*time.Millisecond {
			t.Errorf("took %v: the end waited for the large file", took)
		}
	})
}

func TestLargeFilesLeaveMostPlacesToSmallOnesAndThenGetAllOfThem(t *testing.T) {
	t.Parallel()
	for transfers, most := range map[int]int{1: 0, 2: 1, 4: 1, 8: 2} {
		t.Run(fmt.Sprint(transfers, " transfers"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var u uploads
				u.move(t, transfers, 100, transfers+2, 10*time.Millisecond, time.Minute)
				if u.mostWhileSmall > most {
					t.Errorf("%d large files at once while small ones were left, want at most %d", u.mostWhileSmall, most)
				}
				if u.most[true] != transfers {
					t.Errorf("%d large files at once, want %d in the end", u.most[true], transfers)
				}
			})
		})
	}
}

func TestOfLargeFilesTheLargestBeginFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := mixed(0, 3)
		files[isLarge+"99.bin"] += "and more"
		b := newBench(files)
		u := uploads{now: map[bool]int{}, most: map[bool]int{}}
		b.target.Fault = func(call, name string) error {
			if call == "create" {
				u.take(name, 0, time.Second)
			}
			return nil
		}
		end, err := transfer.Run(t.Context(), transfer.Config{Source: b.source, Target: b.target, Ledger: b.ledger, Transfers: 1})
		if err != nil || end.Kind != transfer.Complete || len(u.begun) != 4 || u.begun[0] != isLarge+"99.bin" {
			t.Errorf("end %+v, error %v, begun %q", end, err, u.begun)
		}
	})
}

func TestALargeFileDoesNotBreakARunOfSmallOnesForAnArchive(t *testing.T) {
	t.Parallel()
	b := newBench(mixed(40, 0))
	b.source.Files["s020 large.bin"] = strings.Repeat("l", transfer.LargeFile)
	b.source.ETag = func(string) string { return "e" }
	b.archiver = &transfertest.Archives{Source: b.source}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, b.source.Files)
	if n := b.source.Calls("archive", ""); n != 1 {
		t.Errorf("%d archives for one run of small files", n)
	}
	if n := b.source.Calls("open", "s020 large.bin"); n != 1 {
		t.Errorf("the large file was opened %d times", n)
	}
}

func TestLargeFilesGoOnWhereTheLedgerStands(t *testing.T) {
	t.Parallel()
	b := newBench(mixed(20, 6))
	var once sync.Once
	b.target.After = func(name string) error {
		if strings.HasPrefix(name, isLarge) {
			once.Do(func() { close(b.drain) })
		}
		return nil
	}
	cfg := transfer.Config{Source: b.source, Target: b.target, Ledger: b.ledger, Transfers: 2, Drain: b.drain}
	for _, want := range []transfer.EndKind{transfer.Drained, transfer.Complete} {
		if end, err := transfer.Run(t.Context(), cfg); err != nil || end.Kind != want {
			t.Fatalf("end %+v, error %v, want %d", end, err, want)
		}
		cfg.Drain = nil
	}
	b.mustHave(t, b.source.Files)
	if n := b.target.Creates(); n != 26 {
		t.Errorf("%d files made, want 26", n)
	}
}

func TestALargeFileThatAnEarlierMigrationCopiedIsNotRead(t *testing.T) {
	t.Parallel()
	b := newBench(mixed(5, 2))
	b.source.ETag = func(string) string { return "e" }
	b.mustEnd(t, transfer.Complete)
	again := newBench(b.source.Files)
	again.source.ETag, again.target = b.source.ETag, b.target
	again.ledger.Before = b.ledger
	again.mustEnd(t, transfer.Complete)
	if n := again.source.Calls("open", isLarge+"00.bin"); n > 0 || b.target.Creates() != 7 {
		t.Errorf("opened %d times, %d files made", n, b.target.Creates())
	}
}
