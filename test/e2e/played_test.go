package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
)

// playNextcloud answers as the server did that the recording was made with.
func playNextcloud(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/remote.php/dav/") {
		playEmptyHome(w, r)
		return
	}
	login, _, _ := r.BasicAuth()
	switch login {
	case "bad":
		w.WriteHeader(http.StatusUnauthorized)
	case "forbid":
		w.WriteHeader(http.StatusForbidden)
	case "err500":
		w.WriteHeader(http.StatusInternalServerError)
	case "maint":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "notjson":
		_, _ = fmt.Fprint(w, "<html></html>")
	case "redir":
		http.Redirect(w, r, "/login", http.StatusFound)
	case "noid":
		_, _ = fmt.Fprint(w, `{"ocs":{"data":{}}}`)
	default:
		_, _ = fmt.Fprintf(w, `{"ocs":{"data":{"id":"%s_uid"}}}`, login)
	}
}

// playEmptyHome is all that the recording's deletion met.
func playEmptyHome(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.WriteHeader(http.StatusMultiStatus)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:response><d:href>%s</d:href>`+
		`<d:propstat><d:prop><d:getetag>"e1"</d:getetag><d:resourcetype><d:collection/></d:resourcetype><oc:fileid>1</oc:fileid>`+
		`<oc:size>0</oc:size><oc:permissions>RGDNVCK</oc:permissions></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>`,
		r.URL.EscapedPath())
}
