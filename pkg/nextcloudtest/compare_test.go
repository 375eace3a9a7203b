package nextcloudtest_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// headers whose values must be equal, and those that must be there alike.
var (
	equalHeaders = []string{
		"Content-Type", "Content-Range", "Www-Authenticate", "Dav", "Allow", "X-User-Id", "X-Nextcloud-Maintenance-Mode",
		"Retry-After", "Accept-Ranges", "Content-Encoding", "Oc-Checksum", "Content-Disposition", "Ms-Author-Via",
		"Pragma", "Expires", "Content-Transfer-Encoding", "Vary",
	}
	likeHeaders = []string{"Content-Length", "Etag", "Oc-Etag", "Last-Modified", "Oc-Fileid", "Location"}
)

// steady properties have the same value on every server with the same files.
var steady = []string{
	"resourcetype", "getcontenttype", "getcontentlength", "permissions", "favorite", "mount-type", "is-mount-root",
	"hidden", "owner-id", "displayname", "creationdate", "creation_time", "has-preview", "owner-display-name",
	"checksums", "trashbin-filename", "trashbin-original-location", "trashbin-deleted-by-id",
}

// answer is what the simulator said to a replayed request.
type answer struct {
	status int
	header http.Header
	body   string
}

// differences between a recorded answer and the simulator's; ignored headers
// are those that the deviation table names.
func differences(x exchange, a answer, wide bool) []string {
	if a.status != x.Status {
		return []string{fmt.Sprintf("status %d, recorded %d", a.status, x.Status)}
	}
	diffs := headerDifferences(x, a)
	switch kind, _, _ := strings.Cut(x.Answer.Get("Content-Type"), ";"); {
	case x.Method == http.MethodHead, x.Answer.Get("Content-Encoding") != "":
	case kind == "application/json":
		diffs = append(diffs, jsonDifferences(x, a)...)
	case kind == "application/xml" && strings.Contains(x.Text, "<d:error"):
		diffs = append(diffs, errorDifferences(x.Text, a.body)...)
	case kind == "application/xml" && strings.Contains(x.Text, "<d:multistatus"):
		diffs = append(diffs, listingDifferences(x, a.body, wide)...)
	case kind == "application/xml" || kind == "text/xml":
		diffs = append(diffs, shapeDifferences(x.Text, a.body)...)
	case kind != "text/html" && x.Size <= 1<<20 && len(a.body) != x.Size:
		diffs = append(diffs, fmt.Sprintf("body of %d bytes, recorded %d", len(a.body), x.Size))
	}
	return diffs
}

func headerDifferences(x exchange, a answer) (diffs []string) {
	for _, k := range equalHeaders {
		want, got := strings.Join(x.Answer.Values(k), ", "), strings.Join(a.header.Values(k), ", ")
		if want != got {
			diffs = append(diffs, fmt.Sprintf("header %s: %q, recorded %q", k, got, want))
		}
	}
	for _, k := range likeHeaders {
		_, want := x.Answer[k]
		_, got := a.header[k]
		if k == "Content-Length" && x.Status == http.StatusNoContent {
			continue // net/http takes it away, as the RFC demands
		}
		if want != got {
			diffs = append(diffs, fmt.Sprintf("header %s present: %v, recorded %v", k, got, want))
		}
	}
	if strings.HasPrefix(x.Answer.Get("Etag"), "W/") != strings.HasPrefix(a.header.Get("Etag"), "W/") {
		diffs = append(diffs, "only one etag is weak")
	}
	if (x.Status == http.StatusOK || x.Status == http.StatusPartialContent) && x.Answer.Get("Oc-Etag") != "" {
		if want, got := x.Answer.Get("Content-Length"), a.header.Get("Content-Length"); want != got {
			diffs = append(diffs, fmt.Sprintf("Content-Length %s, recorded %s", got, want))
		}
	}
	return diffs
}

func jsonDifferences(x exchange, a answer) []string {
	if x.Cut {
		return nil
	}
	var want, got any
	if err := json.Unmarshal([]byte(x.Text), &want); err != nil {
		return nil // redacted beyond repair
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		return []string{"not JSON: " + err.Error()}
	}
	return jsonShape("", want, got)
}

// jsonShape compares keys and types, and the values of the OCS meta.
func jsonShape(at string, want, got any) (diffs []string) {
	wm, ok := want.(map[string]any)
	if !ok {
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) && !(at == ".ocs.data.email" || strings.HasSuffix(at, ".used")) {
			return []string{fmt.Sprintf("%s is %T, recorded %T", at, got, want)}
		}
		if strings.HasPrefix(at, ".ocs.meta.") && want != got {
			return []string{fmt.Sprintf("%s is %v, recorded %v", at, got, want)}
		}
		return nil
	}
	gm, ok := got.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s is %T, recorded an object", at, got)}
	}
	for k := range wm {
		if _, ok := gm[k]; !ok {
			diffs = append(diffs, at+"."+k+" is missing")
			continue
		}
		diffs = append(diffs, jsonShape(at+"."+k, wm[k], gm[k])...)
	}
	for k := range gm {
		if _, ok := wm[k]; !ok {
			diffs = append(diffs, at+"."+k+" was not recorded")
		}
	}
	return diffs
}

