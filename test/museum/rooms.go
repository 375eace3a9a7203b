package museum

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.org/ncm/pkg/nextcloudtest"
)

// MountLimit is the MOUNT_LIMIT that the museum counts on, in bytes.
const MountLimit = 10_000

// rooms are the exhibits by what they have in common.
func rooms() []Exhibit {
	return slices.Concat(plain(), names(), longNames(), deep(), dates(), marks(), foreign(), closed())
}

func file(path, content string) Exhibit { return Exhibit{Path: path, Content: content} }

func renamed(path, name string) Exhibit {
	return Exhibit{Path: path, Content: "content of " + name, Want: Want{Name: name, Note: "renamed: a character"}}
}

// plain is what looks special and is to be taken as it is.
func plain() []Exhibit {
	return []Exhibit{
		file("Plain/zero bytes.txt", ""),
		{Path: "Plain/empty folder", Folder: true},
		{Path: "Plain/empty folders/in/one another", Folder: true},
		file("Plain/note.cozy-note", "# A note\n\nof *somebody*\n"),
		file("Plain/shortcut.url", "[InternetShortcut]\nURL=https://example.org/\n"),
		file("Plain/one.txt", "the same content"),
		file("Plain/two.txt", "the same content"),
		file("Plain/a few pages.bin", strings.Repeat("0123456789abcdef", 20_000)),
		file("Plain/.htaccess", "Deny from all\n"),
		file("Plain/.user.ini", "upload_max_filesize=1G\n"),
		file("Plain/upload.part", "half of something"),
		file("Plain/.hidden/file", "hidden"),
		{
			Path: "Plain/checksum of another file.txt", Content: "true content", Checksum: "SHA1:a9993e364706816aba3e25717850c26c9cd0d89d",
			Want: Want{Note: "checksum of the source differs"},
		},
		{Path: "Plain/checksum that is none.txt", Content: "content", Checksum: "hello"},
	}
}

// names come in pairs that a careless copy takes for one.
func names() []Exhibit {
	return []Exhibit{
		file("Names/caf\u00e9.txt", "composed"),
		file("Names/cafe\u0301.txt", "decomposed"),
		file("Names/d\u00e9/in.txt", "in the composed"),
		file("Names/de\u0301/in.txt", "in the decomposed"),
		file("Names/readme.md", "lower"),
		file("Names/README.md", "upper"),
		file("Names/Readme.md", "both"),
		{Path: "Names/case", Folder: true},
		{Path: "Names/Case", Folder: true},
		file("Names/ leading", "leading space"),
		file("Names/trailing", "nothing trailing"),
		file("Names/trailing ", "trailing space"),
		file("Names/trailing.", "trailing dot"),
		file("Names/folder. /in.txt", "in a folder with both"),
		file("Names/...", "three dots"),
		file("Names/\x01control\x1f.txt", "control characters"),
		file("Names/tab\there.txt", "tab"),
		file("Names/right \u202eot left.txt", "right-to-left override"),
		file("Names/zero\u200bwidth.txt", "zero width"),
		file("Names/%2F", "not a slash"),
		file("Names/%252F", "not an escaped slash"),
		file("Names/..%2F..%2Fetc", "not a way out"),
		file("Names/100%.txt", "not an escape"),
		file("Names/a+b&c=d#e?f;g.txt", "what addresses are made of"),
		file("Names/‛quoted’…", "looks like an escape and is none"),
		renamed("Names/line\nbreak.txt", "line‛0Abreak.txt"),
		renamed("Names/line‛0Abreak.txt", "line‛E2‛80‛9B0Abreak.txt"),
		renamed("Names/carriage\rreturn", "carriage‛0Dreturn"),
		{Path: "Names/two\r\nlines", Folder: true, Favorite: true, Want: Want{Name: "two‛0D‛0Alines"}},
		file("Names/two\r\nlines/in.txt", "in a folder of another name"),
	}
}

// longNames are longer than a Cozy takes, or just not.
func longNames() []Exhibit {
	head := strings.Repeat("é", 122)
	return []Exhibit{
		file("Long/"+head[:242]+".txt", "246 bytes"),
		cut("Long/", head+"1.pdf", strings.Repeat("é", 111), ".pdf"),
		cut("Long/", head+"2.pdf", strings.Repeat("é", 111), ".pdf"),
		cut("Long/", strings.Repeat("x", 250), strings.Repeat("x", 227), ""),
		file("Long/"+strings.Repeat("f", 255)+"/in.txt", "in a folder whose name is 255 bytes long"),
	}
}

// cut is a file whose name is shortened to its head, a code and its extension.
func cut(folder, name, head, extension string) Exhibit {
	sum := sha256.Sum256([]byte(name))
	return renamed(folder+name, head+"…"+hex.EncodeToString(sum[:8])+extension)
}

// deep are paths of many folders, and paths longer than operating systems take.
func deep() []Exhibit {
	steps := make([]string, 100)
	for i := range steps {
		steps[i] = fmt.Sprint("level ", i+1)
	}
	long := strings.Repeat("/"+strings.Repeat("x", 210), 20)
	return []Exhibit{
		file("Deep/"+strings.Join(steps, "/")+"/bottom.txt", "100 folders down"),
		file("Deep"+long+"/bottom.txt", "at the end of a path of more than 4 kB"),
	}
}

