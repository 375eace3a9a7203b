package nextcloudtest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// answerHostile gives a listing that no honest server would give.
func (s *Server) answerHostile(w http.ResponseWriter, r *http.Request, f *Fault) {
	h := w.Header()
	s.setListingHeaders(h, false)
	h.Set("Content-Type", typeXML)
	w.WriteHeader(http.StatusMultiStatus)
	self := encodePath(strings.TrimSuffix(r.URL.Path, "/") + "/")
	switch {
	case f.MalformedMultistatus:
		_, _ = io.WriteString(w, multistatusHead+hostileFolder(self)+hostileFile(self+"a.txt")+"<d:response><d:href>"+self+"b.t<d:oops")
	case f.XMLBomb:
		_, _ = io.WriteString(w, bomb(self))
	case f.HostileHrefs:
		_, _ = io.WriteString(w, multistatusHead+hostileFolder(self))
		for _, href := range hostileHrefs(self, r.Host) {
			_, _ = io.WriteString(w, hostileFile(href))
		}
		_, _ = io.WriteString(w, multistatusTail)
	default:
		_, _ = io.WriteString(w, multistatusHead+hostileFolder(self))
		for n := 0; r.Context().Err() == nil; n++ {
			if _, err := io.WriteString(w, hostileFile(self+numbered("endless", n, ".bin"))); err != nil {
				return
			}
		}
	}
	flush(w)
}

const hostileProps = "<d:getlastmodified>Mon, 23 Nov 2026 11:11:20 GMT</d:getlastmodified><d:getetag>&quot;0badc0de&quot;</d:getetag><oc:fileid>666</oc:fileid>"

func hostileFolder(href string) string {
	return "<d:response><d:href>" + href + "</d:href><d:propstat><d:prop>" + hostileProps +
		"<d:resourcetype><d:collection/></d:resourcetype><oc:size>1</oc:size></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
}

func hostileFile(href string) string {
	return "<d:response><d:href>" + string(appendText(nil, href)) + "</d:href><d:propstat><d:prop>" + hostileProps +
		"<d:resourcetype/><d:getcontentlength>1</d:getcontentlength><oc:size>1</oc:size></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
}

// hostileHrefs lead out of the folder that was listed, in all the ways that a
// careless client would follow.
func hostileHrefs(self, host string) []string {
	return []string{
		self + "../escape.txt",
		self + "%2e%2e/escape.txt",
		self + "..%2f..%2fescape.txt",
		self + "deeper/below.txt",
		self + "nul%00byte.txt",
		self + "%zz.txt",
		self + "%ff%fe.txt",
		"../../../../etc/passwd",
		"/etc/passwd",
		"//evil.example/" + strings.TrimPrefix(self, "/") + "x.txt",
		"http://evil.example" + self + "x.txt",
		"http://" + host + "/remote.php/dav/files/somebody-else/x.txt",
		"",
		self,
		self + "honest.txt",
	}
}

// bomb doubles an entity until it would fill any memory.
func bomb(self string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n<!DOCTYPE bomb [\n<!ENTITY b0 \"boom\">\n")
	for i := range 30 {
		b.WriteString("<!ENTITY b" + strconv.Itoa(i+1) + " \"&b" + strconv.Itoa(i) + ";&b" + strconv.Itoa(i) + ";\">\n")
	}
	b.WriteString("]>\n<d:multistatus xmlns:d=\"DAV:\"><d:response><d:href>" + self + "&b30;</d:href></d:response></d:multistatus>")
	return b.String()
}