var mountID = regexp.MustCompile(`mount id \d+`)

func errorDifferences(want, got string) (diffs []string) {
	for _, tag := range []string{"s:exception", "s:message", "s:header", "o:hint", "o:reason"} {
		w, g := element(want, tag), element(got, tag)
		w, g = mountID.ReplaceAllString(w, "mount id N"), mountID.ReplaceAllString(g, "mount id N")
		if w != g && !(w == "" && !strings.Contains(want, "</d:error>")) {
			diffs = append(diffs, fmt.Sprintf("%s %q, recorded %q", tag, g, w))
		}
	}
	return diffs
}

func element(doc, tag string) string {
	_, rest, ok := strings.Cut(doc, "<"+tag)
	if !ok {
		return ""
	}
	_, rest, _ = strings.Cut(rest, ">")
	text, _, ok := strings.Cut(rest, "</"+tag+">")
	if !ok {
		return ""
	}
	return text
}

// shapeDifferences compares the element names in their order.
func shapeDifferences(want, got string) []string {
	if w, g := elementNames(want), elementNames(got); !slices.Equal(w, g) {
		return []string{fmt.Sprintf("elements %v, recorded %v", g, w)}
	}
	return nil
}

func elementNames(doc string) (names []string) {
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		t, err := d.Token()
		if err != nil {
			return names
		}
		if s, ok := t.(xml.StartElement); ok {
			names = append(names, s.Name.Local)
		}
	}
}

// recorded is one response of a multistatus.
type recorded struct {
	Href     string `xml:"DAV: href"`
	Propstat []struct {
		Status string `xml:"DAV: status"`
		Prop   struct {
			Items []struct {
				XMLName xml.Name
				Inner   string `xml:",innerxml"`
			} `xml:",any"`
		} `xml:"DAV: prop"`
	} `xml:"DAV: propstat"`
}

// responses reads as many as the recorder kept, by decoded path.
func responses(doc string) map[string]recorded {
	all := make(map[string]recorded)
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		t, err := d.Token()
		if err != nil {
			return all
		}
		s, ok := t.(xml.StartElement)
		if !ok || s.Name.Local != "response" {
			continue
		}
		var r recorded
		if err := d.DecodeElement(&r, &s); err != nil {
			return all
		}
		r.Href = trashTime.ReplaceAllString(r.Href, ".d0$1")
		p, err := url.PathUnescape(r.Href)
		if err == nil {
			all[p] = r
		}
	}
}

// trashTime is what no two runs have alike.
var trashTime = regexp.MustCompile(`\.d\d{10}(/|$)`)

func (r recorded) values(status string) map[string]string {
	values := make(map[string]string)
	for _, ps := range r.Propstat {
		if !strings.Contains(ps.Status, status) {
			continue
		}
		for _, item := range ps.Prop.Items {
			values[item.XMLName.Local] = item.Inner
		}
	}
	return values
}

// listingDifferences compares the responses of two listings. A wide one holds
// more of the recorded account than the test has seeded.
func listingDifferences(x exchange, got string, wide bool) (diffs []string) {
	want, have := responses(x.Text), responses(got)
	if !wide && !x.Cut && len(want) != len(have) {
		diffs = append(diffs, fmt.Sprintf("%d responses, recorded %d", len(have), len(want)))
	}
	for p, w := range want {
		g, ok := have[p]
		if !ok {
			if !wide {
				diffs = append(diffs, "no response for "+p)
			}
			continue
		}
		if w.Href != g.Href {
			diffs = append(diffs, fmt.Sprintf("href %s, recorded %s", g.Href, w.Href))
		}
		diffs = append(diffs, propDifferences(p, w, g)...)
	}
	sort.Strings(diffs)
	return diffs
}

func propDifferences(p string, w, g recorded) (diffs []string) {
	for _, status := range []string{"200", "404"} {
		wv, gv := w.values(status), g.values(status)
		for k := range wv {
			if _, ok := gv[k]; !ok {
				diffs = append(diffs, fmt.Sprintf("%s: %s is not in the %s propstat", p, k, status))
			}
		}
		for k := range gv {
			if _, ok := wv[k]; !ok {
				diffs = append(diffs, fmt.Sprintf("%s: %s should not be in the %s propstat", p, k, status))
			}
		}
		for _, k := range steady {
			if wv[k] != gv[k] {
				diffs = append(diffs, fmt.Sprintf("%s: %s %q, recorded %q", p, k, gv[k], wv[k]))
			}
		}
	}
	return diffs
}

func readAll(r io.Reader) string {
	b, _ := io.ReadAll(r) // a cut body is part of what is compared
	return string(b)
}
