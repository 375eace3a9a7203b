package cozy

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxFault bounds what is read of an error's body.
const maxFault = 64 << 10

// readFault turns an answer other than success into an Error and reads its body
// to the end where that is near, so that the connection can be used again.
func readFault(op string, res *http.Response) *Error {
	// A body that can't be read leaves less to go by, the status stays true.
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxFault))
	said := parseFault(body)
	return &Error{
		Op:         op,
		Status:     res.StatusCode,
		Code:       short(said.code),
		RetryAfter: retryAfter(res.Header.Get("Retry-After"), time.Now()),
		kind:       kindOf(res, said),
	}
}

type shape int

const (
	shapeText  shape = iota // plain text or anything else
	shapeAPI                // {"errors":[…]} or a bare array: the JSON:API routes
	shapeData               // {"error":"…","reason":"…"}: the data routes
	shapeEmpty              // {"error":{}}: an unknown instance, asked by a JSON client
)

type fault struct {
	shape  shape
	code   string
	about  string // the request's header or parameter that is to blame, of the JSON:API routes
	reason string // of the data routes; CouchDB's word, compared and never shown
}

// parseFault understands the four shapes in which the stack reports errors.
func parseFault(body []byte) fault {
	var list []apiFault
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		return fault{shape: shapeAPI, code: list[0].Title, about: list[0].Source.Parameter}
	}
	var object struct {
		Errors []apiFault      `json:"errors"`
		Error  json.RawMessage `json:"error"`
		Reason string          `json:"reason"`
	}
	if json.Unmarshal(body, &object) != nil {
		return fault{shape: shapeText, code: strings.TrimSpace(string(body))}
	}
	var word string
	switch {
	case len(object.Errors) > 0:
		return fault{shape: shapeAPI, code: object.Errors[0].Title, about: object.Errors[0].Source.Parameter}
	case json.Unmarshal(object.Error, &word) == nil:
		return fault{shape: shapeData, code: plainWord(word), reason: object.Reason}
	case string(object.Error) == "{}":
		return fault{shape: shapeEmpty}
	}
	return fault{shape: shapeText}
}

type apiFault struct {
	Title  string `json:"title"`
	Source struct {
		Parameter string `json:"parameter"`
	} `json:"source"`
}

// plainWord takes the word out of the data routes' "code=403, message=Forbidden"
// and "Bad Request(400): …".
func plainWord(s string) string {
	if rest, ok := strings.CutPrefix(s, "code="); ok {
		_, word, _ := strings.Cut(rest, "message=")
		return word
	}
	if word, _, ok := strings.Cut(s, "("); ok {
		return word
	}
	return s
}

// short lets through only what looks like a word of a protocol: a code goes to
// logs, and free text may hold paths or values.
func short(code string) string {
	const most = 48
	if len(code) > most {
		return ""
	}
	for _, r := range code {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		if !letter && r != ' ' && r != '_' && r != '-' {
			return ""
		}
	}
	return code
}

func kindOf(res *http.Response, said fault) kind {
	switch res.StatusCode {
	case http.StatusUnauthorized:
		// About a token the framework speaks, in plain text; in this shape it is
		// the routes to a Nextcloud alone that answer 401.
		if said.shape == shapeAPI {
			return kindRemoteRefused
		}
		return kindTokenFault
	case http.StatusBadRequest:
		return kindOfBadRequest(res.Header, said)
	case http.StatusPaymentRequired:
		return kindBlocked
	case http.StatusNotFound:
		return kindOfNotFound(said)
	case http.StatusPreconditionFailed:
		switch said.about {
		case "If-Match":
			return kindStale
		case "Content-MD5":
			return kindMangled
		}
	case http.StatusRequestEntityTooLarge:
		if said.shape == shapeAPI {
			return kindTooLarge
		}
	case http.StatusInternalServerError:
		return kindOfServerError(said)
	case http.StatusServiceUnavailable:
		// For want of a payment it is 402, for any other reason and for none it is this.
		if said.shape == shapeAPI && said.code == "Blocked" {
			return kindBlocked
		}
	}
	return kindOther
}

func kindOfServerError(said fault) kind {
	switch {
	case said.shape == shapeAPI && said.code == "Unqualified error":
		return kindUnqualified
	case said.shape == shapeAPI && said.code == http.StatusText(http.StatusInternalServerError):
		return kindRemoteFault
	}
	return kindOther
}

func kindOfBadRequest(header http.Header, said fault) kind {
	if strings.Contains(header.Get("Www-Authenticate"), "invalid_token") {
		return kindTokenFault
	}
	switch said.code {
	case "Expired token", "Invalid JWT token", "Invalid token":
		return kindTokenFault
	case "Permission scope is empty or malformed":
		return kindScope
	}
	return kindOther
}

// kindOfNotFound trusts only what the stack itself says about an absence: the
// 404 of a proxy in front of it must not end a migration.
func kindOfNotFound(said fault) kind {
	switch {
	case said.shape == shapeEmpty, said.shape == shapeText && said.code == "Instance not found":
		return kindInstanceGone
	case said.shape == shapeAPI && said.code == "not_found":
		// The file system says "Not Found"; this is the database speaking,
		// which misses the document with the application's permissions.
		return kindAppMissing
	case said.shape == shapeAPI:
		return kindAbsent
	case said.shape == shapeData && said.code == "not_found":
		switch said.reason {
		case "missing", "deleted", "wrong_doctype", "no_db_file", "Database does not exist.":
			return kindAbsent
		}
		return kindAppMissing
	}
	return kindOther
}

// retryAfter reads both forms of the header, seconds and date.
func retryAfter(value string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	var wait time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), most)
}
