package nextcloudtest_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/nextcloudtest"
)

// world is a simulator seeded with what one transcript shows.
type world struct {
	t      *testing.T
	srv    *nextcloudtest.Server
	addr   string
	tokens map[string]string // app passwords by login name
	extra  string            // one more app password of alice
	names  []string          // recorded names and what they are here, in pairs

	subPath bool
}

const rightPassword, wrongPassword = "correct horse", "battery staple"

func newWorld(t *testing.T, cfg nextcloudtest.Config) *world {
	t.Helper()
	cfg.Dir = t.TempDir()
	cfg.TrustedHosts = []string{"127.0.0.1:8090", "127.0.0.1:8091", "127.0.0.1:8092", "127.0.0.1:8094"}
	w := &world{t: t, subPath: cfg.SubPath != "", srv: nextcloudtest.New(cfg), extra: "one more token", tokens: map[string]string{
		"alice": "token-a", "bob": "token-b", "dora": "token-d", "bench": "token-e", "admin": "token-f",
	}}
	for _, u := range []nextcloudtest.User{
		{ID: "alice", DisplayName: "Alice Ørsted", Email: "alice@example.org"},
		{ID: "bob", DisplayName: "Bob"},
		{ID: "dora", Disabled: true},
		{ID: "bench"},
		{ID: "admin"},
	} {
		u.Password = rightPassword
		u.AppPasswords = []nextcloudtest.AppPassword{{Token: w.tokens[u.ID]}}
		if u.ID == "alice" {
			u.AppPasswords = append(u.AppPasswords, nextcloudtest.AppPassword{Token: w.extra})
		}
		w.must(w.srv.AddUser(u))
	}
	hs := httptest.NewServer(w.srv)
	t.Cleanup(hs.Close)
	w.addr = hs.Listener.Addr().String()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// file puts a file of a size and time on disk, or offers a big one by rule.
func (w *world) file(user, p string, size int64, mtime string) {
	w.t.Helper()
	if size > 1<<20 {
		w.must(w.srv.AddGenerated(user, p, size, 1))
		return
	}
	w.content(user, p, strings.Repeat("x", int(size)), mtime)
}

func (w *world) content(user, p, text, mtime string) {
	w.t.Helper()
	file := filepath.Join(w.srv.Root(user), filepath.FromSlash(p))
	w.must(os.MkdirAll(filepath.Dir(file), 0o755))
	w.must(os.WriteFile(file, []byte(text), 0o644))
	if at, err := http.ParseTime(mtime); err == nil {
		w.must(os.Chtimes(file, at, at))
	}
}

func (w *world) folder(user, p string) {
	w.t.Helper()
	w.must(os.MkdirAll(filepath.Join(w.srv.Root(user), filepath.FromSlash(p)), 0o755))
}

// zero is the folder that most transcripts look at.
func (w *world) zero() {
	w.file("alice", "Zero/empty.jpg", 0, "Thu, 09 Jun 2016 17:13:34 GMT")
	w.file("alice", "Zero/empty.txt", 0, "Sat, 08 May 2021 07:18:49 GMT")
	w.file("alice", "Zero/one-byte.bin", 1, "Mon, 04 May 2026 09:24:03 GMT")
	w.must(w.srv.SetChecksum("alice", "Zero/empty.jpg", "SHA1:da39a3ee5e6b4b0d3255bfef95601890afd80709"))
}

var listedPath = regexp.MustCompile(`^(?:/nextcloud)?/remote\.php/dav/files/([^/]+)/(.*)$`)

// listed seeds what the listings of a transcript show.
func (w *world) listed(all []exchange) {
	for _, x := range all {
		for p, r := range responses(x.Text) {
			m := listedPath.FindStringSubmatch(p)
			if m == nil || w.srv.Root(m[1]) == "" || m[2] == "" || x.Method == "SEARCH" {
				continue
			}
			if strings.HasSuffix(m[2], "/") {
				w.folder(m[1], m[2])
				continue
			}
			w.seedListed(m[1], m[2], r.values("200"))
		}
	}
}

func (w *world) seedListed(user, p string, props map[string]string) {
	size, err := strconv.ParseInt(props["getcontentlength"], 10, 64)
	if err != nil {
		return
	}
	w.file(user, p, size, props["getlastmodified"])
	if sums := checksumElement.FindAllStringSubmatch(props["checksums"], -1); len(sums) > 0 {
		var all []string
		for _, s := range sums {
			all = append(all, s[1])
		}
		w.must(w.srv.SetChecksum(user, p, strings.Join(all, " ")))
	}
}

var checksumElement = regexp.MustCompile(`<oc:checksum>([^<]*)</oc:checksum>`)

// send replays a request over a connection of its own, byte for byte where the
// recorder kept it.
func (w *world) send(x exchange) answer {
	w.t.Helper()
	body := requestBody(x)
	conn, err := net.Dial("tcp", w.addr)
	w.must(err)
	defer func() { _ = conn.Close() }()
	w.must(conn.SetDeadline(time.Now().Add(2 * time.Minute)))
	var b strings.Builder
	here := strings.NewReplacer(w.names...)
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", x.Method, here.Replace(x.Target))
	for k, vs := range x.Header {
		for _, v := range vs {
			switch k {
			case "Authorization":
				v = w.authorization(x)
			case "Content-Length", "Expect", "Transfer-Encoding":
				continue
			}
			fmt.Fprintf(&b, "%s: %s\r\n", k, here.Replace(v))
		}
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	_, err = conn.Write([]byte(b.String()))
	w.must(err)
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: x.Method})
	w.must(err)
	defer func() { _ = res.Body.Close() }()
	if cl := res.Header.Get("Content-Length"); cl == "" && res.ContentLength > 0 {
		res.Header.Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
	}
	if x.Status == http.StatusOK && x.Size > 1<<20 {
		return answer{res.StatusCode, res.Header, ""} // not worth the time
	}
	return answer{res.StatusCode, res.Header, readAll(res.Body)}
}

