package nextcloudtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Fault spoils the answers to the requests that it matches. The fields under
// "before", "instead" and "while" may be combined as far as that makes sense.
//
// A request meets every fault that matches: delays add up, and of those that
// change the answer the one that was injected first counts, the others wait for
// the next request.
type Fault struct {
	// Method that is matched; empty means every method.
	Method string `json:"method,omitempty"`
	// PathPrefix of the decoded request path below the sub-path, for example
	// "/remote.php/dav/files/alice/My photos/"; empty means every path.
	PathPrefix string `json:"path_prefix,omitempty"`
	// PathSuffix, for one kind of files: ".jpg".
	PathSuffix string `json:"path_suffix,omitempty"`
	// Depth of a PROPFIND, as its header has it: "infinity"; empty means any.
	Depth string `json:"depth,omitempty"`
	// Skip lets that many matching requests through first.
	Skip int `json:"skip,omitempty"`
	// Times is how many requests are spoiled: 0 means one, -1 all from now on.
	Times int `json:"times,omitempty"`

	// Before the answer: wait.
	Delay time.Duration `json:"-"`

	// Instead of the answer: a status, with a body or with the server's XML error
	// of Exception and Message. Without Status, these three do nothing.
	Status    int               `json:"status,omitempty"`
	Body      string            `json:"body,omitempty"`
	Exception string            `json:"exception,omitempty"`
	Message   string            `json:"message,omitempty"`
	Page      bool              `json:"page,omitempty"`   // the web server's own page, as when PHP is down
	Header    map[string]string `json:"header,omitempty"` // set on any answer of the fault
	// RetryAfter is the Retry-After header in whole seconds.
	RetryAfter time.Duration `json:"-"`
	// RedirectTo sends the client elsewhere, by Status or 302.
	RedirectTo string `json:"redirect_to,omitempty"`
	// Hang gives no answer until the client leaves.
	Hang bool `json:"hang,omitempty"`
	// Drop resets the connection without an answer.
	Drop bool `json:"drop,omitempty"`
	// AfterEffect carries the request out before its answer is spoiled, like a
	// server that dies between the work and the answer.
	AfterEffect bool `json:"after_effect,omitempty"`

	// Instead of a listing: XML that ends in nonsense, that never ends, whose
	// hrefs lead elsewhere, or whose entities explode.
	MalformedMultistatus bool `json:"malformed_multistatus,omitempty"`
	EndlessMultistatus   bool `json:"endless_multistatus,omitempty"`
	HostileHrefs         bool `json:"hostile_hrefs,omitempty"`
	XMLBomb              bool `json:"xml_bomb,omitempty"`

	// While the true answer is sent, counted in bytes of its body:
	// TruncateAfter ends the body there as if it were whole, as far as HTTP
	// allows (without Content-Length the client cannot tell).
	TruncateAfter int64 `json:"truncate_after,omitempty"`
	// ResetAfter resets the connection there.
	ResetAfter int64 `json:"reset_after,omitempty"`
	// StallAfter stops there until the client leaves, or for StallFor.
	StallAfter int64         `json:"stall_after,omitempty"`
	StallFor   time.Duration `json:"-"`
	// Overlong adds that many bytes; the Content-Length is taken away.
	Overlong int64 `json:"overlong,omitempty"`
	// CorruptByte flips the bits of one byte; 1 is the first.
	CorruptByte int64 `json:"corrupt_byte,omitempty"`
	// WrongContentLength is added to the Content-Length: with a negative value
	// the body is cut to fit, with a positive one the connection ends early.
	WrongContentLength int64 `json:"wrong_content_length,omitempty"`
	// Bandwidth in bytes per second; 0 means no limit.
	Bandwidth int64 `json:"bandwidth,omitempty"`
}

// UnmarshalJSON reads durations from delay, retry_after and stall_for, in the
// form of time.ParseDuration.
func (f *Fault) UnmarshalJSON(b []byte) error {
	type plain Fault
	in := struct {
		*plain
		Delay      string `json:"delay"`
		RetryAfter string `json:"retry_after"`
		StallFor   string `json:"stall_for"`
	}{plain: (*plain)(f)}
	known := json.NewDecoder(bytes.NewReader(b))
	known.DisallowUnknownFields()
	if err := known.Decode(&in); err != nil {
		return err
	}
	for _, d := range []struct {
		text string
		into *time.Duration
	}{{in.Delay, &f.Delay}, {in.RetryAfter, &f.RetryAfter}, {in.StallFor, &f.StallFor}} {
		if d.text == "" {
			continue
		}
		v, err := time.ParseDuration(d.text)
		if err != nil {
			return fmt.Errorf("read duration: %w", err)
		}
		*d.into = v
	}
	return nil
}

// answers says whether a fault changes the answer, not only its speed.
func (f *Fault) answers() bool {
	return f.Status != 0 || f.RedirectTo != "" || f.Hang || f.Drop || f.MalformedMultistatus ||
		f.EndlessMultistatus || f.HostileHrefs || f.XMLBomb || f.TruncateAfter != 0 || f.ResetAfter != 0 ||
		f.StallAfter != 0 || f.Overlong != 0 || f.CorruptByte != 0 || f.WrongContentLength != 0 || len(f.Header) > 0
}

func (f *Fault) matches(r *http.Request, path string) bool {
	return (f.Method == "" || f.Method == r.Method) &&
		(f.Depth == "" || f.Depth == r.Header.Get("Depth")) &&
		strings.HasPrefix(path, f.PathPrefix) && strings.HasSuffix(path, f.PathSuffix)
}
