package nextcloud_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/nextcloud"
	"example.org/ncm/services/migrator/internal/transfer"
)

const (
	folderPath = "/remote.php/dav/files/alice/Zero"
	head       = `<?xml version="1.0"?>` + "\n" +
		`<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns">`
	tail = `</d:multistatus>`
	self = `<d:response><d:href>/remote.php/dav/files/alice/Zero/</d:href><d:propstat><d:prop>` +
		`<d:resourcetype><d:collection/></d:resourcetype><d:getlastmodified>Mon, 23 Nov 2026 11:11:20 GMT</d:getlastmodified>` +
		`<d:getetag>&quot;6b041f587dfd5&quot;</d:getetag><oc:fileid>618</oc:fileid><oc:size>1</oc:size>` +
		`</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat><d:propstat><d:prop><d:getcontentlength/></d:prop>` +
		`<d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>`
	childProperties = `<d:propstat><d:prop><d:resourcetype/><d:getcontentlength>1</d:getcontentlength>` +
		`<d:getetag>&quot;e&quot;</d:getetag><oc:fileid>3</oc:fileid></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>`
)

// child is the response for an entry, named as it stands in the address.
func child(escaped string) string {
	return `<d:response><d:href>/remote.php/dav/files/alice/Zero/` + escaped + `</d:href>` + childProperties + `</d:response>`
}

func decode(doc string) (self transfer.Entry, children []transfer.Entry, err error) {
	self, err = nextcloud.Decode(strings.NewReader(doc), folderPath, 1000, func(e transfer.Entry) error {
		children = append(children, e)
		return nil
	})
	return self, children, err
}

func names(entries []transfer.Entry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Name)
	}
	return all
}