func dates() []Exhibit {
	day := func(year int) time.Time { return time.Date(year, time.July, 20, 20, 17, 40, 0, time.UTC) }
	at := func(path string, modified, created time.Time) Exhibit {
		return Exhibit{Path: strings.TrimSuffix("Dates/"+path, "/"), Content: path, Modified: modified, Created: created}
	}
	folder := func(path string, modified, created time.Time) Exhibit {
		e := at(path, modified, created)
		e.Folder, e.Content = true, ""
		return e
	}
	none := time.Time{}
	return []Exhibit{
		folder("", day(2001), none),
		at("1969.txt", day(1969), none),
		at("first second of 1970.txt", time.Unix(1, 0), none),
		at("after 32 bits.txt", time.Unix(1<<31, 0), none),
		at("2150.txt", day(2150), none),
		at("created before.txt", day(2015), day(2010)),
		at("created before 1970.txt", day(2015), day(1961)),
		at("created after.txt", day(2010), day(2015)),
		folder("of 1969", day(1969), none),
		at("of 1969/younger.txt", day(2020), none),
		folder("of 2150", day(2150), day(2005)),
		folder("of 2150/of 1999", day(1999), none),
		at("of 2150/of 1999/older.txt", day(1980), none),
	}
}

func marks() []Exhibit {
	return []Exhibit{
		{Path: "Marks/favourite.txt", Content: "1", Favorite: true},
		{Path: "Marks/old favourite.txt", Content: "2", Favorite: true, Modified: time.Date(1969, 1, 2, 3, 4, 5, 0, time.UTC)},
		{Path: "Marks/favourite folder", Folder: true, Favorite: true, Modified: time.Date(2003, 1, 2, 3, 4, 5, 0, time.UTC)},
		file("Marks/favourite folder/none.txt", "3"),
		{Path: "Marks/tags.txt", Content: "4", Tags: []string{"holiday", "to print", "été 😀", "a+b&c%2C"}},
		{Path: "Marks/comma.txt", Content: "5", Tags: []string{"one, two", "three"}},
		{Path: "Marks/all of it.txt", Content: "6", Favorite: true, Tags: []string{"holiday"}},
		{Path: "Marks/tagged folder", Folder: true, Tags: []string{"holiday", "one, two"}},
	}
}

// foreign is what is mounted into the account and belongs to others.
func foreign() []Exhibit {
	shared := &nextcloudtest.Mount{Type: nextcloudtest.MountShared, Owner: "bob"}
	return []Exhibit{
		{Path: "From bob", Folder: true, Mount: shared},
		file("From bob/sub/b.txt", "shared in a folder"),
		{Path: "single share.txt", Content: "shared alone", Mount: shared},
		{Path: "View only", Folder: true, Mount: &nextcloudtest.Mount{Type: nextcloudtest.MountShared, Owner: "bob", NoDownload: true}},
		{Path: "View only/secret.txt", Content: "not to be had", Want: Want{Outcome: Failed, Reason: "does not allow this account to read it"}},
		{Path: "Team folder", Folder: true, Mount: &nextcloudtest.Mount{Type: nextcloudtest.MountGroup}},
		file("Team folder/plan.txt", "of all"),
		{
			Path: "Team archive", Folder: true, Mount: &nextcloudtest.Mount{Type: nextcloudtest.MountGroup},
			Want: Want{Outcome: Skipped, Reason: `a group folder (mount type "group") and holds`},
		},
		{Path: "Team archive/large.bin", Content: strings.Repeat("x", MountLimit+1), Want: Want{Outcome: Unseen}},
		{Path: "NAS", Folder: true, Mount: &nextcloudtest.Mount{Type: nextcloudtest.MountExternal}},
		file("NAS/film.txt", "of the family"),
		{Path: "NAS not scanned", Folder: true, Mount: &nextcloudtest.Mount{Type: nextcloudtest.MountExternal, Unscanned: true}},
		file("NAS not scanned/never seen.txt", "of the family"),
		{
			Path: "NAS offline", Folder: true, Mount: &nextcloudtest.Mount{Type: nextcloudtest.MountExternal, Offline: true},
			Want: Want{Outcome: Failed, Reason: "external storage of the Nextcloud was offline"},
		},
		{Path: "NAS offline/away.txt", Content: "away", Want: Want{Outcome: Unseen}},
	}
}

// closed is what nobody can read for the user.
func closed() []Exhibit {
	return []Exhibit{
		{Path: "Closed/Secret", Folder: true, Encrypted: true, Want: Want{Outcome: Skipped, Reason: "end-to-end encrypted"}},
		{Path: "Closed/Secret/5a7c9e", Content: "cipher", Want: Want{Outcome: Unseen}},
		{Path: "Closed/unreadable.txt", Content: "x", Permissions: "NVW", Want: Want{Outcome: Skipped, Reason: "does not allow this account to read it"}},
		{Path: "Closed/drop box", Folder: true, Permissions: "CK", Want: Want{Outcome: Skipped, Reason: "does not allow this account to read it"}},
		{Path: "Closed/drop box/x.txt", Content: "x", Want: Want{Outcome: Unseen}},
		{Path: "Closed/gone.txt", Content: "x", Gone: true, Want: Want{Outcome: Failed, Reason: "was removed"}},
		{
			Path: "Closed/being uploaded.txt", Content: "x", Lock: &nextcloudtest.Lock{Exclusive: true},
			Want: Want{Outcome: Failed, Reason: "was busy"},
		},
		{Path: "Closed/of another encoding", Folder: true, Want: Want{Outcome: Failed, Reason: "was busy"}},
		{Path: "Closed/of another encoding/caf\xe9.txt", Content: "latin-1", Want: Want{Outcome: Unseen}},
		{Path: "Closed/of another encoding/others.txt", Content: "UTF-8", Want: Want{Outcome: Unseen}},
	}
}
