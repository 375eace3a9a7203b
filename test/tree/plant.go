package tree

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// plain is when planted files were written whose time is not the point.
var plain = time.Date(2024, time.February, 29, 12, 34, 56, 0, time.UTC) //nolint:gochecknoglobals // never written

// hardNames are names that a server accepts and that encodings, shells, URLs
// and databases get wrong.
func hardNames() []string {
	return []string{
		"caf\u00e9.txt", "cafe\u0301.txt", // one name in NFC and in NFD
		"\u1e69 NFC", "s\u0323\u0307 NFD", "s\u0307\u0323 in neither form",
		"😀.txt", "👩‍👩‍👧‍👦 family.jpg", "🇫🇷", "日本語のファイル.txt", "עברית.txt", "العربية.pdf",
		"#hash.txt", "what?.txt", "100%.txt", "50% & more.txt", "a+b.txt", "C++", "one;two", "key=value&x=y?z#w",
		"%2F", "a%2Fb.txt", "%41.txt", "%00.txt", "%.txt", "%zz", "..%2F..%2Fetc",
		" leading.txt", "trailing ", "  ", "dot at the end.", "...", "..hidden", ".hidden", ".config.json", "-rf", "~", "~home",
		`"double".txt`, "'single'.txt", "`backticks`", "$HOME", "$(date)", "{braces}", "[brackets]", "<b>bold<b>", "a|b", "star*.txt",
		"a:b", "a,b", "a@b", "a!b", "a^b", "(parentheses)", "name (2).txt", "&amp;.txt", "&lt;tag&gt;", "]]>.xml", "null", "CON", "nul.txt",
		"no extension", "many.dots.in.a.name.tar.gz", "UPPER.TXT", "upper.txt",
		"bidi \u202egpj.exe", "zero\u200bwidth.txt", "\ufeffbom.txt", "no\u00a0break.txt", "soft\u00adhyphen.txt", "ligature ﬁ.txt", "ＦＵＬＬ.txt",
		"İstanbul ı.txt", "straße.txt", "ΣΊΣΥΦΟΣ ς.txt",
		strings.Repeat("x", 236) + ".txt", strings.Repeat("é", 118) + ".txt", strings.Repeat("😀", 60),
	}
}

// hardTimes are times that formats and types get wrong.
func hardTimes() map[string]time.Time {
	return map[string]time.Time{
		"first second of unix.txt":   time.Unix(1, 0),
		"zip epoch.txt":              time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC),
		"last second of 1999.txt":    time.Date(1999, time.December, 31, 23, 59, 59, 0, time.UTC),
		"1987.txt":                   time.Date(1987, time.June, 5, 4, 3, 21, 0, time.UTC),
		"almost the next second.txt": time.Date(2001, time.September, 9, 1, 46, 39, 999_999_999, time.UTC),
		"summer time gap.txt":        time.Date(2024, time.March, 31, 1, 30, 0, 0, time.UTC),
		"leap day.txt":               time.Date(2000, time.February, 29, 23, 59, 59, 500_000_000, time.UTC),
		"last second of 32 bits.txt": time.Unix(1<<31-1, 0),
		"past 32 bits.txt":           time.Unix(1<<31, 0),
		"next century.txt":           time.Date(2106, time.February, 7, 6, 28, 16, 0, time.UTC),
		"odd second, odd minute.txt": time.Date(2019, time.November, 3, 5, 59, 1, 1, time.UTC),
		"in the future.txt":          time.Date(2030, time.January, 1, 0, 0, 0, 0, time.UTC),
	}
}

const depth = 50

// plant writes the files that hurt.
func (s *seeder) plant() error {
	var errs []error
	for _, name := range hardNames() {
		errs = append(errs,
			s.plantFile(filepath.Join("names", name), 2000, plain),
			s.plantFile(filepath.Join("folders", name, "inside.txt"), 500, plain))
	}
	for name, at := range hardTimes() {
		errs = append(errs, s.plantFile(filepath.Join("times", name), 300, at))
	}
	errs = append(errs, s.plantSizes(), s.plantDepth(), s.plantTwins())
	return errors.Join(errs...)
}

func (s *seeder) plantSizes() error {
	var errs []error
	for _, path := range []string{"empty.txt", ".keep", "no extension", "image.jpg"} {
		errs = append(errs, s.plantFile(filepath.Join("empty", path), 0, plain))
	}
	for _, path := range []string{"folder", ".hidden folder", "folder at the end ", "in/one/in/another"} {
		errs = append(errs, s.folder(filepath.Join("empty", path)))
	}
	for _, size := range []int64{1, 2, 511, 512, 4095, 4096, 4097, 1<<15 - 1, 1 << 15, 1<<16 + 1, 1<<20 + 1} {
		errs = append(errs, s.plantFile(filepath.Join("sizes", strconv.FormatInt(size, 10)+".bin"), size, plain))
	}
	return errors.Join(errs...)
}

func (s *seeder) plantDepth() error {
	path := "deep"
	for level := range depth {
		path = filepath.Join(path, strconv.Itoa(level+1))
		if err := s.plantFile(filepath.Join(path, "here.txt"), 50, plain); err != nil {
			return err
		}
	}
	return nil
}

// plantTwins writes files that a copy may mix up: equal content under two names,
// and equal size with names that look like copies of one another.
func (s *seeder) plantTwins() error {
	const content = "the same content\n"
	var errs []error
	for _, path := range []string{"a.txt", "b.txt", "sub/a.txt", "sub/sub/a.txt"} {
		errs = append(errs, s.plantContent(filepath.Join("twins", path), strings.NewReader(content), plain))
	}
	for _, name := range []string{"photo.jpg", "photo (2).jpg", "photo (3).jpg", "photo (2) (2).jpg", "photo"} {
		errs = append(errs, s.plantFile(filepath.Join("numbered", name), 1000, plain))
	}
	return errors.Join(errs...)
}

// plantFile writes bytes that follow from the path, so that no two files of a
// size are equal.
func (s *seeder) plantFile(path string, size int64, at time.Time) error {
	return s.plantContent(path, io.LimitReader(noise(path), size), at)
}

func (s *seeder) plantContent(path string, content io.Reader, at time.Time) error {
	made, err := s.file(path, content, at)
	if made {
		s.counts.Planted++
	}
	if err != nil {
		return fmt.Errorf("plant %q: %w", path, err)
	}
	return nil
}

// big writes one file that does not fit into anybody's buffers.
func (s *seeder) big(size int64) error {
	if size <= 0 {
		return nil
	}
	_, err := s.file("one big file.bin", io.LimitReader(noise("big"), size), plain)
	return err
}

// noise is an endless stream of bytes that follows from a name.
func noise(name string) io.Reader {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	seed := bytes.Repeat(h.Sum(nil), 4)
	return rand.NewChaCha8([32]byte(seed))
}
