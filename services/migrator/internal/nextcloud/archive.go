package nextcloud

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/studio-b12/gowebdav"

	"example.org/ncm/services/migrator/internal/transfer"
)

// maxArchiveQuery bounds the names in one request's address, in bytes: web
// servers take 8 kB for the whole line.
const maxArchiveQuery = 5 << 10

// Archive implements transfer.Archiver with what Nextcloud 31 and later answer
// for a folder with accept=zip. Older ones ignore the question. Files in folders
// below are named by their paths from there (32.0.2).
//
// Nothing in the answer is believed by itself: a member counts when its name was
// asked for, its size and time are the listed ones and its CRC is right. What goes
// wrong at the server ends up in the middle of an answer that began as a success;
// the members before that are whole.
func (s *Source) Archive(ctx context.Context, folder string, files []transfer.File, yield func(i int, content []byte) error) error {
	resource, err := s.locate(folder)
	if err != nil {
		return err
	}
	members := make([]member, 0, len(files))
	for _, f := range files {
		name := f.Path()
		if folder != "" {
			name = strings.TrimPrefix(name, folder+"/")
		}
		members = append(members, member{name, f.Size, f.ModTime})
	}
	for begin := 0; begin < len(members); {
		query, n := archiveQuery(members[begin:])
		err := s.archive(ctx, resource, query, members[begin:begin+n], func(i int, content []byte) error {
			return yield(begin+i, content)
		})
		if err != nil {
			return err
		}
		begin += n
	}
	return nil
}

// member is what an archive is asked for, by its path from the folder.
type member struct {
	name    string
	size    int64 // bytes
	modTime time.Time
}

// archiveQuery asks for the first n files, at least one, as many as fit.
func archiveQuery(files []member) (query string, n int) {
	var list strings.Builder
	for _, f := range files {
		var name bytes.Buffer
		enc := json.NewEncoder(&name)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(f.name) // a string always can be
		escaped := url.QueryEscape(strings.TrimSuffix(name.String(), "\n"))
		if n > 0 && list.Len()+len(escaped) > maxArchiveQuery {
			break
		}
		if n > 0 {
			list.WriteString("%2C")
		}
		list.WriteString(escaped)
		n++
	}
	return "accept=zip&files=%5B" + list.String() + "%5D", n
}

func (s *Source) archive(ctx context.Context, resource, query string, files []member, yield func(int, []byte) error) error {
	c := s.newCall(ctx, false)
	defer c.watchdog.release()
	b, err := c.archive(resource, query)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }() // what it has to say was read
	z := zipStream{in: bufio.NewReaderSize(b, 32<<10), files: files, wanted: make(map[string]int, len(files))}
	for i, f := range files {
		z.wanted[f.name] = i
	}
	if err := z.members(yield); err != nil {
		if z.refused {
			return err
		}
		return c.fail(err)
	}
	_, _ = io.CopyN(io.Discard, z.in, maxErrorBody) // the directory at the end, for the connection's sake
	return nil
}

// archive asks for a folder's files as one body.
func (c *call) archive(resource, query string) (*body, error) {
	address := url.URL{Path: gowebdav.FixSlash(gowebdav.Join(c.source.files, resource)), RawQuery: query}
	req, err := http.NewRequestWithContext(c.watchdog.ctx, http.MethodGet, placeholder+address.RequestURI(), http.NoBody)
	if err != nil {
		return nil, c.failed()
	}
	if err := c.source.auth.Authorize(nil, req, ""); err != nil {
		return nil, c.fail(err)
	}
	resp, err := c.RoundTrip(req) //nolint:bodyclose // the body closes it
	if err != nil {
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/zip" {
		drain(c.body(resp.Body))
		return nil, transfer.ErrNoArchives // an empty page, as for any GET of a folder
	}
	return c.body(resp.Body), nil
}

// The marks in front of a zip archive's parts.
const (
	zipMember     = 0x04034b50
	zipDescriptor = 0x08074b50
	zipDirectory  = 0x02014b50
	zipEnd        = 0x06054b50
)

