package transfer_test

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

// good is larger than what is read before it is sent. The sums are of it.
var (
	good       = strings.Repeat("good", 20<<10)
	goodMD5    = fmt.Sprintf("%x", md5.Sum([]byte(good)))
	goodSHA1   = fmt.Sprintf("%x", sha1.Sum([]byte(good)))
	goodSHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(good)))
)

func TestTheMD5ThatTheSourceClaimsIsSentAhead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		checksums string
		ahead     bool
		doubted   bool // read twice, and noted
	}{
		"one":                        {"MD5:" + goodMD5, true, false},
		"several":                    {"SHA1:" + goodSHA1 + " MD5:" + goodMD5 + " ADLER32:04250195", true, false},
		"lower case":                 {"sha1:" + goodSHA1 + " md5:" + goodMD5, true, false},
		"upper case":                 {"MD5:" + strings.ToUpper(goodMD5), true, false},
		"with commas and line ends":  {"SHA1:" + goodSHA1 + ",\r\nMD5:" + goodMD5, true, false},
		"beside a wrong SHA256":      {"MD5:" + goodMD5 + " SHA256:" + strings.Repeat("0", 64), true, true},
		"SHA1 alone":                 {"SHA1:" + goodSHA1, false, false},
		"none":                       {"", false, false},
		"wrong":                      {"MD5:" + strings.Repeat("0", 32), true, true},
		"wrong beside a good SHA256": {"MD5:" + strings.Repeat("0", 32) + " SHA256:" + goodSHA256, true, true},
		"too short":                  {"MD5:" + goodMD5[2:], false, false},
		"too long":                   {"MD5:" + goodMD5 + "00", false, false},
		"not hex":                    {"MD5:" + strings.Repeat("x", 32), false, false},
		"base64":                     {"MD5:dV+FwnI7s5OBxzeaYEFg2A==", false, false},
		"no sum":                     {"MD5:", false, false},
		"no kind":                    {goodMD5, false, false},
		"free text":                  {"hello", false, false},
		"another kind":               {"ADLER32:04250195", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(map[string]string{"a": good})
			b.source.Checksums = func(string) string { return c.checksums }
			b.mustEnd(t, transfer.Complete)
			b.mustHave(t, map[string]string{"a": good})
			ahead, refused := b.target.Ahead()
			if (ahead == 1) != c.ahead || refused > 0 || b.target.Creates() != 1 || b.target.Removes() > 0 {
				t.Errorf("%d sums sent ahead, %d of them refused, %d copies made, %d removed", ahead, refused, b.target.Creates(), b.target.Removes())
			}
			reads, note := b.source.Calls("open", "a"), b.ledger.Results()["a"].Note
			if (reads == 2) != c.doubted || (note != "") != c.doubted {
				t.Errorf("read %d times, note %q", reads, note)
			}
		})
	}
}

func TestABodyThatIsMangledBehindItsMD5IsSentAgainAndNeverStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"a": good})
		b.source.Checksums = func(string) string { return "MD5:" + goodMD5 }
		var spoiled atomic.Bool
		b.target.Mangle = func(_ string, content []byte) []byte {
			if spoiled.CompareAndSwap(false, true) {
				return []byte("evil")
			}
			return content
		}
		b.mustEnd(t, transfer.Complete)
		b.mustHave(t, map[string]string{"a": good})
		if ahead, refused := b.target.Ahead(); ahead != 2 || refused != 1 || b.target.Removes() > 0 {
			t.Errorf("%d sums sent ahead, %d refused, %d copies removed", ahead, refused, b.target.Removes())
		}
		if note := b.ledger.Results()["a"].Note; note != "" {
			t.Errorf("note %q", note)
		}
	})
}

// A file that the target refuses for its sum in a whole pass, whatever the reason, is
// sent without it in the next one.
func TestAFileWhoseMD5IsRefusedForEverGoesWithoutItInItsNextPass(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"streamed": good, "read before": "good"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(map[string]string{"a": content})
				b.source.Checksums = func(string) string { return fmt.Sprintf("MD5:%x", md5.Sum([]byte(content))) }
				target := &refusesSums{Target: b.target}
				cfg := transfer.Config{Source: b.source, Target: target, Ledger: b.ledger, Attempts: 3}
				for _, want := range []transfer.EndKind{transfer.Incomplete, transfer.Complete} {
					if end, err := transfer.Run(t.Context(), cfg); err != nil || end.Kind != want {
						t.Fatalf("end %+v, error %v, want %d", end, err, want)
					}
				}
				b.mustHave(t, map[string]string{"a": content})
				if target.refused.Load() != 3 || b.target.Creates() != 1 || b.target.Removes() > 0 {
					t.Errorf("%d refused, %d copies made, %d removed", target.refused.Load(), b.target.Creates(), b.target.Removes())
				}
			})
		})
	}
}

func TestASmallFileIsReadBeforeItIsSentWithItsMD5(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 64 << 10, 64<<10 + 1} {
		content := strings.Repeat("x", size)
		b := newBench(map[string]string{"a": content})
		b.mustEnd(t, transfer.Complete)
		b.mustHave(t, map[string]string{"a": content})
		if ahead, _ := b.target.Ahead(); (ahead == 1) != (size <= 64<<10) {
			t.Errorf("%d bytes: %d sums sent ahead", size, ahead)
		}
	}
}

// refusesSums takes no body that a sum is sent ahead of.
type refusesSums struct {
	*transfertest.Target
	refused atomic.Int64
}

func (r *refusesSums) Create(ctx context.Context, f transfer.NewFile) (transfer.Stored, error) {
	if f.MD5 != nil {
		r.refused.Add(1)
		return transfer.Stored{}, transfertest.Again(transfer.SideTarget, transfer.ReasonCorrupt)
	}
	return r.Target.Create(ctx, f)
}

// What a listing claimed of an earlier content is not said of the one that came.
func TestAClaimOfTheListingEndsWithItsETag(t *testing.T) {
	t.Parallel()
	stale := fmt.Sprintf("MD5:%x", md5.Sum([]byte("was")))
	for name, c := range map[string]struct {
		etag, claim string
		ahead       int
	}{
		"the same content": {"listed", "MD5:" + goodMD5, 1},
		"another content":  {"new", stale, 0},
		"not known":        {"", "MD5:" + goodMD5, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(map[string]string{"a": good})
			b.source.ETag = func(string) string { return c.etag }
			ledger := claimed{listed{b.ledger}, c.claim}
			if end, err := transfer.Run(t.Context(), transfer.Config{Source: b.source, Target: b.target, Ledger: ledger}); err != nil || end.Kind != transfer.Complete {
				t.Fatalf("end %+v, error %v", end, err)
			}
			ahead, refused := b.target.Ahead()
			if note := b.ledger.Results()["a"].Note; ahead != c.ahead || refused > 0 || note != "" || b.source.Calls("open", "a") != 1 {
				t.Errorf("%d sums sent ahead, %d refused, note %q, read %d times", ahead, refused, note, b.source.Calls("open", "a"))
			}
		})
	}
}

// claimed is a ledger whose files have checksums from their listing.
type claimed struct {
	listed
	checksums string
}

func (c claimed) Files(ctx context.Context, after int64, limit int) ([]transfer.File, error) {
	files, err := c.listed.Files(ctx, after, limit)
	for i := range files {
		files[i].Checksums = c.checksums
	}
	return files, err
}