func TestListingGivesEveryPropertyOfAnEntry(t *testing.T) {
	t.Parallel()
	doc := head + self +
		`<d:response><d:href>/remote.php/dav/files/alice/Zero/caf%c3%a9%20%23%25%3f+.txt</d:href><d:propstat><d:prop>
		<d:resourcetype/><d:getcontentlength>52428800</d:getcontentlength><d:getcontenttype>video/mp4</d:getcontenttype>
		<d:getlastmodified>Sun, 27 Jan 2019 14:39:15 GMT</d:getlastmodified><d:getetag>W/&quot;c150&quot;</d:getetag>
		<oc:fileid>3632</oc:fileid><oc:size>52428800</oc:size><oc:favorite>1</oc:favorite><oc:permissions>SRGDNVW</oc:permissions>
		<oc:checksums><oc:checksum>SHA1:666c MD5:5d41</oc:checksum></oc:checksums>
		<oc:tags><oc:tag>holiday</oc:tag><oc:tag>to print</oc:tag><oc:other>x</oc:other></oc:tags>
		<nc:system-tags><nc:system-tag oc:id="1" oc:can-assign="true">to print</nc:system-tag><nc:system-tag>a&#10;b</nc:system-tag><nc:system-tag/></nc:system-tags>
		<nc:creation_time>1548600000</nc:creation_time><nc:is-encrypted>1</nc:is-encrypted>
		</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>` +
		`<d:response><d:href>/remote.php/dav/files/alice/Zero/Secret/</d:href><d:propstat><d:status>HTTP/1.1 200 OK</d:status><d:prop>
		<d:resourcetype><d:collection/></d:resourcetype><oc:size>-1</oc:size><nc:is-encrypted>1</nc:is-encrypted></d:prop></d:propstat></d:response>` +
		tail + "\n"
	gotSelf, got, err := decode(doc)
	if err != nil {
		t.Fatal(err)
	}
	wantSelf := transfer.Entry{
		Folder: true, Size: 1, ETag: "6b041f587dfd5", SourceID: "618",
		ModTime: time.Date(2026, 11, 23, 11, 11, 20, 0, time.UTC),
	}
	want := []transfer.Entry{
		{
			Name: "café #%?+.txt", Size: 52428800, MIME: "video/mp4", ETag: "c150", SourceID: "3632",
			ModTime: time.Date(2019, 1, 27, 14, 39, 15, 0, time.UTC), CreatedAt: time.Unix(1548600000, 0).UTC(),
			Checksums: "SHA1:666c MD5:5d41", Permissions: "SRGDNVW",
			Marks:      transfer.Marks{Favorite: true, Tags: []string{"holiday", "to print", "a b"}},
			FolderETag: wantSelf.ETag,
		},
		{
			Name: "Secret", Folder: true, Size: -1, FolderETag: wantSelf.ETag,
			SkipReason: "The folder is end-to-end encrypted: only the user's own devices can read it.",
		},
	}
	if diff := cmp.Diff(wantSelf, gotSelf); diff != "" {
		t.Errorf("folder itself (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("children (-want +got):\n%s", diff)
	}
}

func TestListingIsTakenWhereverItIsWellFormed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		doc  string
		want []string
	}{
		"empty folder":           {head + self + tail, nil},
		"self last":              {head + child("a") + child("b") + self + tail, []string{"a", "b"}},
		"other prefixes":         {`<multistatus xmlns="DAV:"><x:response xmlns:x="DAV:"><href>/remote.php/dav/files/alice/Zero</href><propstat><prop><resourcetype><collection/></resourcetype><getetag>"e"</getetag><y:fileid xmlns:y='http://owncloud.org/ns'>7</y:fileid><y:size xmlns:y='http://owncloud.org/ns'>0</y:size></prop><status>HTTP/1.1 200 OK</status></propstat></x:response></multistatus>`, nil},
		"absolute addresses":     {strings.ReplaceAll(head+self+child("a")+tail, "<d:href>", "<d:href>https://CLOUD.example:443"), []string{"a"}},
		"upper-case escapes":     {head + self + child("%C3%A9") + tail, []string{"é"}},
		"escaped where needless": {strings.ReplaceAll(head+self+child("a")+tail, "/alice/", "/%61lice/"), []string{"a"}},
		"unknown elements":       {head + `<d:sync-token>x<d:y><d:z/></d:y></d:sync-token>` + self + child("a") + tail, []string{"a"}},
		"space around":           {head + "\n " + self + "\n" + child("a") + "\n" + tail + "\r\n \t", []string{"a"}},
		"entities in an address": {head + self + child("a&amp;b&#33;&#x3b;") + tail, []string{"a&b!;"}},
		"child gone meanwhile":   {head + self + `<d:response><d:href>/remote.php/dav/files/alice/Zero/x</d:href><d:status>HTTP/1.1 404 Not Found</d:status></d:response>` + child("a") + tail, []string{"a"}},
		"date as a tree":         {head + self + strings.ReplaceAll(child("a"), "<d:getetag>", "<d:getlastmodified><time><date>2014</date></time></d:getlastmodified><d:getetag>") + tail, []string{"a"}},
		"dots and spaces":        {head + self + child("...") + child("%20a%20") + child(".b") + tail, []string{"...", " a ", ".b"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got, err := decode(tt.doc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, names(got)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNumbersThatNobodyStoresAreUnknown: sums of sizes, and dates, have to fit into
// the ledger and into JSON.
func TestNumbersThatNobodyStoresAreUnknown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size, created string
		want          transfer.Entry
	}{
		"honest":       {"1125899906842624", "253402300799", transfer.Entry{Size: 1 << 50, CreatedAt: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}},
		"too much":     {"1125899906842625", "253402300800", transfer.Entry{Size: -1}},
		"milliseconds": {"1", "1795000000000", transfer.Entry{Size: 1}},
		"overflowing":  {"9223372036854775807", "9223372036854775807", transfer.Entry{Size: -1}},
		"negative":     {"-1", "-9223372036854775808", transfer.Entry{Size: -1}},
		"no numbers":   {"many", "then", transfer.Entry{Size: -1}},
		"none":         {"", "0", transfer.Entry{Size: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := strings.Replace(child("a"), "<d:getcontentlength>1<", "<nc:creation_time>"+tt.created+"</nc:creation_time><d:getcontentlength>"+tt.size+"<", 1)
			_, got, err := decode(head + self + c + tail)
			if err != nil || len(got) != 1 || got[0].Size != tt.want.Size || !got[0].CreatedAt.Equal(tt.want.CreatedAt) {
				t.Errorf("got %+v, %v; want size %d, created %v", got, err, tt.want.Size, tt.want.CreatedAt)
			}
		})
	}
}

func TestListingFailsOnHostileDocuments(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"nothing":                   "",
		"not XML":                   "<!DOCTYPE html><html><body>Welcome</body></html>",
		"another document":          `<d:error xmlns:d="DAV:"></d:error>`,
		"another namespace":         strings.ReplaceAll(head+self+tail, `"DAV:"`, `"DAV"`),
		"no root namespace":         `<d:multistatus>` + self + tail,
		"not UTF-8 by declaration":  strings.Replace(head, `"1.0"`, `"1.0" encoding="latin1"`, 1) + self + tail,
		"not UTF-8 by content":      head + self + child("\xe9") + tail,
		"NUL":                       head + self + child("\x00") + tail,
		"entity bomb":               `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>` + head[22:] + self + child("&b;") + tail,
		"external entity":           `<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + head[22:] + self + tail,
		"unknown entity":            head + self + child("&nbsp;") + tail,
		"entity without end":        head + self + child("&amp") + tail,
		"entity of NUL":             head + self + child("&#0;") + tail,
		"entity of a surrogate":     head + self + child("&#xD800;") + tail,
		"comment":                   head + self + "<!-- x -->" + tail,
		"CDATA":                     head + self + child("<![CDATA[a]]>") + tail,
		"instruction":               head + self + "<?php x ?>" + tail,
		"late declaration":          head + `<?xml version="1.0"?>` + self + tail,
		"text before":               "x" + head + self + tail,
		"text behind":               head + self + tail + "x",
		"document behind":           head + self + tail + head + self + tail,
		"HTML error behind":         head + self + tail + "\n<br />\n<b>Fatal error</b>",
		"crossed tags":              head + self + "<d:a><d:b></d:a></d:b>" + tail,
		"end without start":         head + self + tail + tail,
		"attribute without value":   head + self + "<d:a b/>" + tail,
		"attribute without end":     head + self + `<d:a b="c/>` + tail,
		"wrong name":                head + self + "<1a/>" + tail,
		"elements without end":      head + self + strings.Repeat("<d:a>", 100),
		"namespaces without end":    head + strings.Repeat(`<d:a xmlns:x="y">`, 20) + strings.Repeat(` xmlns:z="z"`, 200),
		"long text":                 head + self + child(strings.Repeat("a", 40_000)) + tail,
		"long tag":                  head + self + "<d:a b='" + strings.Repeat("a", 40_000) + "'/>" + tail,
		"long response":             head + self + `<d:response>` + strings.Repeat("<d:x>0123456789</d:x>", 20_000) + `</d:response>` + tail,
		"long property":             head + self + strings.ReplaceAll(child("a"), "&quot;e&quot;", strings.Repeat("e", 2000)) + tail,
		"long checksums":            head + self + strings.ReplaceAll(child("a"), "<oc:fileid>", "<oc:checksums>"+strings.Repeat("<oc:checksum>"+strings.Repeat("c", 200)+"</oc:checksum>", 6)+"</oc:checksums><oc:fileid>") + tail,
		"long tags":                 head + self + strings.ReplaceAll(child("a"), "<oc:fileid>", "<oc:tags>"+strings.Repeat("<oc:tag>"+strings.Repeat("t", 200)+"</oc:tag>", 60)+"</oc:tags><oc:fileid>") + tail,
		"no responses, no end":      head + self + strings.Repeat("<d:x>0123456789</d:x>", 20_000) + tail,
		"no self":                   head + child("a") + tail,
		"self twice":                head + self + self + tail,
		"self is a file":            head + strings.ReplaceAll(self, "<d:collection/>", "") + tail,
		"a name twice":              head + self + child("a") + child("b") + child("%61") + tail,
		"a name twice, as a folder": head + self + child("a") + child("a/") + tail,
		"outside: another folder":   head + self + strings.ReplaceAll(child("a"), "Zero", "One") + tail,
		"outside: another user":     head + self + strings.ReplaceAll(child("a"), "alice", "bob") + tail,
		"outside: prefix":           head + self + strings.ReplaceAll(child("a"), "Zero", "Zero2") + tail,
		"outside: the parent":       head + self + strings.ReplaceAll(child(""), "/Zero/", "/") + tail,
		"outside: another host":     head + self + strings.ReplaceAll(child("a"), "<d:href>", "<d:href>https://evil.example") + tail,
		"outside: another port":     head + self + strings.ReplaceAll(child("a"), "<d:href>", "<d:href>https://cloud.example:8443") + tail,
		"outside: scheme-relative":  head + self + strings.ReplaceAll(child("a"), "<d:href>", "<d:href>//evil.example") + tail,
		"outside: relative":         head + self + `<d:response><d:href>a</d:href>` + childProperties + `</d:response>` + tail,
		"outside: javascript":       head + self + `<d:response><d:href>javascript:alert(1)</d:href>` + childProperties + `</d:response>` + tail,
		"grandchild":                head + self + child("a/b") + tail,
		"name ..":                   head + self + child("..") + tail,
		"name .. escaped":           head + self + child("%2e%2e") + tail,
		"name .":                    head + self + child(".") + tail,
		"name with slash":           head + self + child("a%2Fb") + tail,
		"name with NUL":             head + self + child("a%00b") + tail,
		"name not UTF-8":            head + self + child("%e9") + tail,
		"name empty":                head + self + child("/") + tail,
		"wrong escape":              head + self + child("%zz") + tail,
		"query":                     head + self + child("a?b") + tail,
		"fragment":                  head + self + child("a#b") + tail,
		"no address":                head + self + `<d:response>` + childProperties + `</d:response>` + tail,
		"two addresses":             head + self + strings.ReplaceAll(child("a"), "</d:href>", "</d:href><d:href>b</d:href>") + tail,
		"no propstat":               head + self + `<d:response><d:href>/remote.php/dav/files/alice/Zero/a</d:href></d:response>` + tail,
		"no status":                 head + self + strings.ReplaceAll(child("a"), "<d:status>HTTP/1.1 200 OK</d:status>", "") + tail,
		"garbled status":            head + self + strings.ReplaceAll(child("a"), "HTTP/1.1 200 OK", "200") + tail,
		"no property found":         head + self + strings.ReplaceAll(child("a"), "200 OK", "404 Not Found") + tail,
		"properties found twice":    head + self + strings.ReplaceAll(child("a"), childProperties, childProperties+childProperties) + tail,
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, got, err := decode(doc); err == nil {
				t.Errorf("no error; children %q", names(got))
			}
		})
	}
}

