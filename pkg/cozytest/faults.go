package cozytest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is something that goes wrong with the requests it matches. Of several
// kinds ordered in one Fault, Delay, BytesPerSecond and CorruptByte go with any other; the
// others exclude each other, the first in the order of the fields wins. A Fault
// with neither only slows down.
type Fault struct {
	// Match, Host, Method, PathPrefix and QueryContains choose requests; what
	// is empty chooses all.
	Match         func(*http.Request) bool `json:"-"`
	Host          string                   `json:"host,omitempty"`
	Method        string                   `json:"method,omitempty"`
	PathPrefix    string                   `json:"pathPrefix,omitempty"`
	QueryContains string                   `json:"queryContains,omitempty"` // in the raw query
	// Skip lets this many matching requests pass first.
	Skip int `json:"skip,omitempty"`
	// Times is how many requests are disturbed. Zero: all.
	Times int `json:"times,omitempty"`

	// Delay is waited before anything else happens; nanoseconds in JSON,
	// DelayMS is the handier form there.
	Delay   time.Duration `json:"delay,omitempty"`
	DelayMS int           `json:"delayMs,omitempty"`
	// BytesPerSecond slows the request's body down.
	BytesPerSecond int64 `json:"bytesPerSecond,omitempty"`

	// CorruptByte flips the bits of one byte of the request's body; 1 is the first.
	CorruptByte int64 `json:"corruptByte,omitempty"`

	// Hang answers nothing until the client gives up.
	Hang bool `json:"hang,omitempty"`
	// ResetBeforeBody resets the connection without reading the body.
	ResetBeforeBody bool `json:"resetBeforeBody,omitempty"`
	// ResetMidBody resets it after half of the body, or 4 KiB of one of
	// unknown length.
	ResetMidBody bool `json:"resetMidBody,omitempty"`
	// AfterCommit does the work, then loses the answer: the connection is
	// reset, or Status is answered when it is set.
	AfterCommit bool `json:"afterCommit,omitempty"`
	// CutAnswer does the work and breaks the connection after half of the answer.
	CutAnswer bool `json:"cutAnswer,omitempty"`
	// Status is answered in place of the work, after the body was read or,
	// with AnswerEarly, before.
	Status      int  `json:"status,omitempty"`
	AnswerEarly bool `json:"answerEarly,omitempty"`
	// Body, ContentType (plain text when empty) and RetryAfter (seconds, or a
	// date) go with Status.
	Body        string `json:"body,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	RetryAfter  string `json:"retryAfter,omitempty"`
}

func (f *Fault) matches(r *http.Request) bool {
	return (f.Host == "" || strings.EqualFold(f.Host, r.Host)) &&
		(f.Method == "" || f.Method == r.Method) &&
		strings.HasPrefix(r.URL.Path, f.PathPrefix) &&
		strings.Contains(r.URL.RawQuery, f.QueryContains) &&
		(f.Match == nil || f.Match(r))
}

// Injected is a fault in place.
type Injected struct {
	fault Fault
	list  *faultList
	seen  int
	done  atomic.Int64
}

// Hits returns how many requests were disturbed.
func (i *Injected) Hits() int { return int(i.done.Load()) }

// Remove ends the fault.
func (i *Injected) Remove() { i.list.remove(i) }

// Inject puts a fault in place. Of several that match a request, the oldest
// one that is not used up disturbs it.
func (s *Stack) Inject(f Fault) *Injected {
	f.Delay += time.Duration(f.DelayMS) * time.Millisecond
	injected := &Injected{fault: f, list: &s.faults}
	s.faults.add(injected)
	return injected
}

// ClearFaults removes all faults of a host, or all where it is empty.
func (s *Stack) ClearFaults(host string) { s.faults.clear(host) }

type faultList struct {
	some atomic.Bool
	mu   sync.Mutex
	list []*Injected
}

func (l *faultList) add(i *Injected) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, i)
	l.some.Store(true)
}

func (l *faultList) remove(gone *Injected) {
	l.drop(func(i *Injected) bool { return i == gone })
}

func (l *faultList) clear(host string) {
	l.drop(func(i *Injected) bool { return host == "" || strings.EqualFold(i.fault.Host, host) })
}

func (l *faultList) drop(which func(*Injected) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, which)
	l.some.Store(len(l.list) > 0)
}

// pick returns the fault for a request, or nil.
func (l *faultList) pick(r *http.Request) *Fault {
	if !l.some.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range l.list {
		if i.fault.Times > 0 && i.Hits() >= i.fault.Times || !i.fault.matches(r) {
			continue
		}
		if i.seen++; i.seen <= i.fault.Skip {
			continue
		}
		i.done.Add(1)
		return &i.fault
	}
	return nil
}

// orderFault reads a fault in its JSON form.
func orderFault(body io.Reader) (Fault, error) {
	var f Fault
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	return f, decoder.Decode(&f)
}
