package nextcloudtest

import (
	"errors"
	"net/http"
	"strconv"
)

// davError is an error as sabre/dav puts it in XML.
type davError struct {
	status    int
	exception string
	message   string
	extra     string // further elements, as XML
}

func (e *davError) Error() string { return e.exception + ": " + e.message }

// Exceptions that mean something to a client; faults may name others.
const (
	ExceptionMaintenance = `OCA\DAV\Exception\ServerMaintenanceMode`
	ExceptionUnavailable = `Sabre\DAV\Exception\ServiceUnavailable`
	ExceptionLocked      = `OCA\DAV\Connector\Sabre\Exception\FileLocked`
	ExceptionNotFound    = `Sabre\DAV\Exception\NotFound`
	ExceptionForbidden   = `Sabre\DAV\Exception\Forbidden`
)

const (
	hintThrottled = "\n  <o:hint xmlns:o=\"o:\">too many requests</o:hint>"
	hintPassword  = "\n  <o:hint xmlns:o=\"o:\">password login forbidden</o:hint>"

	noDownload      = "Access to this shared resource has been denied because its download permission is disabled."
	noDownloadExtra = "\n  <o:retry xmlns:o=\"o:\">false</o:retry>\n  <o:reason xmlns:o=\"o:\">" + noDownload + "</o:reason>"

	wrongPassword = "No public access to this resource., AppAPIAuth has not passed, This request is not for a federated calendar, Username or password was incorrect, No 'Authorization: Bearer' header found. Either the client didn't send one, or the server is mis-configured, Username or password was incorrect"
	noPassword    = "No public access to this resource., AppAPIAuth has not passed, This request is not for a federated calendar, No 'Authorization: Basic' header found. Either the client didn't send one, or the server is misconfigured, No 'Authorization: Bearer' header found. Either the client didn't send one, or the server is mis-configured, No 'Authorization: Basic' header found. Either the client didn't send one, or the server is misconfigured"

	typeErrorText = "A type error occurred. For more details, please refer to the logs, which provide additional context about the type error."
	encodingText  = "An exception occurred while executing a query: SQLSTATE[22021]: Character not in repertoire: 7 ERROR:  invalid byte sequence for encoding \"UTF8\": 0xe9 0x2e 0x74\nCONTEXT:  unnamed portal parameter $8"
)

var (
	errMaintenance = &davError{http.StatusServiceUnavailable, ExceptionMaintenance, "System is in maintenance mode.", ""}
	errEncoding    = &davError{http.StatusInternalServerError, `OC\DB\Exceptions\DbalException`, encodingText, ""}
	errType        = &davError{http.StatusInternalServerError, "TypeError", typeErrorText, ""}
	errNoDownload  = &davError{http.StatusForbidden, `OCA\DAV\Connector\Sabre\Exception\Forbidden`, noDownload, noDownloadExtra}
	// As the listener of files_sharing 32.0.2 has it: one member denies all of them.
	errArchiveDenied = &davError{http.StatusForbidden, `Sabre\DAV\Exception\Forbidden`, "Access to this resource or one of its sub-items has been denied.", ""}
	errArchiveGone   = &davError{http.StatusServiceUnavailable, ExceptionUnavailable, "Requested file can currently not be accessed.", ""}
)

func davRefusal(why refusal) *davError {
	switch why {
	case refusedAnonymous:
		return &davError{http.StatusUnauthorized, `Sabre\DAV\Exception\NotAuthenticated`, noPassword, ""}
	case refusedPasswordLogin:
		return &davError{http.StatusUnauthorized, `OCA\DAV\Connector\Sabre\Exception\PasswordLoginForbidden`, "", hintPassword}
	case refusedThrottled:
		return &davError{http.StatusTooManyRequests, `OCA\DAV\Connector\Sabre\Exception\TooManyRequests`, "", hintThrottled}
	case refusedDisabledInUse:
		return unavailable(`OC\User\DisabledUserException: Account disabled`)
	default:
		return &davError{http.StatusUnauthorized, `Sabre\DAV\Exception\NotAuthenticated`, wrongPassword, ""}
	}
}

func notFound(message string) *davError {
	return &davError{http.StatusNotFound, ExceptionNotFound, message, ""}
}

// notLocated has two slashes, as the server's message has.
func notLocated(p string) *davError {
	return notFound("File with name //" + p + " could not be located")
}

func forbidden(message string) *davError {
	return &davError{http.StatusForbidden, ExceptionForbidden, message, ""}
}

func unavailable(message string) *davError {
	return &davError{http.StatusServiceUnavailable, ExceptionUnavailable, message, ""}
}

func notAvailable(m Mount) *davError {
	return unavailable("Storage with mount id " + strconv.FormatInt(m.id, 10) + " is not available")
}

func badRequest(message string) *davError {
	return &davError{http.StatusBadRequest, `Sabre\DAV\Exception\BadRequest`, message, ""}
}

func conflict(message string) *davError {
	return &davError{http.StatusConflict, `Sabre\DAV\Exception\Conflict`, message, ""}
}

func precondition(message, header string) *davError {
	return &davError{
		http.StatusPreconditionFailed, `Sabre\DAV\Exception\PreconditionFailed`, message,
		"\n  <s:header>" + header + "</s:header>",
	}
}

func unwilling(method string) *davError {
	return &davError{
		http.StatusNotImplemented, `Sabre\DAV\Exception\NotImplemented`,
		"There was no plugin in the system that was willing to handle this " + method + " method.", "",
	}
}

func fileLocked(p, locks string) *davError {
	return &davError{
		http.StatusLocked, ExceptionLocked,
		`"/` + p + `" is locked, existing lock on file: ` + locks, "",
	}
}

// xml renders an error as the server does, byte for byte.
func (e *davError) xml() string {
	b := []byte("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<d:error xmlns:d=\"DAV:\" xmlns:s=\"http://sabredav.org/ns\"")
	if len(e.extra) > 4 && e.extra[3:5] == "<o" {
		b = append(b, " xmlns:o=\"http://owncloud.org/ns\""...)
	}
	b = append(b, ">\n  <s:exception>"...)
	b = appendText(b, e.exception)
	b = append(b, "</s:exception>\n  "...)
	if e.message == "" {
		b = append(b, "<s:message/>"...)
	} else {
		b = append(b, "<s:message>"...)
		b = appendMessage(b, e.message)
		b = append(b, "</s:message>"...)
	}
	b = append(b, e.extra...)
	return string(append(b, "\n</d:error>\n"...))
}

// writeError answers with an error; one that is not the server's own is a 500.
func writeError(w http.ResponseWriter, err error) {
	var e *davError
	if !errors.As(err, &e) {
		e = &davError{http.StatusInternalServerError, "Exception", "An internal error occurred", ""}
	}
	h := w.Header()
	for _, k := range []string{"Content-Length", "X-Debug-Token", "Content-Encoding"} {
		delete(h, k)
	}
	if e.status == http.StatusUnauthorized && e.extra == "" {
		h.Set("Www-Authenticate", `Basic realm="Nextcloud", charset="UTF-8"`)
	}
	writeChunked(w, e.status, typeXML, e.xml())
}