func TestListingFailsWhereverItIsCut(t *testing.T) {
	t.Parallel()
	doc := head + self + child("a") + child("b%20c") + tail
	for n := range len(doc) {
		if _, _, err := decode(doc[:n]); err == nil {
			t.Fatalf("no error when cut after %d bytes: …%s", n, doc[max(0, n-40):n])
		}
	}
	if _, got, err := decode(doc); err != nil || len(got) != 2 {
		t.Fatalf("the whole document: %d children, error %v", len(got), err)
	}
}

func TestListingPassesReadErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	doc := head + self + child("a") + tail
	for n := range len(doc) + 1 {
		r := io.MultiReader(strings.NewReader(doc[:n]), iotest.ErrReader(broken))
		_, err := nextcloud.Decode(r, folderPath, 10, func(transfer.Entry) error { return nil })
		if !errors.Is(err, broken) {
			t.Fatalf("broken after %d bytes: got error %v", n, err)
		}
	}
}

func TestListingDoesNotDependOnHowBytesArrive(t *testing.T) {
	t.Parallel()
	doc := head + self + child("a") + child("b&amp;c") + tail + "\n"
	_, want, err := decode(doc)
	if err != nil {
		t.Fatal(err)
	}
	var got []transfer.Entry
	_, err = nextcloud.Decode(iotest.OneByteReader(strings.NewReader(doc)), folderPath, 10, func(e transfer.Entry) error {
		got = append(got, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("byte by byte (-whole +bytes):\n%s", diff)
	}
}

func TestListingThatLooksEmptyIsBelievedOnlyWithIdentity(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		old, put string
		fails    bool
	}{
		"empty":                {"", "", false},
		"no etag":              {"&quot;6b041f587dfd5&quot;", "&quot;&quot;", true},
		"etag without a value": {"&quot;6b041f587dfd5&quot;", "", true},
		"file id -1":           {"618", "-1", true},
		"size -1":              {"<oc:size>1<", "<oc:size>-1<", true},
		"nothing but the type": {self[strings.Index(self, "<d:getlast"):strings.Index(self, "</d:prop>")], "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := strings.Replace(self, tt.old, tt.put, 1)
			if _, _, err := decode(head + folder + tail); (err != nil) != tt.fails {
				t.Errorf("without children: got error %v, want one: %v", err, tt.fails)
			}
			if _, _, err := decode(head + folder + child("a") + tail); err != nil {
				t.Errorf("with a child: got error %v", err)
			}
		})
	}
}

