package nextcloudtest

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// zipWriter writes the very layout of the server: stored members with a data
// descriptor behind each, always in 64 bits (wide, version 32) or always in 32
// (version 24). archive/zip would choose by size.
type zipWriter struct {
	out     io.Writer
	wide    bool
	offset  int64
	entries []zipEntry
	buffer  []byte // for contents, one after the other
}

type zipEntry struct {
	name   string
	mtime  time.Time
	dir    bool
	crc    uint32
	size   int64
	offset int64
}

const (
	zipDescriptor = 0x8
	zipUTF8       = 0x800
	zipDirAttrs   = 0o040755<<16 | 0x10
	zipFileAttrs  = 0o100644 << 16
)

func (z *zipWriter) folder(name string, mtime time.Time) error {
	e := zipEntry{name: name, mtime: mtime, dir: true, offset: z.offset}
	z.entries = append(z.entries, e)
	return z.local(e)
}

func (z *zipWriter) file(name string, mtime time.Time, _ int64, content io.Reader) error {
	e := zipEntry{name: name, mtime: mtime, offset: z.offset}
	if err := z.local(e); err != nil {
		return err
	}
	sum := crc32.NewIEEE()
	if z.buffer == nil {
		z.buffer = make([]byte, 32<<10)
	}
	n, err := io.CopyBuffer(io.MultiWriter(z.out, sum), content, z.buffer)
	z.offset += n
	if err != nil {
		return err
	}
	e.crc, e.size = sum.Sum32(), n
	z.entries = append(z.entries, e)
	b := le32(nil, 0x08074b50, e.crc)
	if z.wide {
		b = le64(b, uint64(n), uint64(n))
	} else {
		b = le32(b, uint32(n), uint32(n))
	}
	return z.write(b)
}

func (z *zipWriter) close() error {
	start := z.offset
	for _, e := range z.entries {
		if err := z.central(e); err != nil {
			return err
		}
	}
	size, n := z.offset-start, len(z.entries)
	if z.wide {
		if err := z.end64(start, size); err != nil {
			return err
		}
	}
	b := le32(nil, 0x06054b50)
	if z.wide {
		b = le16(b, 0, 0, math.MaxUint16, math.MaxUint16)
		b = le32(b, math.MaxUint32, math.MaxUint32)
	} else {
		b = le16(b, 0, 0, uint16(n), uint16(n))
		b = le32(b, uint32(size), uint32(start))
	}
	return z.write(le16(b, 0))
}

func (z *zipWriter) end64(start, size int64) error {
	at, n := uint64(z.offset), uint64(len(z.entries))
	b := le32(nil, 0x06064b50)
	b = le64(b, 44)
	b = le16(b, 45, 45)
	b = le32(b, 0, 0)
	b = le64(b, n, n, uint64(size), uint64(start))
	b = le32(b, 0x07064b50, 0)
	b = le64(b, at)
	return z.write(le32(b, 1))
}

func (z *zipWriter) local(e zipEntry) error {
	b := le32(nil, 0x04034b50)
	b = z.shared(b, e)
	if z.wide {
		b = le32(b, 0, math.MaxUint32, math.MaxUint32)
	} else {
		b = le32(b, 0, 0, 0)
	}
	b = le16(b, uint16(len(e.name)), z.extraSize())
	b = append(b, e.name...)
	if z.wide {
		b = zipExtra(b, 0, 0) // nothing is known yet, not even the offset
	}
	return z.write(b)
}

func (z *zipWriter) central(e zipEntry) error {
	b := le32(nil, 0x02014b50)
	b = le16(b, 3<<8|45)
	b = z.shared(b, e)
	attrs := uint32(zipFileAttrs)
	if e.dir {
		attrs = zipDirAttrs
	}
	if z.wide {
		b = le32(b, e.crc, math.MaxUint32, math.MaxUint32)
	} else {
		b = le32(b, e.crc, uint32(e.size), uint32(e.size))
	}
	b = le16(b, uint16(len(e.name)), z.extraSize(), 0, 0, 0)
	offset := uint32(e.offset)
	if z.wide {
		offset = math.MaxUint32
	}
	b = le32(b, attrs, offset)
	b = append(b, e.name...)
	if z.wide {
		b = zipExtra(b, e.size, e.offset)
	}
	return z.write(b)
}

// shared is what local and central headers begin with: version needed, flags,
// method, time and date.
func (z *zipWriter) shared(b []byte, e zipEntry) []byte {
	need := uint16(10)
	switch {
	case z.wide:
		need = 45
	case e.dir:
		need = 20
	}
	flags := uint16(0)
	if !e.dir {
		flags = zipDescriptor
		if !ascii(e.name) {
			flags |= zipUTF8
		}
	}
	t := e.mtime.UTC()
	clock := uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
	date := uint16(max(t.Year()-1980, 0)<<9 | int(t.Month())<<5 | t.Day())
	return le16(b, need, flags, 0, clock, date)
}

func (z *zipWriter) extraSize() uint16 {
	if z.wide {
		return 32
	}
	return 0
}

func zipExtra(b []byte, size, offset int64) []byte {
	b = le16(b, 1, 28)
	b = le64(b, uint64(size), uint64(size), uint64(offset))
	return le32(b, 0)
}

func (z *zipWriter) write(b []byte) error {
	n, err := z.out.Write(b)
	z.offset += int64(n)
	return err
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func le16(b []byte, v ...uint16) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint16(b, x)
	}
	return b
}

func le32(b []byte, v ...uint32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func le64(b []byte, v ...uint64) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}
