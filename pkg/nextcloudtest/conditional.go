package nextcloudtest

import (
	"net/http"
	"strconv"
	"strings"
)

// requestedPart reads the Range header the way sabre/dav does: one range only,
// none on an empty file, If-Range by etag or date.
func requestedPart(r *http.Request, e entry, etag string) (part, error) {
	whole := part{length: e.size}
	spec, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok || e.size == 0 || !ifRange(r, e, etag) {
		return whole, nil
	}
	first, last, ok := strings.Cut(spec, "-")
	from, errFrom := strconv.ParseInt(first, 10, 64)
	to, errTo := strconv.ParseInt(last, 10, 64)
	switch {
	case !ok || (first == "" && last == "") || (first != "" && errFrom != nil) || (last != "" && errTo != nil):
		return whole, nil
	case first == "":
		from, to = max(e.size-to, 0), e.size-1
	case last == "":
		to = e.size - 1
	}
	switch {
	case from >= e.size:
		return part{}, notSatisfiable("The start offset (" + first + ") exceeded the size of the entity (" + strconv.FormatInt(e.size, 10) + ")")
	case to < from:
		return part{}, notSatisfiable("The end offset (" + last + ") is lower than the start offset (" + first + ")")
	}
	to = min(to, e.size-1)
	return part{from: from, length: to - from + 1, partial: true}, nil
}

func notSatisfiable(message string) *davError {
	return &davError{http.StatusRequestedRangeNotSatisfiable, `Sabre\DAV\Exception\RequestedRangeNotSatisfiable`, message, ""}
}

func ifRange(r *http.Request, e entry, etag string) bool {
	want := r.Header.Get("If-Range")
	if want == "" || want == etag {
		return true
	}
	at, err := http.ParseTime(want)
	return err == nil && !modified(e, at)
}

// preconditions answers 304 itself and gives 412 as an error.
func preconditions(w http.ResponseWriter, r *http.Request, e entry, etag string) (done bool, err error) {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if want := r.Header.Get("If-Match"); want != "" && !listed(want, etag) {
		w.Header()["Etag"] = []string{etag}
		return false, precondition("An If-Match header was specified, but none of the specified ETags matched.", "If-Match")
	}
	if avoid := r.Header.Get("If-None-Match"); avoid != "" {
		switch {
		case !listed(avoid, etag):
		case read:
			w.Header()["Etag"] = []string{etag}
			w.WriteHeader(http.StatusNotModified)
			return true, nil
		default:
			return false, precondition("An If-None-Match header was specified, but the ETag matched (or * was specified).", "If-None-Match")
		}
	} else if at, err := http.ParseTime(r.Header.Get("If-Modified-Since")); err == nil && read && !modified(e, at) {
		w.Header()["Last-Modified"] = []string{e.mtime.UTC().Format(httpTime)}
		w.WriteHeader(http.StatusNotModified)
		return true, nil
	}
	if at, err := http.ParseTime(r.Header.Get("If-Unmodified-Since")); err == nil && modified(e, at) {
		return false, precondition("An If-Unmodified-Since header was specified, but the entity has been changed since the specified date.", "If-Unmodified-Since")
	}
	return false, nil
}

// modified compares by the second, as HTTP dates do.
func modified(e entry, since interface{ Unix() int64 }) bool {
	return e.mtime.Unix() > since.Unix()
}

// listed compares strongly: a weak etag matches nothing.
func listed(header, etag string) bool {
	for item := range strings.SplitSeq(header, ",") {
		if item = strings.TrimSpace(item); item == "*" || item == etag {
			return true
		}
	}
	return false
}