func TestListingYieldsWhatItCanAndFailsWhenAPartIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, part := range []string{
		`<d:status>HTTP/1.1 503 Service Unavailable</d:status>`,
		`<d:propstat><d:prop><d:resourcetype/></d:prop><d:status>HTTP/1.1 503 Service Unavailable</d:status></d:propstat>`,
		`<d:status>HTTP/1.1 401 Unauthorized</d:status>`,
	} {
		doc := head + self + `<d:response><d:href>/remote.php/dav/files/alice/Zero/mount/</d:href>` + part + `</d:response>` + child("a") + tail
		_, got, err := decode(doc)
		if err == nil {
			t.Errorf("no error for %s", part)
		}
		if diff := cmp.Diff([]string{"a"}, names(got)); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	}
}

// endless writes a listing of n entries of the usual size.
func endless(w io.Writer, n int) error {
	if _, err := io.WriteString(w, head+self); err != nil {
		return err
	}
	for i := range n {
		if _, err := io.WriteString(w, typical(i)); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, tail)
	return err
}

// typical is a response as a Nextcloud writes it to our question.
func typical(i int) string {
	return fmt.Sprintf(`<d:response><d:href>/remote.php/dav/files/alice/Zero/holiday%%20picture%%20%06d.jpg</d:href><d:propstat><d:prop>`+
		`<d:resourcetype/><d:getcontentlength>4815162</d:getcontentlength><d:getlastmodified>Sun, 27 Jan 2019 14:39:15 GMT</d:getlastmodified>`+
		`<d:getetag>&quot;c150ddf15522d481ddf411ef3b9e42eb&quot;</d:getetag><d:getcontenttype>image/jpeg</d:getcontenttype>`+
		`<oc:fileid>%d</oc:fileid><oc:size>4815162</oc:size><oc:checksums><oc:checksum>SHA1:666c69c4aac6a761a33430fb5b5db4464d77c430</oc:checksum></oc:checksums>`+
		`<oc:favorite>0</oc:favorite><nc:creation_time>0</nc:creation_time></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>`+
		`<d:propstat><d:prop><nc:is-encrypted/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>`, i, i+1000)
}