var curlUser = regexp.MustCompile(`-u ([^ ]*):<password>`)

// authorization is the recorded login with the kind of password that the title
// tells of, because the recorder left the passwords out.
func (w *world) authorization(x exchange) string {
	if strings.HasPrefix(x.Title, "Bearer") {
		return "Bearer " + w.tokens["alice"]
	}
	name := "alice"
	if all := curlUser.FindAllStringSubmatch(x.Curl, -1); all != nil {
		name = all[len(all)-1][1]
	}
	user := strings.ToLower(strings.TrimSuffix(name, "@example.org"))
	password := w.tokens[user]
	for _, rule := range []struct{ in, use string }{
		{"login password", rightPassword},
		{"auth by email", rightPassword},
		{"LOGIN password", rightPassword},
		{"bad password", wrongPassword},
		{"unknown user", wrongPassword},
		{"token made for login name alice", w.tokens["alice"]},
		{"app password of alice with user bob", w.tokens["alice"]},
		{"new app password", w.extra},
		{"revoked app password", w.extra},
		{"(self-revoke)", w.extra + "2"},
		{"then used again", w.extra + "2"},
		{"WITHOUT filesystem", "no-files"},
		{"email in the path", rightPassword},
	} {
		if strings.Contains(x.Title, rule.in) {
			password = rule.use
		}
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

var inlineBody = regexp.MustCompile(`--data-binary (<\?xml.*?) http://`)

// requestBody rebuilds the bodies that the recorder kept in files of its own.
func requestBody(x exchange) string {
	if m := inlineBody.FindStringSubmatch(x.Curl); m != nil {
		return m[1]
	}
	switch {
	case x.Method == http.MethodPut:
		return "hello"[:min(5, contentLength(x))]
	case strings.Contains(x.Curl, "@propfind.xml"):
		return allProps
	case strings.Contains(x.Curl, "@small.xml"):
		return smallProps
	case strings.Contains(x.Curl, "@tp.xml"):
		return trashProps
	case strings.Contains(x.Curl, "@/dev/fd"):
		return smallProps
	default:
		return ""
	}
}

func contentLength(x exchange) int {
	n, _ := strconv.Atoi(x.Header.Get("Content-Length"))
	return n
}

func propfind(props ...string) string {
	return `<?xml version="1.0"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"><d:prop><` +
		strings.Join(props, "/><") + `/></d:prop></d:propfind>`
}

var (
	smallProps = propfind("d:getlastmodified", "d:getetag", "d:getcontentlength", "d:resourcetype", "oc:fileid", "oc:checksums", "oc:size")
	trashProps = propfind("d:getlastmodified", "d:getcontentlength", "d:resourcetype", "d:getetag", "oc:fileid", "oc:size",
		"nc:trashbin-filename", "nc:trashbin-original-location", "nc:trashbin-deletion-time", "nc:trashbin-title", "nc:trashbin-deleted-by-id")
	allProps = propfind("d:getlastmodified", "d:getetag", "d:getcontentlength", "d:getcontenttype", "d:resourcetype", "d:creationdate",
		"d:displayname", "d:quota-available-bytes", "d:quota-used-bytes", "oc:fileid", "oc:id", "oc:size", "oc:checksums", "oc:permissions",
		"oc:favorite", "oc:tags", "oc:owner-id", "oc:owner-display-name", "oc:share-types", "nc:is-encrypted", "nc:mount-type",
		"nc:creation_time", "nc:upload_time", "nc:has-preview", "nc:contained-folder-count", "nc:contained-file-count", "nc:is-mount-root",
		"nc:metadata_etag", "nc:hidden", "nc:note", "nc:sharees", "nc:lock", "oc:downloadURL", "nc:acl-enabled", "nc:group-folder-id")
)

// replay sends every exchange of a transcript and compares; before is called
// with the title, to bring the world to where the recorder had it.
func replay(t *testing.T, name string, w *world, before map[string]func(*world)) {
	t.Helper()
	compared := 0
	for _, x := range readTranscript(t, name) {
		if f, ok := before[x.Title]; ok {
			f(w)
		}
		subPath := strings.HasPrefix(x.Title, "subpath: ")
		if unusual(x) || skipped(name, x.Title) || subPath != w.subPath {
			continue
		}
		compared++
		got := w.send(x)
		w.learn(x, got)
		for _, diff := range known(name, x.Title, differences(x, got, wideListing(x))) {
			t.Errorf("%s: %q: %s", name, x.Title, diff)
		}
	}
	t.Logf("%s: %d exchanges compared", name, compared)
	if compared == 0 {
		t.Errorf("%s: nothing was compared", name)
	}
}

// learn remembers under which etags and trash names the simulator has what the
// recordings name otherwise.
func (w *world) learn(x exchange, got answer) {
	if theirs, ours := x.Answer.Get("Etag"), got.header.Get("Etag"); theirs != "" && ours != "" {
		w.names = append(w.names, strings.TrimPrefix(theirs, "W/"), strings.TrimPrefix(ours, "W/"))
	}
	trash, err := os.ReadDir(filepath.Join(filepath.Dir(w.srv.Root("alice")), "trash"))
	w.must(err)
	for _, theirs := range trashName.FindAllString(x.Text, -1) {
		for _, e := range trash {
			if strings.TrimRight(e.Name(), "0123456789") == strings.TrimRight(theirs, "0123456789") {
				w.names = append(w.names, theirs, e.Name())
			}
		}
	}
}

var trashName = regexp.MustCompile(`[A-Za-z.-]+\.d\d{10}`)

func wideListing(x exchange) bool {
	u, err := url.Parse(x.Target)
	return err == nil && (u.Path == "/remote.php/dav/files/alice/" || u.Path == "/remote.php/dav/files/alice@example.org/")
}