// zipStream reads stored members one after the other. archive/zip begins at the
// end, which a stream does not have, and which a broken archive has not at all.
type zipStream struct {
	in      *bufio.Reader
	files   []member
	wanted  map[string]int // by name; those that came are gone
	refused bool           // the error is yield's
}

// members calls yield for each member that is what was asked for.
func (z *zipStream) members(yield func(int, []byte) error) error {
	for {
		var head [30]byte
		if _, err := io.ReadFull(z.in, head[:4]); err != nil {
			return cutShort(err)
		}
		switch binary.LittleEndian.Uint32(head[:]) {
		case zipMember:
		case zipDirectory, zipEnd:
			return nil
		default:
			return malformed("an archive breaks off")
		}
		if _, err := io.ReadFull(z.in, head[4:]); err != nil {
			return cutShort(err)
		}
		i, content, err := z.member(head)
		if err != nil {
			return err
		}
		if content == nil {
			continue
		}
		if err := yield(i, content); err != nil {
			z.refused = true
			return err
		}
	}
}

// member reads one. Its size is the listed one: the server does not tell it before.
// The content is nil where its time shows that the file is not the listed one.
func (z *zipStream) member(head [30]byte) (i int, content []byte, err error) {
	le := binary.LittleEndian
	name := make([]byte, le.Uint16(head[26:]))
	if _, err := io.ReadFull(z.in, name); err != nil {
		return 0, nil, cutShort(err)
	}
	if _, err := z.in.Discard(int(le.Uint16(head[28:]))); err != nil {
		return 0, nil, cutShort(err)
	}
	i, ok := z.wanted[string(name)]
	if !ok || le.Uint16(head[8:]) != 0 {
		return 0, nil, malformed("an archive holds what was not asked for")
	}
	delete(z.wanted, string(name))
	content = make([]byte, z.files[i].size)
	if _, err := io.ReadFull(z.in, content); err != nil {
		return 0, nil, cutShort(err)
	}
	crc, size, err := z.sums(head)
	if err != nil {
		return 0, nil, err
	}
	if size != uint64(len(content)) || crc != crc32.ChecksumIEEE(content) {
		return 0, nil, malformed("a member of an archive is not what was listed")
	}
	if !sameClock(le.Uint16(head[12:]), le.Uint16(head[10:]), z.files[i].modTime) {
		content = nil
	}
	return i, content, nil
}

// sums gives CRC and size, which come before or behind the content.
func (z *zipStream) sums(head [30]byte) (crc uint32, size uint64, err error) {
	le := binary.LittleEndian
	if le.Uint16(head[6:])&0x8 == 0 {
		return le.Uint32(head[14:]), uint64(le.Uint32(head[22:])), nil
	}
	wide := le.Uint32(head[22:]) == 0xffffffff
	behind := make([]byte, 16)
	if wide {
		behind = make([]byte, 24)
	}
	if _, err := io.ReadFull(z.in, behind); err != nil {
		return 0, 0, cutShort(err)
	}
	if le.Uint32(behind) != zipDescriptor {
		return 0, 0, malformed("a member of an archive does not end where it was listed to")
	}
	if wide {
		return le.Uint32(behind[4:]), le.Uint64(behind[16:]), nil
	}
	return le.Uint32(behind[4:]), uint64(le.Uint32(behind[12:])), nil
}

func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // as io.ReadFull gives them
		return fmt.Errorf("%w: the archive ends too soon", errCut)
	}
	return err
}

// sameClock compares a member's time with the listed one, as far as a zip archive
// knows it: two seconds exact, in a time zone that it does not tell, from 1980 on.
func sameClock(date, clock uint16, listed time.Time) bool {
	const zone, exact = 15 * time.Minute, 2 * time.Second
	if listed.IsZero() || listed.Year() <= 1980 || listed.Year() >= 2107 {
		return true
	}
	told := time.Date(1980+int(date>>9), time.Month(date>>5&0xf), int(date&0x1f),
		int(clock>>11), int(clock>>5&0x3f), int(clock&0x1f)*2, 0, time.UTC)
	apart := told.Sub(listed).Abs()
	rest := apart % zone
	return apart <= 26*time.Hour && min(rest, zone-rest) <= exact
}