func TestListingOf100000EntriesNeedsLittleMemory(t *testing.T) {
	const entries, ceiling = 100_000, 12 << 20
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(endless(w, entries)) }()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	count, most := 0, uint64(0)
	_, err := nextcloud.Decode(r, folderPath, entries, func(transfer.Entry) error {
		if count++; count%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
		}
		return nil
	})
	if err != nil || count != entries {
		t.Fatalf("%d entries, error %v", count, err)
	}
	if most > ceiling {
		t.Errorf("the heap grew by %d bytes, want at most %d", most, ceiling)
	}
}

func TestListingEndsAtItsLimit(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(endless(w, 1_000_000_000)) }()
	count := 0
	_, err := nextcloud.Decode(r, folderPath, 500, func(transfer.Entry) error { count++; return nil })
	_ = r.Close()
	if err == nil || count != 500 {
		t.Errorf("%d entries, error %v; want 500 and an error", count, err)
	}
}

func TestListingStopsAtTheErrorOfYield(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	count := 0
	_, err := nextcloud.Decode(strings.NewReader(head+self+child("a")+child("b")+tail), folderPath, 10, func(transfer.Entry) error {
		count++
		return stop
	})
	if !errors.Is(err, stop) || count != 1 {
		t.Errorf("%d calls, error %v; want 1 and that of yield", count, err)
	}
}

