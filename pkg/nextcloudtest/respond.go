package nextcloudtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	typeJSON = "application/json; charset=utf-8"
	typeXML  = "application/xml; charset=utf-8"
	typeHTML = "text/html; charset=UTF-8"
)

// gzipMin is from which size on the recorded nginx compresses.
const gzipMin = 256

func setCommonHeaders(h http.Header, id string, version int) {
	h["Server"] = []string{"nginx/1.22.1"}
	h["Content-Security-Policy"] = []string{"default-src 'none';"}
	h["X-Request-Id"] = []string{id}
	h["X-Debug-Token"] = []string{id}
	if version < Version32 {
		h["Expires"] = []string{"Thu, 19 Nov 1981 08:52:00 GMT"}
		h["Cache-Control"] = []string{"no-store, no-cache, must-revalidate"}
		h["Pragma"] = []string{"no-cache"}
		h["Referrer-Policy"] = []string{"no-referrer"}
		h["X-Content-Type-Options"] = []string{"nosniff"}
		h["X-Frame-Options"] = []string{"SAMEORIGIN"}
	}
}

// writeSized answers with a Content-Length.
func writeSized(w http.ResponseWriter, status int, contentType, body string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that went away is no concern of ours
}

// writeChunked answers without a Content-Length, as everything does that PHP
// writes without counting first.
func writeChunked(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	switch status {
	case http.StatusOK, http.StatusForbidden, http.StatusNotFound:
		// the recorded nginx compresses these, and says so
		w.Header()["Vary"] = append([]string{"Accept-Encoding"}, w.Header()["Vary"]...)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	flush(w)
}

// flush sends what there is, which also keeps net/http from counting the body.
func flush(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush() // not every writer can
}

func writeNginx(w http.ResponseWriter, status int) {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	body := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
	h := w.Header()
	for _, k := range []string{"Content-Security-Policy", "X-Request-Id", "X-Debug-Token"} {
		delete(h, k)
	}
	writeSized(w, status, "text/html", body)
}

func writePage(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", typeHTML)
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html>\n<html lang=\"en\">\n\t<head><title>Nextcloud</title></head>\n\t<body><p>%s</p></body>\n</html>\n", text)
	flush(w)
}

// servePages answers what is neither OCS nor WebDAV: the web interface, as far
// as a client can run into it by mistake.
func (s *Server) servePages(w http.ResponseWriter, r *http.Request, rel string) {
	rel, _ = strings.CutPrefix(rel, "/index.php")
	switch {
	case s.maintenance.Load():
		w.Header().Set("X-Nextcloud-Maintenance-Mode", "1")
		w.Header().Set("Retry-After", "120")
		writePage(w, http.StatusServiceUnavailable, "This Nextcloud instance is currently in maintenance mode.")
	case rel == "/apps/files/ajax/download.php":
		s.serveOldDownload(w, r)
	case rel == "" || rel == "/":
		w.Header().Set("Location", "http://"+r.Host+s.base+"/login")
		w.Header().Set("Content-Type", typeHTML)
		w.WriteHeader(http.StatusFound)
		flush(w)
	case rel == "/login":
		writePage(w, http.StatusOK, "Log in to Nextcloud")
	default:
		writeChunked(w, http.StatusNotFound, typeHTML, "")
	}
}

// serveStatus needs no login and works in maintenance mode too.
func (s *Server) serveStatus(w http.ResponseWriter) {
	v := s.version()
	body, _ := json.Marshal(map[string]any{ // of plain values: cannot fail
		"installed":       true,
		"maintenance":     s.maintenance.Load(),
		"needsDbUpgrade":  false,
		"version":         v.long,
		"versionstring":   v.short,
		"edition":         "",
		"productname":     "Nextcloud",
		"extendedSupport": false,
	})
	w.Header().Set("Access-Control-Allow-Origin", "*")
	writeChunked(w, http.StatusOK, "application/json", string(body))
}

type version struct {
	major, minor, micro int
	short, long         string
}

func (s *Server) version() version {
	if s.cfg.Version == Version24 {
		return version{24, 0, 12, "24.0.12", "24.0.12.1"}
	}
	return version{32, 0, 1, "32.0.1", "32.0.1.2"}
}
