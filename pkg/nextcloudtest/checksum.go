package nextcloudtest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
)

// checksum is what OC-Checksum says of a file: what was claimed, else nothing,
// or what the content has when the server is configured to say so.
func (h *home) checksum(e entry, m meta) string {
	if m.claimed || !h.server.cfg.Checksums || m.gone {
		return m.checksum
	}
	now := fingerprint(e)
	if m.computed != "" && m.computedFor == now {
		return m.computed
	}
	md5sum, sha1sum := md5.New(), sha1.New()
	if err := h.digest(e, io.MultiWriter(md5sum, sha1sum)); err != nil {
		return ""
	}
	sums := "MD5:" + hex.EncodeToString(md5sum.Sum(nil)) + " SHA1:" + hex.EncodeToString(sha1sum.Sum(nil))
	if e.rule == nil || e.rule.files == 0 { // a generated tree must not fill the memory
		h.update(e.path, func(m *meta) { m.computed, m.computedFor = sums, now })
	}
	return sums
}

func (h *home) digest(e entry, sum io.Writer) error {
	f, err := h.open(e)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(sum, f)
	return err
}

// MD5 reads a file of a user, on disk or generated, and gives its digest in hex.
func (s *Server) MD5(user, p string) (string, error) {
	a, err := s.account(user)
	if err != nil {
		return "", fmt.Errorf("digest %s: %w", p, err)
	}
	e, err := a.home.find(cleanPath(p))
	if err == nil && e.dir {
		err = errNoFile
	}
	if err != nil {
		return "", fmt.Errorf("digest %s: %w", p, err)
	}
	sum := md5.New()
	if err := a.home.digest(e, sum); err != nil {
		return "", fmt.Errorf("digest %s: %w", p, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// recalculate is PATCH with X-Recalculate-Hash: the server reads the file and
// replaces the stored checksum by one of the algorithm that was asked for.
func (s *Server) recalculate(w http.ResponseWriter, q *request) error {
	e, err := q.lookup()
	if err != nil {
		return err
	}
	if e.dir {
		return unwilling(q.Method)
	}
	algorithm := q.Header.Get("X-Recalculate-Hash")
	sum := newHash(algorithm)
	if sum == nil {
		return &davError{
			http.StatusInternalServerError, "ValueError",
			"hash_file(): Argument #1 ($algo) must be a valid hashing algorithm", "",
		}
	}
	if err := q.home.digest(e, sum); err != nil {
		return q.translate(err)
	}
	claim := strings.ToUpper(algorithm) + ":" + hex.EncodeToString(sum.Sum(nil))
	q.home.update(e.path, func(m *meta) { m.checksum, m.claimed = claim, true })
	w.Header().Set("Oc-Checksum", claim)
	writeSized(w, http.StatusNoContent, typeHTML, "")
	return nil
}

func newHash(algorithm string) hash.Hash {
	switch strings.ToLower(algorithm) {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "crc32":
		return crc32.NewIEEE()
	case "adler32":
		return adler32.New()
	default:
		return nil
	}
}

var errNoFile = errors.New("not a file")