func BenchmarkListing(b *testing.B) {
	const entries = 10_000
	var doc strings.Builder
	if err := endless(&doc, entries); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(doc.Len()))
	b.ReportAllocs()
	for b.Loop() {
		_, err := nextcloud.Decode(strings.NewReader(doc.String()), folderPath, entries, func(transfer.Entry) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
}

// reference is how encoding/xml reads a response.
type reference struct {
	Href     string `xml:"DAV: href"`
	Status   string `xml:"DAV: status"`
	Propstat []struct {
		Status string `xml:"DAV: status"`
		ETag   string `xml:"DAV: prop>getetag"`
		FileID string `xml:"http://owncloud.org/ns prop>fileid"`
	} `xml:"DAV: propstat"`
}

// referenceHrefs reads a document with encoding/xml to its end.
func referenceHrefs(doc string) ([]string, error) {
	var all struct {
		XMLName  xml.Name    `xml:"DAV: multistatus"`
		Response []reference `xml:"DAV: response"`
	}
	d := xml.NewDecoder(strings.NewReader(doc))
	if err := d.Decode(&all); err != nil {
		return nil, err
	}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if text, ok := t.(xml.CharData); !ok || strings.TrimSpace(string(text)) != "" {
			return nil, errors.New("something behind the document")
		}
	}
	var hrefs []string
	for _, r := range all.Response {
		hrefs = append(hrefs, strings.Trim(r.Href, " \t\r\n"))
	}
	return hrefs, nil
}

// FuzzMultistatus holds the scanner against encoding/xml: what it accepts, the
// standard library must accept and read in the same way.
func FuzzMultistatus(f *testing.F) {
	for _, seed := range []string{
		head + self + tail,
		head + self + child("a") + child("b&amp;c&#33;") + tail + "\n",
		head + self + child("caf%c3%a9") + `<x/>` + tail,
		`<multistatus xmlns="DAV:"><response><href>/x</href><status>HTTP/1.1 404 N</status></response></multistatus>`,
		`<a:multistatus xmlns:a='DAV:' ><a:response b = "c" xmlns:a="x"/></a:multistatus >`,
		head + typical(1) + tail,
		"<?xml version=\"1.0\" encoding='UTF-8'?>\r\n" + head[22:] + "\r\n" + tail,
		`<!DOCTYPE x [<!ENTITY a "b">]>` + head[22:] + self + tail,
		head + self + `<![CDATA[x]]><!-- c -->` + tail,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		var got []string
		if err := nextcloud.Responses(strings.NewReader(doc), func(href string, _ int, _ transfer.Entry) {
			got = append(got, href)
		}); err != nil {
			return
		}
		want, err := referenceHrefs(doc)
		if err != nil {
			t.Fatalf("accepted what encoding/xml refuses: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("addresses (-encoding/xml +ours):\n%s", diff)
		}
	})
}

// FuzzListing looks for documents that break what the engine relies on.
func FuzzListing(f *testing.F) {
	f.Add(head + self + child("a") + child("b") + tail)
	f.Add(head + self + child("%2e%2e") + child("a%2fb") + tail)
	f.Add(head + self + child("../x") + child("a//") + tail)
	f.Fuzz(func(t *testing.T, doc string) {
		seen := map[string]bool{}
		_, children, _ := decode(doc)
		for _, e := range children {
			if e.Name == "" || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00") {
				t.Errorf("name %q", e.Name)
			}
			if seen[e.Name] {
				t.Errorf("name %q twice", e.Name)
			}
			seen[e.Name] = true
		}
	})
}
