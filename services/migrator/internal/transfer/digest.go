package transfer

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// claims are what a source says that the sums of a file are, by kind.
type claims map[string][]byte

// sumSizes are the kinds of sums that can be compared, with their sizes in bytes.
var sumSizes = map[string]int{"MD5": md5.Size, "SHA1": sha1.Size, "SHA256": sha256.Size} //nolint:gochecknoglobals // never written

// parseClaims reads "SHA1:… MD5:… ADLER32:…", in any case. What is not a sum of its
// kind says nothing: a source stores whatever its clients send.
func parseClaims(checksums string) claims {
	all := claims{}
	for field := range strings.FieldsFuncSeq(checksums, func(r rune) bool { return unicode.IsSpace(r) || r == ',' }) {
		kind, text, _ := strings.Cut(field, ":")
		kind = strings.ToUpper(kind)
		if sum, err := hex.DecodeString(text); err == nil && len(sum) > 0 && len(sum) == sumSizes[kind] {
			all[kind] = sum
		}
	}
	return all
}

// strongest is a sum to be compared besides MD5; nil where there is nothing to.
func (c claims) strongest() (kind string, sum hash.Hash) {
	switch {
	case c["SHA256"] != nil:
		return "SHA256", sha256.New()
	case c["MD5"] == nil && c["SHA1"] != nil:
		return "SHA1", sha1.New()
	}
	return "", nil
}

// hold says whether what was claimed is true of a content with that MD5, of which
// other is the sum of that kind. Where nothing was claimed, it is.
func (c claims) hold(md5 []byte, kind string, other hash.Hash) bool {
	if claim := c["MD5"]; claim != nil && !bytes.Equal(claim, md5) {
		return false
	}
	return other == nil || bytes.Equal(c[kind], other.Sum(nil))
}

// digest sums a body while it passes by. An HTTP client may still read a body
// when the answer is there already, hence the lock.
type digest struct {
	mu      sync.Mutex
	cut     bool // nothing more may pass
	waited  time.Duration
	md5     hash.Hash
	count   int64
	claimed claims
	kind    string    // of the claims, besides MD5; empty: none
	other   hash.Hash // the sum of that kind
}

// newDigest sums MD5, and what else it takes to compare the strongest of the
// source's claims.
func newDigest(claimed claims) *digest {
	d := &digest{claimed: claimed, md5: md5.New()}
	d.kind, d.other = claimed.strongest()
	return d
}

func (d *digest) Write(p []byte) (int, error) {
	if err := d.pass(p, 0); err != nil {
		return 0, err
	}
	return len(p), nil
}

// pass sums bytes for which the source was waited for.
func (d *digest) pass(p []byte, waited time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cut {
		return errCut
	}
	d.md5.Write(p)
	if d.other != nil {
		d.other.Write(p)
	}
	d.count += int64(len(p))
	d.waited += waited
	return nil
}

// errCut is what a reader of a cut body gets.
var errCut = errors.New("body is cut")

// tee reads a body of size bytes through a digest, until it is cut. The last of
// them pass when check agrees to all that was read, and without them nothing of the
// body stays in the target: what is not right is never there. Closing it ends a read
// that waits for the source.
type tee struct {
	*Body
	*digest
	size  int64
	check func() error
}

func (t tee) Read(p []byte) (int, error) {
	asked := time.Now()
	n, err := t.Body.Read(p)
	if cut := t.pass(p[:n], time.Since(asked)); cut != nil {
		return 0, cut
	}
	if n == 0 || t.Count() != t.size || err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	if t.Body.Size < 0 && err == nil {
		// The source did not say its size: more than the listing said must not
		// be left behind without a word.
		if more, _ := io.ReadFull(t.Body, make([]byte, 1)); more > 0 {
			return 0, &Error{Side: SideSource, Class: Again, Reason: ReasonChanged, Err: errors.New("longer than listed")}
		}
	}
	if wrong := t.check(); wrong != nil {
		return 0, wrong
	}
	return n, err
}

// Cut lets nothing more pass, unless size bytes did already: then the body is
// whole, and it says so.
func (d *digest) Cut(size int64) (whole bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = d.count < size
	return !d.cut
}

// MD5 of what passed by so far.
func (d *digest) MD5() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.md5.Sum(nil)
}

// Count is how many bytes passed by so far.
func (d *digest) Count() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// Waited is how long the source was waited for so far.
func (d *digest) Waited() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waited
}

// Confirms says whether the source's claims hold, or there are none.
func (d *digest) Confirms() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.claimed.hold(d.md5.Sum(nil), d.kind, d.other)
}
