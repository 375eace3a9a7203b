package cozytest

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
)

// idSource gives ids that grow, as the database's do.
type idSource struct {
	prefix string
	last   atomic.Uint64
}

func newIDSource() *idSource {
	return &idSource{prefix: fmt.Sprintf("%016x%04x", rand.Uint64(), rand.Uint32N(1<<16))}
}

func (s *idSource) next() string {
	const stride = 1 << 10
	n := s.last.Add(1 + uint64(rand.Uint32N(stride)))
	const digits = 12
	text := strconv.FormatUint(n, 16)
	return s.prefix + strings.Repeat("0", digits-len(text)) + text
}

// revision is the database's mark of one state of a document.
type revision struct {
	generation int
	digest     [md5.Size]byte
}

func firstRevision() revision { return revision{generation: 1, digest: randomDigest()} }

func (r revision) next() revision {
	return revision{generation: r.generation + 1, digest: randomDigest()}
}

func (r revision) String() string {
	text := strconv.AppendInt(make([]byte, 0, 40), int64(r.generation), 10)
	text = append(text, '-')
	return string(hex.AppendEncode(text, r.digest[:]))
}

func randomDigest() (d [md5.Size]byte) {
	a, b := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		d[i], d[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	return d
}
